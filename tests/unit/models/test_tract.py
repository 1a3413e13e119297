import numpy as np
import pytest
import torch

from rtemo.dsp.filterbank import mel_filterbank
from rtemo_models.systems.merit.data.tract import Tracts, stretch_matrix

pytestmark = pytest.mark.unit

CENTRES_HZ = mel_filterbank(64, rate_hz=16_000, fft_samples=512, low_hz=60.0, high_hz=7600.0).center_hz


@pytest.mark.parametrize("factor", [0.86, 1.15])
def test_a_peak_moves_by_the_factor(factor: float) -> None:
    bands = np.exp(-(((np.log(CENTRES_HZ) - np.log(1500.0)) / 0.1) ** 2)).astype(np.float32)
    moved = bands @ stretch_matrix(factor, CENTRES_HZ)
    assert CENTRES_HZ[moved.argmax()] == pytest.approx(1500.0 * factor, rel=0.04)


def test_factor_one_changes_nothing_and_flat_bands_stay_flat() -> None:
    assert np.array_equal(stretch_matrix(1.0, CENTRES_HZ), np.eye(64, dtype=np.float32))
    bands = torch.full((6, 5, 64), -7.0)
    torch.testing.assert_close(Tracts()(bands, np.random.default_rng(0)), bands)
