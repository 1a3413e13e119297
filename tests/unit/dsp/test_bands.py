import numpy as np
import pytest
from numpy.typing import NDArray

from rtemo.dsp.bands import LogBands
from rtemo.dsp.filterbank import linear_filterbank
from rtemo.dsp.logmel import LogMel
from rtemo.dsp.stft import Stft, low_delay_windows

pytestmark = pytest.mark.unit

WINDOW = low_delay_windows(512, 160, 320)[0]


def spectra(seed: int, n: int, level: float = 3.0) -> NDArray[np.complex64]:
    random = np.random.default_rng(seed)
    values = random.standard_normal((n, 257)) + 1j * random.standard_normal((n, 257))
    return (level * values * 10.0 ** random.uniform(-5, 0, (n, 1))).astype(np.complex64)


def reference(given: NDArray[np.complex64], model: LogBands) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The definition in the docstring, in float64 and plain numpy."""
    power = np.abs(given.astype(np.complex128)) ** 2 * (2.0 / WINDOW.sum()) ** 2
    bands = power @ model.filterbank.dense().T.astype(np.float64)
    return np.log(np.maximum(bands, 1e-10)), np.log(np.maximum(power, 1e-10))


@pytest.mark.parametrize("n", [1, 7, 8, 21])
def test_bands_and_bins_agree_with_float64(n: int) -> None:
    model = LogBands(n, WINDOW)
    given, bins = spectra(0, n), np.empty((n, 257), np.float32)
    bands = model.process(given, bins=bins)
    expected_bands, expected_bins = reference(given, model)
    assert np.abs(bands - expected_bands).max() < 2e-5
    assert np.abs(bins - expected_bins).max() < 2e-5


def test_bands_are_those_of_the_log_mel_when_the_window_is_its_own() -> None:
    sound = (0.1 * np.random.default_rng(1).standard_normal((3, 160 * 9))).astype(np.float32)
    hann = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(400) / 400)
    stft, bands, log_mel = Stft(3, hann, fft_samples=512), LogBands(3, hann, fft_samples=512), LogMel(3)
    for k in range(0, sound.shape[1], 160):
        hop = sound[:, k : k + 160]
        np.testing.assert_allclose(bands.process(stft.process(hop)), log_mel.process(hop), atol=2e-5)


def test_bands_of_another_bank_agree_with_float64() -> None:
    model = LogBands(9, WINDOW, bank=linear_filterbank(96, rate_hz=16_000, fft_samples=512))
    given = spectra(6, 9)
    assert model.band_count == 96
    assert np.abs(model.process(given) - reference(given, model)[0]).max() < 2e-5


def test_bank_for_another_transform_is_refused() -> None:
    with pytest.raises(ValueError, match="for spectra of 129 bins, the transform gives 257"):
        LogBands(1, WINDOW, bank=linear_filterbank(40, rate_hz=16_000, fft_samples=256))


def test_full_scale_sine_on_a_bin_reads_zero_there() -> None:
    time_s = np.arange(160 * 8) / 16_000
    sine = np.sin(2.0 * np.pi * 3_000.0 * time_s).astype(np.float32)
    stft, model, bins = Stft(1, WINDOW), LogBands(1, WINDOW), np.empty((1, 257), np.float32)
    for k in range(0, sine.size, 160):
        model.process(stft.process(sine[None, k : k + 160]), bins=bins)
    assert int(np.argmax(bins)) == 96
    assert bins[0, 96] == pytest.approx(0.0, abs=1e-3)


def test_silence_gives_the_floor() -> None:
    bins = np.empty((2, 257), np.float32)
    bands = LogBands(2, WINDOW).process(np.zeros((2, 257), np.complex64), bins=bins)
    assert np.allclose(bands, np.log(1e-10), atol=1e-5)
    assert np.allclose(bins, np.log(1e-10), atol=1e-5)


def test_a_row_depends_neither_on_its_place_nor_on_the_others() -> None:
    given, bins, alone_bins = spectra(2, 21), np.empty((21, 257), np.float32), np.empty((1, 257), np.float32)
    together = LogBands(21, WINDOW).process(given, bins=bins)
    for row in range(21):
        assert np.array_equal(LogBands(1, WINDOW).process(given[row : row + 1], bins=alone_bins)[0], together[row])
        assert np.array_equal(alone_bins[0], bins[row])


def test_bins_that_are_not_wanted_change_nothing() -> None:
    given = spectra(3, 9)
    model = LogBands(9, WINDOW)
    with_bins = model.process(given, bins=np.empty((9, 257), np.float32)).copy()
    assert np.array_equal(model.process(given), with_bins)


def test_spectra_are_left_as_they_are_and_may_lie_in_any_order() -> None:
    given = spectra(4, 9)
    kept, out = given.copy(), np.empty((9, 64), np.float32)
    assert LogBands(9, WINDOW).process(given, out) is out
    assert np.array_equal(given, kept)
    assert np.array_equal(LogBands(9, WINDOW).process(np.asfortranarray(given)), out)


def test_arrays_that_cannot_be_written_into_are_refused() -> None:
    model = LogBands(2, WINDOW)
    with pytest.raises(ValueError, match=r"expected C-contiguous float32 \[2, 257\]"):
        model.process(spectra(5, 2), bins=np.empty((2, 257)))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"expected C-contiguous float32 \[2, 64\]"):
        model.process(spectra(5, 2), np.empty((3, 64), np.float32))
