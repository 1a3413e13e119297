"""ClipSource: clips from memory as a source of the engine."""

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from rtemo.api import CapacityError, RtemoError, StreamDesk
from rtemo.api.source import StreamWriter

_FULL_WAIT_S = 0.001


class ClipSource:
    """A source that gives clips one after the other, so many side by side, each as a call of its own.

    Args:
        clips: Name and samples of each.
        parallel: How many are in the engine at once.
    """

    name = "clips"
    is_local = True

    def __init__(self, clips: Iterable[tuple[str, NDArray[np.float32]]], parallel: int) -> None:
        self._waiting: Iterator[tuple[str, NDArray[np.float32]]] = iter(clips)
        self._parallel = parallel
        self._next: tuple[str, NDArray[np.float32]] | None = None
        self._playing: list[tuple[StreamWriter, NDArray[np.float32]]] = []
        self._leaving: list[StreamWriter] = []
        self.names: list[str] = []
        self.failure: RtemoError | None = None

    def open(self, desk: StreamDesk) -> None:
        self._desk = desk

    def pump(self) -> float | None:
        """Open the next clip if there is room, and write what the rings take."""
        try:
            is_over = not self._open_next()
        except RtemoError as error:
            self.failure = error
            return None
        has_moved, still = False, []
        for writer, samples in self._playing:
            taken = writer.write(samples)
            has_moved |= taken > 0
            if taken < len(samples):
                still.append((writer, samples[taken:]))
            else:
                writer.end("end")
                self._leaving.append(writer)
        self._playing = still
        if is_over and not still:
            return None
        return 0.0 if has_moved else _FULL_WAIT_S

    def close(self) -> None:
        for writer, _ in self._playing:
            writer.end("stopped")
        self._playing = []

    def _open_next(self) -> bool:
        """Whether a clip is playing or waits."""
        if self._next is None:
            self._next = next(self._waiting, None)
        if self._next is None:
            return False
        self._leaving = [writer for writer in self._leaving if not writer.is_closed]
        if len(self._leaving) + len(self._playing) < self._parallel:
            name, samples = self._next
            try:
                writer = self._desk.open_stream(name, "0", source="clip")
            except CapacityError:
                return True
            self._playing.append((writer, samples))
            self.names.append(name)
            self._next = None
        return True
