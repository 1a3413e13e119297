import numpy as np
import pytest

from rtemo.dsp.filterbank import (
    erb_bandwidth_hz,
    erb_filterbank,
    hz_to_scale,
    linear_filterbank,
    mel_filterbank,
    scale_to_hz,
    triangular_filterbank,
)

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("scale", ["slaney", "htk", "erb", "linear"])
def test_every_scale_returns_to_the_same_frequency(scale: str) -> None:
    hz = np.linspace(0.0, 24_000.0, 4_001)
    assert np.allclose(scale_to_hz(hz_to_scale(hz, scale), scale), hz, rtol=1e-12, atol=1e-9)
    assert np.all(np.diff(hz_to_scale(hz, scale)) > 0)


def test_scales_agree_with_published_points() -> None:
    assert hz_to_scale(1_000.0, "slaney") == pytest.approx(15.0)
    assert hz_to_scale(6_400.0, "slaney") == pytest.approx(42.0)
    assert hz_to_scale(1_000.0, "htk") == pytest.approx(1_000.0, abs=0.05)
    assert hz_to_scale(1_000.0, "erb") == pytest.approx(15.6, abs=0.05)
    assert erb_bandwidth_hz(1_000.0) == pytest.approx(132.6, abs=0.1)


def test_erb_rate_steps_by_one_over_one_bandwidth() -> None:
    for centre in (200.0, 1_000.0, 4_000.0):
        width = float(erb_bandwidth_hz(centre))
        step = hz_to_scale(centre + width / 2, "erb") - hz_to_scale(centre - width / 2, "erb")
        assert step == pytest.approx(1.0, abs=0.02)


def test_sparse_bands_are_the_dense_triangles() -> None:
    bank = triangular_filterbank(40, rate_hz=16_000, fft_samples=512, low_hz=0.0, high_hz=8_000.0, scale="slaney")
    edges = scale_to_hz(np.linspace(0.0, hz_to_scale(8_000.0, "slaney"), 42), "slaney")
    bins = np.arange(257) * 16_000 / 512
    expected = np.array([np.interp(bins, edges[b : b + 3], [0.0, 1.0, 0.0], left=0.0, right=0.0) for b in range(40)])
    assert np.abs(bank.dense() - expected).max() < 1e-6
    assert np.allclose(bank.center_hz, edges[1:-1])


def test_adjacent_bands_of_a_mel_bank_sum_to_one_between_the_outer_centres() -> None:
    bank = mel_filterbank(64, rate_hz=16_000, fft_samples=512, low_hz=60.0, high_hz=7_600.0)
    hz = np.arange(257) * 16_000 / 512
    inner = (hz >= bank.center_hz[0]) & (hz <= bank.center_hz[-1])
    assert np.allclose(bank.dense().sum(axis=0)[inner], 1.0, atol=1e-6)


def test_area_normalised_bands_give_white_noise_equal_density() -> None:
    bank = triangular_filterbank(
        24, rate_hz=16_000, fft_samples=4_096, low_hz=100.0, high_hz=8_000.0, area_normalised=True
    )
    area = bank.dense().sum(axis=1) * 16_000 / 4_096
    assert np.allclose(area, 1.0, atol=0.02)


def test_erb_bank_widens_like_the_ear() -> None:
    bank = erb_filterbank(32, rate_hz=16_000, fft_samples=1_024)
    assert bank.band_count == 32
    assert np.all(np.diff(bank.bin_count[4:]) >= -1)
    assert bank.spectrum_bins == 513


def test_linear_bands_are_equally_wide_and_overlap_by_half() -> None:
    bank = linear_filterbank(96, rate_hz=16_000, fft_samples=512, low_hz=0.0, high_hz=8_000.0)
    step_hz = 8_000.0 / 97
    assert np.allclose(bank.center_hz, step_hz * np.arange(1, 97))
    hz = np.arange(257) * 16_000 / 512
    triangles = np.maximum(1.0 - np.abs(hz - bank.center_hz[:, None]) / step_hz, 0.0)
    assert np.abs(bank.dense() - triangles).max() < 1e-6


def test_a_band_without_a_bin_is_refused_with_the_mend() -> None:
    with pytest.raises(ValueError, match="use fewer bands or a longer transform"):
        triangular_filterbank(128, rate_hz=16_000, fft_samples=256, low_hz=20.0, high_hz=8_000.0, scale="htk")


def test_edges_out_of_order_are_refused() -> None:
    with pytest.raises(ValueError, match="do not lie in order"):
        mel_filterbank(10, rate_hz=8_000, fft_samples=256, low_hz=60.0, high_hz=7_600.0)
