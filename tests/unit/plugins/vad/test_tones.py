"""Sounds of a telephone line are named and are never speech."""

import numpy as np
import pytest

from bench.quality.vad.corpus import telephone
from bench.quality.vad.telephony import CALL_PROGRESS, DIGITS, at_level, digits, hum, music, tone
from rtemo.api import Quality, SpeechStart, Tone
from rtemo.engine import registry
from tests.contract.harness import Rig
from tests.fakes.voice import voice

pytestmark = pytest.mark.unit

RATE_HZ = 16_000
EXPECTED = {
    "dial US": "dial", "dial EU": "dial", "ringback US": "ringback", "ringback EU": "ringback",
    "ringback UK": "ringback", "busy US": "busy", "busy EU": "busy", "reorder US": "congestion",
    "fax CNG": "facsimile", "fax CED": "facsimile", "1 kHz": "tone",
}  # fmt: skip


def hear(**sounds: np.ndarray):
    """Play sounds as streams that begin together; give the events of each."""
    rig = Rig(registry.make("vad"), capacity=len(sounds), keep=False)
    heard = rig.play({name: sound.astype(np.float32) for name, sound in sounds.items()})
    return {name: one.events for name, one in heard.items()}


def of(kind: type, events) -> list:
    return [event for event in events if isinstance(event.data, kind)]


@pytest.mark.parametrize("dbfs", [-40.0, -12.0])
def test_tones_of_call_progress_are_named_and_are_no_speech(dbfs):
    sounds = {name: telephone(at_level(tone(*CALL_PROGRESS[name], 8.0), dbfs)) for name in CALL_PROGRESS}
    for name, events in hear(**sounds).items():
        assert {event.data.name for event in of(Tone, events)} == {EXPECTED[name]}, name
        assert not of(SpeechStart, events), name


@pytest.mark.parametrize("on_s", [0.05, 0.08, 0.2])
def test_every_digit_is_read_and_is_no_speech(on_s):
    text = "".join(DIGITS)
    sound = at_level(np.concatenate([np.zeros(RATE_HZ), digits(text, on_s, on_s), np.zeros(RATE_HZ)]), -20.0)
    for events in hear(wide=sound, telephone=telephone(sound)).values():
        assert "".join(event.data.digit for event in of(Tone, events)) == text
        assert not of(SpeechStart, events)
        for k, event in enumerate(of(Tone, events)):
            assert event.start_sample == pytest.approx((1.0 + 2 * on_s * k) * RATE_HZ, abs=0.02 * RATE_HZ)
            assert event.data.frequencies_hz == DIGITS[event.data.digit]


def test_music_and_hum_are_named_and_are_no_speech():
    sounds = {kind: at_level(music(kind, 12.0, 5), -25.0) for kind in ("chords", "melody", "strings", "pop")}
    found = hear(**sounds, hum=at_level(hum(50, 12.0), -25.0))
    for name, events in found.items():
        assert not of(SpeechStart, events), name
        assert {event.data.name for event in of(Tone, events)} <= {"tone" if name == "hum" else "music"}, name
    assert of(Tone, found["chords"])


def low_hum(pitch_hz: float, harmonics: int, slope: float = 1.0) -> np.ndarray:
    t = np.arange(2 * RATE_HZ) / RATE_HZ
    phases = np.random.default_rng(0).uniform(0, 2 * np.pi, harmonics)
    partials = (k**-slope * np.sin(2 * np.pi * pitch_hz * k * t + phases[k - 1]) for k in range(1, harmonics + 1))
    return at_level(sum(partials), -25.0)


def test_hum_of_any_pitch_is_no_speech_from_its_first_sample_on():
    sounds = {}
    for pitch_hz in range(50, 121, 10):
        for harmonics in (1, 2, 3, 4, 6, 12):
            hummed = low_hum(pitch_hz, harmonics)
            sounds[f"{pitch_hz} Hz, {harmonics}"] = hummed
            sounds[f"{pitch_hz} Hz, {harmonics}, telephone"] = telephone(hummed)
            sounds[f"{pitch_hz} Hz, {harmonics}, flat, a moment later"] = np.pad(
                low_hum(pitch_hz, harmonics, 0), (900, 0)
            )
    wrong = [name for name, events in hear(**sounds).items() if of(SpeechStart, events)]
    assert wrong == []


def test_speech_that_begins_with_the_stream_is_heard_from_its_beginning():
    for seed in range(4):
        sound = voice(3.0, seed)
        begin = int(np.flatnonzero(np.abs(sound) > 0.01)[0]) + 2_000  # in the midst of its first syllable
        [start, *_] = of(SpeechStart, hear(a=sound[begin:])["a"])
        assert start.start_sample < 0.15 * RATE_HZ


def test_speech_is_heard_after_a_tone_and_after_music():
    for before in (tone((440, 480), (), 4.0), music("strings", 8.0, 6)):
        before = at_level(before, -20.0)
        sound = np.concatenate([before, np.zeros(RATE_HZ // 2), voice(4.0, 1)])
        starts = of(SpeechStart, hear(a=sound)["a"])
        assert starts
        assert len(before) < starts[0].start_sample < len(before) + 1.5 * RATE_HZ


def test_a_voice_dials_nothing():
    found = hear(**{f"{seed}": voice(30.0, seed) for seed in range(4)})
    assert not [event for events in found.values() for event in of(Tone, events)]


def test_ten_seconds_of_sound_without_speech_are_reported_once():
    noise = np.random.default_rng(0).normal(0, 0.03, 25 * RATE_HZ)
    [event] = of(Quality, hear(a=noise)["a"])
    assert event.data.problem == "no_speech"
    assert event.start_sample == 0
    assert event.end_sample == 10 * RATE_HZ
    assert not of(Quality, hear(a=voice(15.0, 1))["a"])
