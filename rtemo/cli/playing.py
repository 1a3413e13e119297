"""Player: what a voice says, on a loudspeaker, in time and to be broken off."""

import threading
import time
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ProcessedBlock, StreamFormat
from rtemo.io.sinks.options import PlayOptions
from rtemo.io.sinks.speaker import SpeakerSink

_FORMAT = StreamFormat()
_IN_HAND_S = 0.06
_POLL_S = 0.003


class Player:
    """Plays parts as they come; no more than 60 ms are in hand, so that it falls silent within 100 ms of `stop`.

    Args:
        device: Number of the loudspeaker or part of its name; empty is the default one.
        sink: What plays, for tests.
    """

    def __init__(self, device: str = "", sink: SpeakerSink | None = None) -> None:
        wanted: int | str = int(device) if device.isdecimal() else device
        self._sink = sink or SpeakerSink(PlayOptions(device=wanted, surplus_s=0.5))
        self._stopped = threading.Event()
        self._begun_s = 0.0
        self._played_s = 0.0
        self._held = np.zeros(0, np.float32)

    def __enter__(self) -> "Player":
        self._sink.open(_FORMAT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sink.close()

    def put(self, samples: NDArray[np.float32]) -> bool:
        """Play float32 [k] at 16 kHz and return when nearly all of it has been handed on; false when stopped."""
        hop = _FORMAT.hop_samples
        line = np.concatenate([self._held, samples])
        whole = len(line) // hop * hop
        self._held = line[whole:]
        return all(self._hop(line[start : start + hop], False) for start in range(0, whole, hop))

    def drain(self) -> None:
        """Let everything be heard."""
        hop = _FORMAT.hop_samples
        self._hop(np.pad(self._held, (0, hop - len(self._held))), True)
        self._held = self._held[:0]
        while time.monotonic() < self._begun_s + self._played_s and not self._stopped.is_set():
            time.sleep(_POLL_S)

    def stop(self) -> None:
        """Fall silent: nothing more is handed on. Any thread."""
        self._stopped.set()

    def _hop(self, samples: NDArray[np.float32], is_last: bool) -> bool:
        now_s = time.monotonic()
        if now_s > self._begun_s + self._played_s:  # the first, or what came too late
            self._begun_s, self._played_s = now_s, 0.0
        while time.monotonic() < self._begun_s + self._played_s - _IN_HAND_S:
            if self._stopped.wait(_POLL_S):
                break
        if self._stopped.is_set():
            return False
        one = np.zeros(1, np.int64)
        self._sink.write(ProcessedBlock((None,), samples[None].copy(), one, one, one, np.array([is_last])))  # type: ignore[arg-type]
        self._played_s += len(samples) / _FORMAT.sample_rate_hz
        return True
