from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from rtemo.dsp.rate import SpeechRate

from .speech import PANGRAM, RATE_HZ, SYLLABLES, espeak, with_noise

pytestmark = pytest.mark.unit


def peaks(samples: NDArray[np.floating]) -> NDArray[np.uint8]:
    rate = SpeechRate(1)
    padded = np.concatenate([samples, np.zeros(3_200)]).astype(np.float32)
    return np.array([rate.process(padded[None, k : k + 160]).peaks[0] for k in range(0, padded.size - 159, 160)])


def bursts(per_s: float, duration_s: float) -> NDArray[np.float64]:
    """Noise whose envelope swells and falls at a known rate."""
    time_s = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    envelope = 0.02 + (0.5 - 0.5 * np.cos(2 * np.pi * per_s * time_s)) ** 2
    return envelope * np.random.default_rng(0).standard_normal(time_s.size) * 0.1


@pytest.mark.parametrize("per_s", [2.0, 3.0, 4.5, 6.0, 7.5])
def test_every_swell_of_a_modulated_noise_is_one_peak(per_s: float) -> None:
    assert peaks(bursts(per_s, 10.0)).sum() == pytest.approx(10.0 * per_s, abs=1)


@pytest.mark.parametrize("per_s", [2.0, 5.0])
def test_rate_over_the_window_is_that_of_the_swells(per_s: float) -> None:
    rate = SpeechRate(1)
    samples = bursts(per_s, 6.0).astype(np.float32)
    found = [rate.process(samples[None, k : k + 160]).per_s[0] for k in range(0, samples.size, 160)]
    assert np.isnan(found[:49]).all()
    assert found[-1] == pytest.approx(per_s, abs=0.4)


@pytest.mark.parametrize("voice", ["en-us", "en-gb+f3"])
def test_rate_of_synthetic_speech_rises_with_its_speed(voice: str) -> None:
    rates = []
    for words_per_min in ("80", "120", "160", "220", "300"):
        clips = [espeak(text, "-v", voice, "-s", words_per_min) for text in SYLLABLES]
        seconds = sum(clip.size for clip in clips) / RATE_HZ
        rates.append(sum(int(peaks(clip).sum()) for clip in clips) / seconds)
    assert all(faster > 1.15 * slower for slower, faster in pairwise(rates))


@pytest.mark.parametrize(("words_per_min", "tolerance"), [("80", 0.1), ("120", 0.1), ("160", 0.1), ("220", 0.15)])
def test_count_is_close_to_the_syllables(words_per_min: str, tolerance: float) -> None:
    found = sum(int(peaks(espeak(text, "-v", "en-us", "-s", words_per_min)).sum()) for text in SYLLABLES)
    assert found == pytest.approx(sum(SYLLABLES.values()), rel=tolerance)


def test_telephone_band_and_noise_change_the_count_little() -> None:
    clean = espeak(PANGRAM, "-v", "en-us", "-s", "140").astype(np.float64)
    expected = int(peaks(clean).sum())
    band = signal.sosfilt(signal.butter(4, [300, 3_400], "bandpass", fs=RATE_HZ, output="sos"), clean)
    assert int(peaks(band).sum()) == pytest.approx(expected, rel=0.1)
    assert int(peaks(with_noise(clean, 15.0)).sum()) == pytest.approx(expected, rel=0.15)


def test_steady_noise_and_silence_have_no_syllables() -> None:
    assert peaks(np.random.default_rng(1).standard_normal(RATE_HZ * 20) * 0.05).sum() < 4
    assert peaks(np.zeros(RATE_HZ)).sum() == 0


def test_only_speech_counts() -> None:
    samples = bursts(4.0, 6.0).astype(np.float32)
    rate = SpeechRate(1)
    found = []
    for k in range(0, samples.size, 160):
        is_speech = np.array([k < 2 * RATE_HZ])
        found.append(rate.process(samples[None, k : k + 160], is_speech))
        if k == 2 * RATE_HZ:
            assert found[-1].per_s[0] == pytest.approx(4.0, abs=0.6)
    assert rate.state["sums"][0].tolist() == [0, 0]


def test_a_row_depends_neither_on_its_place_nor_on_the_others() -> None:
    rows = np.stack([bursts(2.0 + 0.4 * k, 2.0) for k in range(11)]).astype(np.float32)
    together = SpeechRate(11)
    alone = [SpeechRate(1) for _ in range(11)]
    for k in range(0, rows.shape[1], 160):
        all_rows = together.process(rows[:, k : k + 160])
        for row in range(11):
            one = alone[row].process(rows[row : row + 1, k : k + 160])
            assert one.peaks[0] == all_rows.peaks[row]
            assert np.array_equal(one.per_s[0], all_rows.per_s[row], equal_nan=True)


def test_retire_moves_the_last_row() -> None:
    rows = np.stack([bursts(3.0, 3.0), bursts(5.0, 3.0), bursts(7.0, 3.0)]).astype(np.float32)
    rate = SpeechRate(3)
    for k in range(0, rows.shape[1], 160):
        expected = rate.process(rows[:, k : k + 160]).per_s.copy()
    rate.retire(0, 2)
    moved = rate.process(rows[[2, 1], :160]).per_s
    assert moved == pytest.approx(expected[[2, 1]], abs=0.5)
