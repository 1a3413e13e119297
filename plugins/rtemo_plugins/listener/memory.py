"""Memory: what the lane keeps of every stream between two windows."""

import numpy as np
from numpy.typing import NDArray

from rtemo_plugins.listener.stretches import Stretches

_LEFT = 64
"""Streams that have left and are still remembered, since a window of theirs may be on its way."""


class Heard:
    """What has been heard of one stream.

    Attributes:
        turn_start: Where the present turn began; -1 before the first.
        closed: One past the end of the last turn that was closed.
        said: Logits, arousal and valence over the turn so far, float64 [labels + 2]; None before the first window.
        estimates: How many were given of the turn.
        window_end: One past the last sample of the last window.
        spared: Windows since then that were not looked at, to have time for other turns.
    """

    __slots__ = ("closed", "estimates", "said", "spared", "turn_start", "window_end")

    def __init__(self) -> None:
        self.closed = 0
        self.window_end = 0
        self.begin(-1)

    def begin(self, start_sample: int) -> None:
        """Begin a turn."""
        self.turn_start = start_sample
        self.said: NDArray[np.float64] | None = None
        self.estimates = self.spared = 0

    def add(
        self, said: NDArray[np.float64], window_samples: int, turn_samples: int, is_repeated: bool
    ) -> NDArray[np.float64]:
        """Take in what was said of a window at the end of the turn so far; give what holds for all of it.

        Within a window it is what was just said; of a longer turn, a mean over its windows by time. The last one is cut
        where speech ended, and where the one before it heard as much, and the pause after, too, each counts half.
        """
        share = min(1.0, window_samples / max(turn_samples, 1)) * (0.5 if is_repeated else 1.0)
        self.said = said if self.said is None else share * said + (1.0 - share) * self.said
        return self.said


class Memory:
    """What is kept by stream; of those that have left only the last few.

    Args:
        stretches: Tells who has left.
    """

    def __init__(self, stretches: Stretches) -> None:
        self._stretches = stretches
        self._of: dict[int, Heard] = {}
        self._left: dict[int, None] = {}

    def look(self) -> None:
        """Note which streams have left, and forget those that left long ago."""
        ended = self._stretches.ended
        while ended:
            self._left[ended.popleft()] = None
        while len(self._left) > _LEFT:
            stream = next(iter(self._left))
            del self._left[stream]
            self._of.pop(stream, None)
            self._stretches.forget(stream)

    def of(self, stream: int) -> Heard:
        """What is kept of a stream."""
        if stream not in self._of:
            self._of[stream] = Heard()
        return self._of[stream]
