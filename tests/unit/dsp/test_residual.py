"""What linear prediction leaves: pulses are peaked, noise is not, gain does not matter, rows are strangers."""

import numpy as np
import pytest

from rtemo.dsp.residual import VALUES, Residual

pytestmark = pytest.mark.unit

HOP, FRAME, HOPS = 160, 320, 40


def pulses(random: np.random.Generator, pitch_hz: float = 125.0) -> np.ndarray:
    """A buzz through two resonances, with a little noise."""
    from scipy.signal import lfilter

    source = np.zeros(HOP * HOPS)
    source[:: int(16_000 / pitch_hz)] = 1.0
    for hz, width_hz in ((600.0, 80.0), (1700.0, 120.0)):
        r = np.exp(-np.pi * width_hz / 16_000)
        source = lfilter([1.0], [1.0, -2 * r * np.cos(2 * np.pi * hz / 16_000), r * r], source)
    return (0.02 * source + 1e-5 * random.standard_normal(len(source))).astype(np.float32)


def streamed(samples: np.ndarray) -> np.ndarray:
    """All hops of streams [n, samples], one at a time, float32 [hops, n, values]."""
    residual = Residual(len(samples))
    for row in range(len(samples)):
        residual.admit(row)
    return np.stack([residual.process(samples[:, k * HOP : (k + 1) * HOP]).copy() for k in range(HOPS)])


def test_streaming_gives_what_frames_cut_beforehand_give() -> None:
    clip = pulses(np.random.default_rng(0))
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(clip, (FRAME - HOP, 0)), FRAME)[::HOP]
    np.testing.assert_allclose(streamed(clip[None])[:, 0], Residual(1).of_frames(frames), atol=1e-5)


def test_pulses_leave_a_peaked_residual_and_noise_does_not() -> None:
    random = np.random.default_rng(1)
    noise = (0.05 * random.standard_normal(HOP * HOPS)).astype(np.float32)
    kurtosis, _, spread, gain = np.median(streamed(np.stack([pulses(random), noise]))[5:], axis=0).T
    assert np.exp(kurtosis[0]) > 10
    assert np.exp(kurtosis[1]) < 7  # 3 but for the window
    assert spread[0] < 0.5 < spread[1]
    assert gain[0] > gain[1] + 2


def test_gain_does_not_matter() -> None:
    clip = pulses(np.random.default_rng(2))
    np.testing.assert_allclose(streamed(clip[None])[4:], streamed(0.3 * clip[None])[4:], atol=0.05, rtol=0.02)


def test_a_row_hears_nothing_of_the_others_and_silence_is_finite() -> None:
    random = np.random.default_rng(3)
    rows = (0.1 * random.standard_normal((11, HOP * HOPS))).astype(np.float32)
    rows[4] = 0
    together = streamed(rows)
    assert together.shape == (HOPS, 11, VALUES)
    assert np.isfinite(together).all()
    for row in (0, 4, 10):
        np.testing.assert_array_equal(together[:, row], streamed(rows[row : row + 1])[:, 0])
