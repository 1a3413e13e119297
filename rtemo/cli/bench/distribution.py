"""Distribution: what a histogram of the engine holds, as figures and bins."""

import msgspec

from rtemo.engine.stats import Histogram


class Bin(msgspec.Struct, frozen=True, array_like=True):
    """Durations of nearly the same length."""

    from_us: float
    to_us: float
    count: int


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    """Durations that were counted; bins are a sixteenth of an octave wide, so percentiles are true to 3 %."""

    count: int
    mean_us: float
    p50_us: float
    p99_us: float
    p999_us: float
    max_us: float
    bins: tuple[Bin, ...]
    """Those that hold anything, in order."""


def distribution(histogram: Histogram) -> Distribution:
    """Tell what a histogram holds."""
    return Distribution(
        count=histogram.count,
        mean_us=histogram.mean_ns() / 1e3,
        p50_us=histogram.percentile_ns(50) / 1e3,
        p99_us=histogram.percentile_ns(99) / 1e3,
        p999_us=histogram.percentile_ns(99.9) / 1e3,
        max_us=histogram.max_ns / 1e3,
        bins=tuple(Bin(low / 1e3, high / 1e3, count) for low, high, count in histogram.bins()),
    )
