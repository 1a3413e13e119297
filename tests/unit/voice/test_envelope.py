"""Each sound is given the envelope that the recording gives to it; formants move and pitch stays."""

import numpy as np
import pytest

from rtemo.testing.voice import voice
from rtemo.voice.envelope import EnvelopeMatcher
from rtemo.voice.formants import before_playing, played_rate_hz, rendered
from tests.fakes.speaking import notes_voice

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


def filtered(samples, low_db, high_db):
    """Move what lies below and above 2 kHz by so many dB."""
    spectrum = np.fft.rfft(samples)
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return np.fft.irfft(spectrum * 10 ** (np.where(hz < 2_000, low_db, high_db) / 20), len(samples)).astype(np.float32)


def tilt_db(samples):
    """Level above 2.5 kHz over that below 1.5 kHz, in the middle frame of the louder half."""
    frames = samples[: len(samples) // 512 * 512].reshape(-1, 512) * np.hanning(512)
    power, hz = np.abs(np.fft.rfft(frames, axis=1)) ** 2, np.fft.rfftfreq(512, 1 / RATE_HZ)
    loud = power[power.sum(axis=1) > np.median(power.sum(axis=1))]
    return np.median(10 * np.log10(loud[:, hz > 2_500].sum(axis=1) / loud[:, hz < 1_500].sum(axis=1)))


@pytest.fixture(scope="module")
def spoken():
    return voice(8.0, seed=3)


def test_a_colour_that_the_recording_has_is_given_to_other_words(spoken):
    copy, other = spoken[: 5 * RATE_HZ], spoken[5 * RATE_HZ :]
    made = EnvelopeMatcher(copy, filtered(copy, -3.0, 6.0)).matched(other)
    assert len(made) == len(other)
    assert tilt_db(made) - tilt_db(other) == pytest.approx(9.0, abs=3.0)


def test_the_level_of_each_moment_stays(spoken):
    copy, other = spoken[: 5 * RATE_HZ], spoken[5 * RATE_HZ :]
    made = EnvelopeMatcher(copy, 0.1 * filtered(copy, -3.0, 6.0)).matched(other)
    before, after = (np.sqrt((x[: 2 * RATE_HZ].reshape(-1, 800) ** 2).mean(axis=1)) for x in (other, made))
    loud = before > 0.1 * before.max()
    assert np.abs(20 * np.log10(after[loud] / before[loud])).max() < 3.0


def test_a_recording_like_its_copy_changes_nothing(spoken):
    copy, other = spoken[: 5 * RATE_HZ], spoken[5 * RATE_HZ :]
    made = EnvelopeMatcher(copy, copy).matched(other)
    assert np.abs(made - other).max() < 0.02 * np.abs(other).max()


def test_a_part_of_the_way_is_a_part_of_the_change(spoken):
    copy, other = spoken[: 5 * RATE_HZ], spoken[5 * RATE_HZ :]
    whole, half = (EnvelopeMatcher(copy, filtered(copy, -3.0, 6.0), share).matched(other) for share in (1.0, 0.5))
    assert tilt_db(half) - tilt_db(other) == pytest.approx((tilt_db(whole) - tilt_db(other)) / 2, abs=1.0)


@pytest.mark.parametrize("duration_s", [0.0, 0.01, 0.2])
def test_what_is_too_short_to_learn_from_is_left_alone(duration_s):
    short, other = voice(1.0, seed=1)[: round(duration_s * RATE_HZ)], voice(1.0, seed=2)
    assert np.array_equal(EnvelopeMatcher(short, short).matched(other), other)


def test_what_is_played_faster_is_planned_lower():
    notes = notes_voice()
    plan = notes.plan("abc abc abc", notes.voices["low"][0])
    one, other = rendered(notes, plan, 1.0), rendered(notes, plan, 1.25)
    assert len(other) == pytest.approx(len(one) / 1.25, rel=0.02)
    played = before_playing(plan, 1.25)
    assert np.allclose(played.pitch_hz * 1.25, plan.pitch_hz)
    assert before_playing(plan, 1.0) is plan


def test_rates_are_such_that_the_filter_between_them_is_short():
    assert played_rate_hz(24_000, 1.0) == 24_000
    assert played_rate_hz(24_000, 1.1111) % 500 == 0
