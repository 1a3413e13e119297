"""Prosody of sounds whose pitch, range, rate and tilt are known."""

import numpy as np
import pytest
from scipy.signal import lfilter

from rtemo.api import Block, ConfigError, HopFlag
from rtemo.engine import registry
from tests.contract.harness import HOP, Context

pytestmark = pytest.mark.unit

RATE_HZ = 16_000
SILENCE, SPEECH, UNKNOWN = 0, 1, 255


def play(sound, speech=None, voice=None, flags=None, last=True, **options):
    """Run one stream with given marks; return the events and the two marks."""
    processor = registry.make("prosody", options).open(Context(), 1)
    processor.admit(0)
    hops = np.asarray(sound, np.float32)[: len(sound) // HOP * HOP].reshape(-1, HOP)
    count = len(hops)
    speech = np.full(count, SPEECH) if speech is None else speech
    voice = speech if voice is None else voice
    flags = np.zeros(count, np.uint8) if flags is None else flags
    events, pitches, voicings = [], [], []
    for k, hop in enumerate(hops):
        marks = {
            "vad.speech": np.array([speech[k]], np.uint8),
            "vad.voice": np.array([voice[k]], np.uint8),
            "prosody.pitch_hz": np.zeros(1, np.float32),
            "prosody.voicing": np.zeros(1, np.float32),
        }
        flag = int(flags[k]) | (int(HopFlag.LAST) if last and k == count - 1 else 0)
        position = np.array([k * HOP])
        block = Block(k, hop[None].copy(), np.zeros(1, np.int64), position, np.array([flag], np.uint8), marks)
        processor.process(block, lambda row, data, start, end: events.append((data, start, end)))
        pitches.append(float(marks["prosody.pitch_hz"][0]))
        voicings.append(float(marks["prosody.voicing"][0]))
    return events, np.array(pitches), np.array(voicings)


def buzz(duration_s: float, pitch_hz) -> np.ndarray:
    """Make a voice-like sound of one pitch, or of a pitch per sample."""
    size = round(duration_s * RATE_HZ)
    phase = np.cumsum(np.broadcast_to(pitch_hz, size)) / RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0)
    out = lfilter([1.0], [1.0, -0.9], pulses)
    return 0.1 * out / out.std()


def noise(duration_s: float) -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, round(duration_s * RATE_HZ))


@pytest.mark.parametrize("pitch_hz", [80.0, 120.0, 210.0, 320.0])
def test_pitch_of_a_buzz_is_found(pitch_hz):
    events, pitches, voicings = play(buzz(1.0, pitch_hz))
    [(data, start, end)] = events
    assert (start, end) == (0, RATE_HZ)
    assert data.pitch_hz == pytest.approx(pitch_hz, rel=0.01)
    assert data.pitch_range_semitones < 0.5
    assert data.voiced_ratio > 0.9
    assert data.speech_s == 1.0
    np.testing.assert_allclose(pitches[10:], pitch_hz, rtol=0.02)
    assert voicings[10:].min() > 0.75


def test_range_of_an_octave_glide_covers_its_middle_four_fifths():
    events, _, _ = play(buzz(1.0, 120.0 * 2 ** np.linspace(0, 1, RATE_HZ)))
    assert events[0][0].pitch_range_semitones == pytest.approx(0.8 * 12, abs=1.0)
    assert events[0][0].pitch_hz == pytest.approx(120.0 * 2**0.5, rel=0.05)


def test_noise_has_no_pitch():
    events, pitches, _ = play(noise(1.0))
    [(data, _, _)] = events
    assert data.pitch_hz is None
    assert data.pitch_range_semitones is None
    assert data.voiced_ratio < 0.05
    assert (pitches == 0).mean() > 0.95


def test_tilt_tells_a_dull_voice_from_a_bright_one():
    white = noise(1.0)
    brown = lfilter([0.1], [1, -0.98], white)
    flat, dull = (play(sound)[0][0][0].tilt_db_per_octave for sound in (white, brown))
    assert flat == pytest.approx(0.0, abs=1.0)
    assert dull == pytest.approx(-6.0, abs=1.5)


def test_rate_counts_syllables():
    time_s = np.arange(4 * RATE_HZ) / RATE_HZ
    events, _, _ = play(buzz(4.0, 120.0) * np.clip(np.sin(2 * np.pi * 4 * time_s), 0.01, 1))
    assert np.mean([data.rate_per_s for data, _, _ in events]) == pytest.approx(4.0, abs=0.5)


def test_one_event_per_second_of_speech_whatever_the_pauses():
    speech = np.full(500, SPEECH)
    voice = np.tile([1] * 25 + [0] * 25, 10)
    events, _, _ = play(buzz(5.0, 120.0), speech, voice)
    assert [(start // HOP, end // HOP) for _, start, end in events[:2]] == [(0, 175), (200, 375)]
    assert [data.speech_s for data, _, _ in events] == [1.0, 1.0, 0.5]


def test_end_of_a_turn_reports_half_a_second_and_forgets_less():
    half, less = (np.array([SPEECH] * hops + [SILENCE] * (200 - hops)) for hops in (60, 40))
    assert [data.speech_s for data, _, _ in play(buzz(2.0, 120.0), half)[0]] == [0.6]
    assert play(buzz(2.0, 120.0), less)[0] == []


def test_silence_is_not_reported():
    assert play(buzz(3.0, 120.0), np.full(300, SILENCE))[0] == []


def test_unknown_is_listened_to():
    assert len(play(buzz(2.0, 120.0), np.full(200, UNKNOWN))[0]) == 2


def test_made_up_audio_is_not_listened_to():
    flags = np.full(200, int(HopFlag.CONCEALED), np.uint8)
    assert play(buzz(2.0, 120.0), flags=flags)[0] == []


def test_stream_end_reports_the_rest():
    assert [data.speech_s for data, _, _ in play(buzz(1.7, 120.0))[0]] == [1.0, pytest.approx(0.7)]


def test_empty_pitch_range_is_refused():
    with pytest.raises(ConfigError, match=r"low_hz 300\.0 is not below high_hz 200\.0"):
        registry.make("prosody", {"low_hz": 300.0, "high_hz": 200.0}).open(Context(), 1)
