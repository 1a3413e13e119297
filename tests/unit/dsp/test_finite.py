"""Bad samples are taken out and everything else is left alone."""

import numpy as np
import pytest

from rtemo.dsp.finite import finite_rows

pytestmark = pytest.mark.unit


def test_clean_samples_are_given_back_without_a_copy():
    samples = np.random.default_rng(0).standard_normal((3, 160)).astype(np.float32)
    assert finite_rows(samples) is samples


@pytest.mark.parametrize(("bad", "expected"), [(np.nan, 0.0), (np.inf, 1.0), (-np.inf, -1.0), (3e38, 1.0)])
def test_bad_row_is_mended_and_its_neighbours_are_untouched(bad, expected):
    samples = np.full((3, 160), 1.5, np.float32)
    samples[1, 7] = bad
    mended = finite_rows(samples)
    assert mended[1, 7] == expected
    np.testing.assert_array_equal(mended[[0, 2]], samples[[0, 2]])
    assert np.isfinite(mended).all()
    assert samples[1, 7] == pytest.approx(bad, nan_ok=True)
