"""Work: looks for the watermark in windows of speech; on the lane's own thread."""

import math
from collections.abc import Sequence
from typing import NamedTuple

from rtemo.api import Spoof, Window
from rtemo.api.turns import Turns
from rtemo.dsp.watermark import PHASES, RATE_HZ, find_watermark

WINDOW_S = 6.2
"""Two periods of the pattern, and a little."""


class Found(NamedTuple):
    """The watermark in a window."""

    spoof: Spoof
    start_sample: int
    end_sample: int


class Work:
    """Works on batches of windows; see `rtemo.api.lane.LaneWork`.

    Args:
        threshold: From which score on it is found.
        turns: When each stream spoke, and which are still known.
    """

    def __init__(self, threshold: float, turns: Turns) -> None:
        self._threshold = threshold
        self._turns = turns
        self._told: set[int] = set()

    def __call__(self, windows: Sequence[Window]) -> list[Found | None]:
        """What was found in each window, or None."""
        self._told = {stream for stream in self._told if self._turns.knows(stream)}
        return [self._look(window) for window in windows]

    def _look(self, window: Window) -> Found | None:
        found = find_watermark(window.samples)
        if found.score < self._threshold:
            return None
        stream = window.stream.id
        spoof = Spoof(
            score=round(log_odds(found.score), 2),
            verdict="spoof",
            contributions={"watermark": 1.0},
            trigger="refresh" if stream in self._told else "alarm",
            is_alarmed=True,
        )
        self._told.add(stream)
        start = window.start_sample + round(found.start_s * RATE_HZ)
        return Found(spoof, start, min(window.end_sample, window.start_sample + round(found.end_s * RATE_HZ)))


def log_odds(score: float) -> float:
    """Turn deviations of chance into log-odds: what chance has left of a normal tail, tried at every phase.

    >>> round(log_odds(6.0), 1)
    15.5
    """
    tail = 0.5 * math.erfc(score / math.sqrt(2.0)) * PHASES
    return -math.log(max(tail, 1e-30))
