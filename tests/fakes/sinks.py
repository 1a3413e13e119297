"""FakeSink: keeps the processed audio it is given; can fail, block or be slow where it is told."""

import threading
from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ProcessedBlock, StreamFormat


class FakeSink:
    """Puts every stream together again by position.

    Attributes:
        pieces: (call, channel) → (start_sample, audio) of every hop.
        ended: (call, channel) of every stream whose end came.
        lets: While clear, `write` does not return.
    """

    def __init__(self, name: str = "fake", *, fails_in: str = "", error: Exception | None = None) -> None:
        self.name = name
        self.overrun_samples = 0
        self.underrun_samples = 0
        self.blocks: list[ProcessedBlock] = []
        self.pieces: dict[tuple[str, str], list[tuple[int, NDArray[np.float32]]]] = defaultdict(list)
        self.ended: list[tuple[str, str]] = []
        self.opened = self.ticks = self.closed = 0
        self.threads: set[int] = set()
        self.lets = threading.Event()
        self.lets.set()
        self._fails_in = fails_in
        self._error = error or OSError("disk full")

    def open(self, format: StreamFormat) -> None:
        self.opened += 1
        self._reach("open")

    def write(self, block: ProcessedBlock) -> None:
        self.lets.wait(30.0)
        self._reach("write")
        self.blocks.append(block)
        for row, stream in enumerate(block.streams):
            start, audio = block.audio(row)
            if audio.shape[0]:
                self.pieces[stream.call, stream.channel].append((start, audio))
            if block.is_last[row]:
                self.ended.append((stream.call, stream.channel))

    def tick(self) -> None:
        self.ticks += 1
        self._reach("tick")

    def close(self) -> None:
        self.closed += 1
        self._reach("close")

    def audio(self, call: str = "a", channel: str = "0") -> NDArray[np.float32]:
        """All audio of a stream, which must lie without a hole from sample 0 on."""
        position = 0
        for start, piece in self.pieces[call, channel]:
            assert start == position, f"{start} came where {position} was due"
            position += piece.shape[0]
        return np.concatenate([piece for _, piece in self.pieces[call, channel]])

    def _reach(self, verb: str) -> None:
        self.threads.add(threading.get_ident())
        if verb == self._fails_in:
            raise self._error
