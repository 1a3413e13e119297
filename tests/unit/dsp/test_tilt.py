import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from rtemo.dsp.logmel import LogMel
from rtemo.dsp.tilt import SpectralTilt

from .speech import PANGRAM, espeak, vowel

pytestmark = pytest.mark.unit


def mean_tilt(samples: NDArray[np.floating], **range_hz: float) -> float:
    model = LogMel()
    frames = model.offline(samples.astype(np.float32))
    return float(np.mean(SpectralTilt(len(frames), model.filterbank, **range_hz).process(frames)))


def coloured_noise(db_per_octave: float, seconds: float = 20.0) -> NDArray[np.float64]:
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(int(seconds * 16_000)))
    hz = np.maximum(np.arange(spectrum.size) / seconds, 20.0)
    return np.fft.irfft(spectrum * (hz / 1_000.0) ** (db_per_octave / 6.0206)) * 0.01


@pytest.mark.parametrize("true_tilt", [3.0, 0.0, -3.0, -6.0, -12.0])
@pytest.mark.parametrize("range_hz", [(300.0, 3_400.0), (100.0, 6_000.0)])
def test_coloured_noise_has_its_tilt(true_tilt: float, range_hz: tuple[float, float]) -> None:
    measured = mean_tilt(coloured_noise(true_tilt), low_hz=range_hz[0], high_hz=range_hz[1])
    assert measured == pytest.approx(true_tilt, abs=0.4)


def test_tilt_agrees_with_polyfit_in_float64() -> None:
    model = LogMel()
    frames = model.offline(coloured_noise(-3.0, 1.0).astype(np.float32))
    got = SpectralTilt(len(frames), model.filterbank).process(frames)
    centre_hz = model.filterbank.center_hz
    chosen = (centre_hz >= 300.0) & (centre_hz <= 3_400.0)
    width = model.filterbank.dense()[chosen].sum(axis=1)
    level_db = 10.0 / np.log(10.0) * (frames[:, chosen].astype(np.float64) - np.log(width))
    expected = np.polyfit(np.log2(centre_hz[chosen]), level_db.T, 1)[0]
    assert np.abs(got - expected).max() < 1e-4


def test_level_does_not_change_the_tilt() -> None:
    samples = coloured_noise(-6.0, 2.0)
    assert mean_tilt(samples) == pytest.approx(mean_tilt(samples * 0.1), abs=0.05)


def test_a_softer_voice_source_tilts_more() -> None:
    voice = vowel(np.full(16_000, 120.0))
    softened = signal.lfilter([1.0], [1.0, -0.9], voice)
    assert mean_tilt(softened) < mean_tilt(voice) - 2.0


def test_speech_tilts_downwards() -> None:
    assert -15.0 < mean_tilt(espeak(PANGRAM, "-v", "en-us")) < -1.0


def test_a_row_does_not_depend_on_the_others() -> None:
    model = LogMel()
    frames = model.offline(coloured_noise(-3.0, 1.0).astype(np.float32))
    tilt = SpectralTilt(len(frames), model.filterbank)
    together = tilt.process(frames).copy()
    assert all(tilt.process(frames[k : k + 1])[0] == together[k] for k in range(len(frames)))


def test_a_range_without_bands_is_refused() -> None:
    with pytest.raises(ValueError, match="expected at least 3"):
        SpectralTilt(1, LogMel().filterbank, low_hz=1_000.0, high_hz=1_010.0)
