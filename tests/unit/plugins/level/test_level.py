"""The level meter reads what was put in."""

import numpy as np
import pytest

from rtemo.api import HopFlag
from rtemo.engine import registry
from tests.contract.harness import HOP, Rig

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


def play(sound: np.ndarray, **options):
    return Rig(registry.make("level", options)).play({"a": sound.astype(np.float32)})["a"]


def sine(duration_s: float, amplitude: float) -> np.ndarray:
    return amplitude * np.sin(2 * np.pi * 1000 * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ)


def test_sine_reads_three_decibels_below_its_peak():
    heard = play(sine(1.0, 0.1))
    np.testing.assert_allclose(heard.mark("level.rms_dbfs")[:100], -23.01, atol=0.01)
    np.testing.assert_allclose(heard.mark("level.peak_dbfs")[:100], -20.0, atol=0.01)
    event = heard.events[0]
    assert (event.start_sample, event.end_sample) == (0, RATE_HZ)
    assert event.data.rms_dbfs == pytest.approx(-23.01, abs=0.01)
    assert event.data.peak_dbfs == pytest.approx(-20.0, abs=0.01)
    assert event.data.clipped_ratio == 0.0


def test_events_come_once_per_interval_and_the_rest_at_the_end():
    spans = [(e.start_sample, e.end_sample) for e in play(sine(1.3, 0.1), interval_s=0.5).events]
    assert spans[:2] == [(0, 8000), (8000, 16000)]
    assert len(spans) == 3
    assert spans[2][0] == 16000


def test_level_of_an_interval_is_that_of_its_power_not_of_its_decibels():
    [event] = play(np.concatenate([sine(0.5, 0.2), np.zeros(RATE_HZ // 2)])).events
    assert event.data.rms_dbfs == pytest.approx(-13.98 - 3.01 - 3.01, abs=0.02)


def test_clipped_samples_are_counted():
    sound = sine(1.0, 0.5)
    sound[:160] = 1.0
    heard = play(sound)
    assert heard.mark("level.clipped_samples")[:3].tolist() == [160, 0, 0]
    assert heard.events[0].data.clipped_ratio == pytest.approx(0.01)


def test_silence_reads_the_floor():
    event = play(np.zeros(RATE_HZ)).events[0]
    assert event.data.rms_dbfs == event.data.peak_dbfs == -120.0


def test_background_is_found_beneath_speech():
    noise = np.random.default_rng(0).normal(0, 10 ** (-60 / 20), 4 * RATE_HZ)
    bursts = sine(4.0, 0.2) * (np.arange(4 * RATE_HZ) // 4800 % 2)
    heard = play(noise + bursts)
    assert heard.events[-2].data.noise_dbfs == pytest.approx(-60.0, abs=3.0)
    assert np.isnan(heard.mark("level.noise_dbfs")[:20]).all()


def test_made_up_audio_is_not_measured():
    rig = Rig("level")
    rig.admit("a")
    for k in range(100):
        is_real = k < 30
        hop = sine(0.01, 0.1) if is_real else np.full(HOP, 0.9)
        rig.tick({"a": hop.astype(np.float32)}, {"a": 0 if is_real else int(HopFlag.CONCEALED)})
    [event] = rig.heard["a"].events
    assert event.data.peak_dbfs == pytest.approx(-20.0, abs=0.01)
    assert event.data.rms_dbfs == pytest.approx(-23.01, abs=0.01)


def test_interval_without_any_audio_is_not_reported():
    rig = Rig("level")
    rig.admit("a")
    for _ in range(120):
        rig.tick({"a": np.zeros(HOP, np.float32)}, {"a": int(HopFlag.CONCEALED)})
    assert rig.heard["a"].events == []
