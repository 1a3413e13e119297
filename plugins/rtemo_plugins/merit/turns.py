"""Turns: when somebody's turn begins and ends, and when an estimate about it is due."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import StateTable
from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.step import Step

_TRIGGERS = ("", "first", "refresh", "span", "turn_end", "stream_end")
_NONE, _FIRST, _REFRESH, _SPAN, _TURN_END, _STREAM_END = range(len(_TRIGGERS))


class Estimate(NamedTuple):
    """That an estimate is due, and about what."""

    row: int
    trigger: str
    is_final: bool
    start_sample: int
    """Where the turn began."""
    end_sample: int
    spoken_hops: int
    """Hops with voice so far."""


class Turns:
    """Follows the turn of each stream, step by step.

    A turn begins with the first step that has speech and ends with one whose last hop has none. Speech is counted in
    hops with voice: seconds added up as floats would drift.

    Args:
        options: The times.
        hop_s: Duration of a hop.
        capacity: Most streams.

    Attributes:
        is_open: bool [capacity], whether a turn is going on.
        is_left: bool [capacity], whether it is left to another plugin to speak of the turn.
    """

    def __init__(self, options: MeritOptions, hop_s: float, capacity: int) -> None:
        self._first_hops = round(options.first_s / hop_s)
        self._refresh_hops = round(options.refresh_s / hop_s)
        self._least_hops = round(options.least_s / hop_s)
        self._span_hops = round(options.span_s / hop_s)
        self._table = table = StateTable(capacity)
        self.is_open: NDArray[np.bool_] = table.add("is_open", (), np.bool_)  # type: ignore[assignment]
        self.is_left: NDArray[np.bool_] = table.add("is_left", (), np.bool_)  # type: ignore[assignment]
        self._start = table.add("start_sample", (), np.int64)
        self._end = table.add("end_sample", (), np.int64)
        self._spoken = table.add("spoken_hops", (), np.int64)
        self._next = table.add("next_hops", (), np.int64)
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset

    def begin(self, step: Step) -> NDArray[np.int64]:
        """Open the turns that begin with this step; give their rows."""
        is_new = step.is_speech.any(axis=1) & ~self.is_open[step.rows]
        rows = step.rows[is_new]
        self._open(rows, step.start_sample[is_new])
        return rows

    def advance(self, step: Step, thrift: int = 1) -> tuple[list[Estimate], list[int]]:
        """Count the speech of this step and close the turns that are over.

        Args:
            step: The step.
            thrift: How many times longer than usual it is to the next estimate of a turn.

        Returns:
            The estimates that are due, and the rows whose turn was too long, so that the next has begun.
        """
        rows = step.rows
        self._spoken[rows] += np.count_nonzero(step.weight, axis=1)
        self._end[rows] = step.end_sample
        spoken, following = self._spoken[rows], self._next[rows]
        trigger = np.where(following == self._first_hops, _FIRST, _REFRESH)
        trigger[spoken < following] = _NONE
        trigger[spoken >= self._span_hops] = _SPAN
        trigger[~step.is_speech[:, -1]] = _TURN_END
        trigger[~self.is_open[rows]] = _NONE
        due, renewed = [], []
        for i in np.flatnonzero(trigger):
            row, why = int(rows[i]), int(trigger[i])
            due += self._due(row, why)
            if why == _SPAN:
                self._open(row, step.end_sample[i])
                renewed.append(row)
            elif why == _TURN_END:
                self.is_open[row] = False
            else:
                self._next[row] += thrift * self._refresh_hops
        return due, renewed

    def end_stream(self, row: int) -> list[Estimate]:
        """Close the turn that is open when the stream ends, if any."""
        if not self.is_open[row]:
            return []
        self.is_open[row] = False
        return self._due(row, _STREAM_END)

    def _open(self, rows: NDArray[np.int64] | int, start_sample: NDArray[np.int64] | int) -> None:
        self.is_open[rows] = True
        self._start[rows] = start_sample
        self._spoken[rows] = 0
        self._next[rows] = self._first_hops

    def _due(self, row: int, trigger: int) -> list[Estimate]:
        """Give the estimate, or none when a turn had too little speech for its final one."""
        is_final = trigger >= _SPAN
        spoken_hops = int(self._spoken[row])
        if is_final and spoken_hops < self._least_hops:
            return []
        return [Estimate(row, _TRIGGERS[trigger], is_final, int(self._start[row]), int(self._end[row]), spoken_hops)]
