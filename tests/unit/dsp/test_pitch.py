import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from rtemo.dsp.pitch import VOICED, PitchTracker

from .speech import PANGRAM, RATE_HZ, espeak, vowel, with_noise

pytestmark = pytest.mark.unit

Track = tuple[NDArray[np.float32], NDArray[np.float32]]
CENTRE_SAMPLES = 340  # how far back the middle of the frame lies, filter delay included


def track(samples: NDArray[np.floating], hop: int = 160, **options: float) -> Track:
    """Pitch and voicing of one stream after each hop."""
    tracker = PitchTracker(1, hop_samples=hop, **options)
    blocks = (samples[None, k : k + hop].astype(np.float32) for k in range(0, samples.size - hop + 1, hop))
    found = [(pitch.hz[0], pitch.voicing[0]) for pitch in map(tracker.process, blocks)]
    return np.array([hz for hz, _ in found]), np.array([voicing for _, voicing in found])


def gross_error(found_hz: NDArray[np.float32], true_hz: NDArray[np.float64] | float) -> float:
    """Share of the frames more than 20 % off."""
    return float(np.mean(np.abs(found_hz / true_hz - 1.0) > 0.2))


def yin_in_float64(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """The definition in the docstring, at the last hop only."""
    sos = signal.butter(4, 1_000.0, fs=RATE_HZ, output="sos")
    x = signal.sosfilt(sos, samples.astype(np.float64))[::2]
    lags = int(np.ceil(8_000 / 60.0)) + 2
    x = x[-(200 + lags) :]
    difference = np.array([np.sum((x[:200] - x[lag : lag + 200]) ** 2) for lag in range(lags)])
    normal = np.ones(lags)
    normal[1:] = difference[1:] * np.arange(1, lags) / np.cumsum(difference[1:])
    threshold = max(0.15, normal[15 : lags - 1].min() + 0.08)
    best = next(lag for lag in range(15, lags - 1) if normal[lag] < threshold and normal[lag + 1] >= normal[lag])
    a, b, c = normal[best - 1 : best + 2]
    offset = np.clip(0.5 * (a - c) / (a - 2 * b + c), -0.5, 0.5) if a - 2 * b + c > 0 else 0.0
    return np.array([8_000 / (best + offset), 1.0 - (b - 0.25 * (a - c) * offset)])


@pytest.mark.parametrize("seed", range(6))
def test_estimate_agrees_with_the_definition_in_float64(seed: int) -> None:
    rng = np.random.default_rng(seed)
    samples = with_noise(vowel(np.full(4_800, rng.uniform(70.0, 400.0))), 15.0, seed)
    hz, voicing = track(samples)
    expected_hz, expected_voicing = yin_in_float64(samples)
    assert hz[-1] == pytest.approx(expected_hz, rel=1e-3)
    assert voicing[-1] == pytest.approx(expected_voicing, abs=2e-3)


@pytest.mark.parametrize("true_hz", [60.0, 83.3, 110.0, 147.0, 220.0, 333.3, 440.0, 500.0])
def test_tones_are_found_within_half_a_percent(true_hz: float) -> None:
    time_s = np.arange(8_000) / RATE_HZ
    tone = sum(np.sin(2 * np.pi * k * true_hz * time_s) / k for k in range(1, 8)) * 0.2
    hz, voicing = track(np.asarray(tone))
    assert np.abs(hz[6:] / true_hz - 1.0).max() < 0.005
    assert voicing[6:].min() > 0.99


@pytest.mark.parametrize(("from_hz", "to_hz"), [(80.0, 160.0), (300.0, 120.0), (150.0, 450.0)])
def test_glides_are_followed(from_hz: float, to_hz: float) -> None:
    true_hz = np.geomspace(from_hz, to_hz, RATE_HZ)
    hz, voicing = track(vowel(true_hz))
    ends = np.arange(1, hz.size + 1) * 160
    expected = true_hz[np.maximum(ends - CENTRE_SAMPLES, 0)]
    assert np.abs(hz[8:] / expected[8:] - 1.0).mean() < 0.02
    assert gross_error(hz[8:], expected[8:]) == 0.0
    assert voicing[8:].min() > VOICED


@pytest.mark.parametrize(
    ("snr_db", "most_gross", "least_voiced"), [(20.0, 0.0, 0.98), (10.0, 0.0, 0.98), (0.0, 0.01, 0.9)]
)
def test_vowels_in_noise_keep_a_low_gross_error(snr_db: float, most_gross: float, least_voiced: float) -> None:
    errors, voiced = [], []
    for seed, true_hz in enumerate((90.0, 130.0, 190.0, 260.0)):
        vibrato = true_hz * (1.0 + 0.05 * np.sin(2 * np.pi * 5.0 * np.arange(2 * RATE_HZ) / RATE_HZ))
        hz, voicing = track(with_noise(vowel(vibrato), snr_db, seed))
        is_voiced = voicing[8:] >= VOICED
        errors.append(gross_error(hz[8:][is_voiced], true_hz))
        voiced.append(is_voiced.mean())
    assert np.mean(errors) <= most_gross
    assert np.mean(voiced) >= least_voiced


def test_noise_is_not_voiced() -> None:
    _, voicing = track(np.random.default_rng(0).standard_normal(RATE_HZ * 10) * 0.1)
    assert np.mean(voicing >= VOICED) < 0.001


def test_silence_has_neither_pitch_nor_voicing() -> None:
    hz, voicing = track(np.zeros(3_200))
    assert not hz.any()
    assert not voicing.any()


@pytest.mark.parametrize("snr_db", [60.0, 20.0, 10.0])
@pytest.mark.parametrize("setting", ["50", "80", "99"])
def test_synthetic_speech_on_one_pitch_has_few_gross_errors(setting: str, snr_db: float) -> None:
    # espeak-ng speaks on one pitch when its range is zero; what it is follows from the clean median
    clean = espeak(f'<prosody range="0%">{PANGRAM}</prosody>', "-v", "en-us", "-p", setting)
    clean_hz, clean_voicing = track(clean)
    true_hz = float(np.median(clean_hz[clean_voicing >= VOICED]))
    hz, voicing = track(with_noise(clean.astype(np.float64), snr_db))
    is_voiced = voicing >= VOICED
    assert is_voiced.mean() > 0.4
    assert gross_error(hz[is_voiced], true_hz) < 0.02


def test_espeak_pitch_setting_is_heard() -> None:
    medians = []
    for setting in ("20", "50", "80"):
        hz, voicing = track(espeak(PANGRAM, "-v", "en-us", "-p", setting))
        medians.append(float(np.median(hz[voicing >= VOICED])))
    assert medians[0] < 0.85 * medians[1] < 0.75 * medians[2]


def test_telephone_rate_gives_the_same_pitch() -> None:
    samples = vowel(np.full(16_000, 143.0))
    hz, voicing = track(signal.resample_poly(samples, 1, 2), hop=80, rate_hz=8_000)
    assert np.abs(hz[8:] / 143.0 - 1.0).max() < 0.01
    assert voicing[8:].min() > VOICED


def test_a_row_depends_neither_on_its_place_nor_on_the_others() -> None:
    rows = np.stack([with_noise(vowel(np.full(3_200, 80.0 + 15.0 * k)), 10.0, k) for k in range(13)])
    tracker = PitchTracker(13)
    together = [tracker.process(rows[:, k : k + 160]) for k in range(0, 3_200, 160)][-1]
    for row in range(13):
        hz, voicing = track(rows[row])
        assert hz[-1] == together.hz[row]
        assert voicing[-1] == together.voicing[row]


def test_retire_moves_the_last_row() -> None:
    rows = np.stack([vowel(np.full(6_400, hz)).astype(np.float32) for hz in (100.0, 200.0, 300.0)])
    tracker = PitchTracker(3)
    for k in range(0, 3_200, 160):
        tracker.process(rows[:, k : k + 160])
    tracker.retire(0, 2)
    pitch = tracker.process(rows[[2, 1], 3_200:3_360])
    assert pitch.hz == pytest.approx([300.0, 200.0], rel=0.01)
    assert pitch.is_voiced.tolist() == [True, True]


def test_rates_and_ranges_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 2"):
        PitchTracker(1, hop_samples=161)
    with pytest.raises(ValueError, match="low < high"):
        PitchTracker(1, low_hz=400.0, high_hz=100.0)
