"""Cusum: evidence gathered over the call, and the alarm it raises."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import StateTable


class Cusum:
    """Sums up scores and raises an alarm when the sum reaches a limit.

    S = max(0, keep S + score - drift) after each decision: Page, "Continuous inspection schemes", Biometrika 41 (1954),
    with a sum that forgets. S goes no higher than the limit, so that hours of evidence do not take hours to fade. An
    alarm stands until S has stayed below the limit for the cool-down; before that there is no second.

    Args:
        limit: Of S, above 0.
        drift: Taken from every score.
        keep: What is kept of S, 0 to 1.
        cool_down_decisions: How many decisions below the limit end an alarm.
        capacity: Most streams.

    Attributes:
        is_alarmed: bool [capacity], whether an alarm stands.
    """

    def __init__(self, limit: float, drift: float, keep: float, cool_down_decisions: int, capacity: int) -> None:
        self._limit = limit
        self._drift = drift
        self._keep = keep
        self._cool_down_decisions = cool_down_decisions
        self._table = table = StateTable(capacity)
        self._sum = table.add("sum", (), np.float64)
        self._left = table.add("left", (), np.int64)
        self.is_alarmed: NDArray[np.bool_] = table.add("is_alarmed", (), np.bool_)  # type: ignore[assignment]
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset

    def add(self, rows: NDArray[np.int64], score: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Take one decision of each of `rows`, score float64 [k]; tell whose alarm begins with it, bool [k]."""
        total = np.clip(self._keep * self._sum[rows] + score - self._drift, 0.0, self._limit)
        self._sum[rows] = total
        is_over = total >= self._limit
        begins = is_over & ~self.is_alarmed[rows]
        left = np.where(is_over, self._cool_down_decisions, np.maximum(self._left[rows] - 1, 0))
        self._left[rows] = left
        self.is_alarmed[rows] = is_over | (left > 0)
        return np.asarray(begins)
