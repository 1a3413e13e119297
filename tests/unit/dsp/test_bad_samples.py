from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from rtemo.dsp.filters import Biquads, Section
from rtemo.dsp.level import LevelMeter
from rtemo.dsp.logmel import LogMel
from rtemo.dsp.pitch import PitchTracker
from rtemo.dsp.rate import SpeechRate
from rtemo.dsp.resample import PolyphaseResampler
from rtemo.dsp.stft import Istft, Stft, hann_windows

from .speech import vowel

pytestmark = pytest.mark.unit

Step = Callable[[NDArray[np.float32]], NDArray[Any]]


def filters() -> Step:
    return Biquads(2, [Section.dc_blocker(20.0, 16_000)]).process


def level() -> Step:
    meter = LevelMeter(2)
    return lambda x: np.nan_to_num(meter.process(x).noise_power, nan=-1.0)


def logmel() -> Step:
    return LogMel(2).process


def pitch() -> Step:
    tracker = PitchTracker(2)
    return lambda x: tracker.process(x).hz


def rate() -> Step:
    counter = SpeechRate(2)
    return lambda x: counter.process(x).peaks


def resampler() -> Step:
    return PolyphaseResampler(16_000, 8_000, channels=2).process


def stft() -> Step:
    analysis, synthesis = hann_windows(320, 160)
    forward, back = Stft(2, analysis), Istft(2, synthesis, frame_samples=320)
    return lambda x: back.process(forward.process(x))


PARTS = (filters, level, logmel, pitch, rate, resampler, stft)


@pytest.mark.parametrize("make", PARTS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 3e38])
def test_a_bad_hop_is_forgotten_within_a_second_and_never_reaches_the_other_stream(
    make: Callable[[], Step], bad: float
) -> None:
    syllables = 0.55 - 0.45 * np.cos(2 * np.pi * 4.0 * np.arange(48_000) / 16_000)
    voices = np.stack([vowel(np.full(48_000, 120.0)), vowel(np.full(48_000, 210.0))])
    samples = (voices * syllables).astype(np.float32)
    broken = samples.copy()
    broken[0, 16_000:16_160] = bad
    good_step, bad_step = make(), make()
    for k in range(0, 48_000, 160):
        expected = good_step(samples[:, k : k + 160]).copy()
        got = bad_step(broken[:, k : k + 160])
        assert np.array_equal(got[1], expected[1])
        if k >= 32_000:
            assert np.allclose(got[0], expected[0], rtol=0.2, atol=1e-5)
