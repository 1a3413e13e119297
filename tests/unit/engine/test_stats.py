import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtemo.engine.stats import Histogram

pytestmark = pytest.mark.unit


def filled(durations_ns: list[int]) -> Histogram:
    histogram = Histogram()
    for duration_ns in durations_ns:
        histogram.add(duration_ns)
    return histogram


@given(
    durations_ns=st.lists(st.integers(0, 10**12), min_size=1, max_size=300),
    percent=st.floats(0, 100),
)
def test_percentiles_agree_with_numpy_within_six_percent(durations_ns: list[int], percent: float) -> None:
    got = filled(durations_ns).percentile_ns(percent)
    expected = int(np.percentile(durations_ns, percent, method="inverted_cdf"))
    assert got == pytest.approx(expected, rel=0.0625, abs=1)


@pytest.mark.parametrize("sigma", [0.1, 1.0, 3.0])
def test_percentiles_of_many_latencies_agree_with_numpy(sigma: float) -> None:
    durations_ns = np.random.default_rng(1).lognormal(np.log(50_000), sigma, 20_000).astype(np.int64)
    histogram = filled([int(value) for value in durations_ns])
    for percent in (1, 50, 90, 99, 99.9):
        assert histogram.percentile_ns(percent) == pytest.approx(np.percentile(durations_ns, percent), rel=0.06)
    assert histogram.max_ns == durations_ns.max()
    assert histogram.mean_ns() == pytest.approx(durations_ns.mean())


def test_durations_below_32_ns_are_exact() -> None:
    for duration_ns in range(32):
        assert filled([duration_ns]).percentile_ns(50) == duration_ns


def test_percentile_never_exceeds_the_longest_duration() -> None:
    assert filled([1_000_001]).percentile_ns(99) <= 1_000_001


def test_longest_imaginable_duration_has_a_bin() -> None:
    assert filled([2**63 - 1]).percentile_ns(50) == pytest.approx(2**63, rel=0.06)


def test_negative_duration_counts_as_zero() -> None:
    histogram = filled([-5])
    assert (histogram.count, histogram.total_ns, histogram.percentile_ns(50)) == (1, 0, 0)


def test_empty_histogram_reads_zero_and_so_does_a_cleared_one() -> None:
    histogram = filled([10, 20])
    histogram.clear()
    for empty in (Histogram(), histogram):
        assert (empty.count, empty.percentile_ns(99), empty.mean_ns(), empty.max_ns) == (0, 0, 0.0, 0)


@given(durations_ns=st.lists(st.integers(0, 10**12), max_size=300))
def test_bins_hold_every_duration_once_where_it_lies(durations_ns: list[int]) -> None:
    bins = filled(durations_ns).bins()
    assert [low for low, _, _ in bins] == sorted({low for low, _, _ in bins})
    assert all(high <= after for (_, high, _), (after, _, _) in itertools.pairwise(bins))
    for low, high, count in bins:
        assert count == sum(low <= duration_ns < high for duration_ns in durations_ns) > 0
    assert sum(count for _, _, count in bins) == len(durations_ns)
