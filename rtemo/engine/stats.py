"""Histogram: durations counted in logarithmic bins, so that percentiles cost no memory."""

_SUB_BITS = 4
_SUB = 1 << _SUB_BITS


class Histogram:
    """Counts of durations in ns with a resolution of 1/16 of an octave (6 %), in constant memory.

    >>> histogram = Histogram()
    >>> for duration_ns in (100, 200, 100_000):
    ...     histogram.add(duration_ns)
    >>> histogram.count, 190 <= histogram.percentile_ns(50) <= 210
    (3, True)
    """

    __slots__ = ("_bins", "count", "max_ns", "total_ns")

    def __init__(self) -> None:
        self._bins = [0] * (64 * _SUB)
        self.count = 0
        self.total_ns = 0
        self.max_ns = 0

    def add(self, duration_ns: int) -> None:
        """Count one duration; negative ones count as zero."""
        duration_ns = max(duration_ns, 0)
        shift = duration_ns.bit_length() - _SUB_BITS - 1
        index = duration_ns if shift < 0 else (shift + 1) * _SUB + (duration_ns >> shift) - _SUB
        self._bins[index] += 1
        self.count += 1
        self.total_ns += duration_ns
        if duration_ns > self.max_ns:
            self.max_ns = duration_ns

    def percentile_ns(self, percent: float) -> int:
        """Tell the middle of the bin that holds the given percentile; 0 when nothing was counted."""
        if self.count == 0:
            return 0
        rank = max(1, -(-self.count * percent // 100))
        seen = 0
        for index, count in enumerate(self._bins):
            seen += count
            if seen >= rank:
                return min(_middle_ns(index), self.max_ns)
        return self.max_ns

    def bins(self) -> list[tuple[int, int, int]]:
        """List the bins that hold anything: from and up to (not included), both in ns, and the count."""
        return [(*_edges_ns(index), count) for index, count in enumerate(self._bins) if count]

    def mean_ns(self) -> float:
        """Tell the mean; 0 when nothing was counted."""
        return self.total_ns / self.count if self.count else 0.0

    def clear(self) -> None:
        """Forget everything."""
        self._bins = [0] * (64 * _SUB)
        self.count = self.total_ns = self.max_ns = 0


def _edges_ns(index: int) -> tuple[int, int]:
    shift = max(index // _SUB - 1, 0)
    low = index if index < 2 * _SUB else (index % _SUB + _SUB) << shift
    return low, low + (1 << shift)


def _middle_ns(index: int) -> int:
    low, high = _edges_ns(index)
    return (low + high) // 2
