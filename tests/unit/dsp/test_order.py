import numpy as np
import pytest

from rtemo.dsp.order import sort_values

pytestmark = pytest.mark.unit


def test_values_are_sorted_as_numpy_sorts_them_with_nan_last() -> None:
    rng = np.random.default_rng(1)
    for size in (*range(12), 100, 1_001):
        values = rng.integers(-9, 9, size).astype(np.float32) / 7
        values[rng.random(size) < 0.1] = np.nan
        wanted = np.sort(values)
        sort_values(values)
        np.testing.assert_array_equal(values, wanted)
