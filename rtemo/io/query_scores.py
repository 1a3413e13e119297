"""QueryScores: how much one voice has been like what is looked for, of late."""

import math
from collections import deque
from statistics import fmean, pstdev

from rtemo.api import QueryScore

_SCORES = 5
_QUERIES = 32  # more than an engine looks for at once
_LEAST_SPREAD = 0.3  # of windows that overlap, so that a few alike scores do not look sure


class QueryScores:
    """The last scores of one voice by each query, in deviations of its own.

    The z of a score, not the score itself, since voices differ by more than moods do (see `QueryScore`). One alone
    jumps; the mean of the last five does not.
    """

    def __init__(self) -> None:
        self._scores: dict[str, deque[float]] = {}

    def add(self, data: QueryScore) -> None:
        """Take a score in; one without z, as the first of a voice are, says nothing yet."""
        if data.z is None or not math.isfinite(data.z):
            return
        scores = self._scores.pop(data.query, None) or deque(maxlen=_SCORES)
        scores.append(data.z)
        self._scores[data.query] = scores  # the one scored last stands last
        if len(self._scores) > _QUERIES:
            del self._scores[next(iter(self._scores))]

    def mean(self, query: str) -> tuple[float, float] | None:
        """Give the mean of the last scores by a query and how much they differ; None while there are none."""
        scores = self._scores.get(query)
        return (fmean(scores), max(_LEAST_SPREAD, pstdev(scores))) if scores else None

    def means(self) -> dict[str, float]:
        """Give the mean of every query."""
        return {query: round(fmean(scores), 2) for query, scores in self._scores.items()}
