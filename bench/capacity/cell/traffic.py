"""Traffic: when calls come, and how long they last."""

import math
import random
from collections.abc import Iterator

from bench.capacity.cell.settings import Settings

DAY = (2, 1, 1, 1, 2, 5, 12, 30, 65, 90, 100, 95, 85, 90, 95, 90, 80, 65, 45, 30, 20, 12, 7, 4)
"""Calls at each full hour, of 100 at the busiest: a contact centre of one time zone, assumed."""


def share_of_peak(at_s: float, is_flat: bool = False) -> float:
    """Tell how busy a time of day is, between the full hours in proportion."""
    if is_flat:
        return 1.0
    hour, part = divmod(at_s / 3600.0, 1.0)
    before, after = DAY[int(hour) % 24], DAY[int(hour + 1) % 24]
    return (before + part * (after - before)) / 100.0


class Traffic:
    """Calls that come at random, by a rate that follows the day, with lengths that are log-normal.

    Args:
        settings: Of the cell.
        draw: Source of chance.
    """

    def __init__(self, settings: Settings, draw: random.Random) -> None:
        self._settings = settings
        self._draw = draw
        self._peak_per_s = settings.peak_calls / settings.call_s
        self._mu = math.log(settings.call_s) - settings.call_spread**2 / 2

    def arrivals(self) -> Iterator[tuple[float, float]]:
        """Give the time of each call and its length, both in s, in order of time."""
        at_s, end_s = 0.0, 3600.0 * self._settings.hours
        while True:
            at_s += self._draw.expovariate(self._peak_per_s)
            if at_s >= end_s:
                return
            if self._draw.random() < share_of_peak(at_s, self._settings.is_flat):
                yield at_s, self._draw.lognormvariate(self._mu, self._settings.call_spread)
