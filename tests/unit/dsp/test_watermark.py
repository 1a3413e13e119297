"""The watermark is found in what carries it, after the telephone and MP3, and nowhere else."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtemo.dsp.companding import decode_mulaw, encode_mulaw
from rtemo.dsp.resample import resample
from rtemo.dsp.watermark import THRESHOLD, Watermarker, add_watermark, find_watermark

pytestmark = pytest.mark.unit

CALL = Path(__file__).parents[3] / "examples" / "call.flac"
RATE_HZ = 16_000


@pytest.fixture(scope="module")
def speech():
    samples, rate_hz = soundfile.read(CALL, dtype="float32", always_2d=True)
    loudest = samples[:, np.argmax((samples**2).sum(axis=0))]
    mono = resample(np.ascontiguousarray(loudest), rate_hz, RATE_HZ)
    return mono[np.abs(mono) > 0][: 6 * RATE_HZ] if len(mono) < RATE_HZ else mono


@pytest.fixture(scope="module")
def marked(speech):
    return add_watermark(speech)


def through_mulaw(samples):
    narrow = resample(samples, RATE_HZ, 8_000)
    return decode_mulaw(encode_mulaw(np.clip(narrow, -1, 1)))


def through_mp3(samples, level=0.8):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, RATE_HZ, "MPEG_LAYER_III", format="MP3", compression_level=level)
    buffer.seek(0)
    return soundfile.read(buffer, dtype="float32")[0]


def test_genuine_speech_carries_none(speech):
    found = find_watermark(speech)
    assert not found.is_found
    assert found.score < THRESHOLD


def test_marked_speech_is_found(marked):
    assert find_watermark(marked).is_found


def test_it_survives_the_telephone(marked):
    assert find_watermark(through_mulaw(marked), 8_000).is_found


def test_it_survives_mp3(marked):
    assert find_watermark(through_mp3(marked)).is_found


def test_it_survives_being_cut_and_made_quieter(marked):
    assert find_watermark(0.2 * marked[12_345:]).is_found


def test_a_marked_stretch_in_a_genuine_recording_is_found_where_it_is(speech):
    start, end = 4 * RATE_HZ, 8 * RATE_HZ
    mixed = speech.copy()
    mixed[start:end] = add_watermark(speech[start:end])
    found = find_watermark(mixed)
    assert found.is_found
    assert 2.0 < found.start_s < 8.0


def test_it_does_not_depend_on_how_the_sound_is_cut(speech, marked):
    random = np.random.default_rng(3)
    maker, parts, at = Watermarker(), [], 0
    while at < len(speech):
        size = int(random.integers(1, 3_000))
        parts.append(maker.process(speech[at : at + size]))
        at += size
    parts.append(maker.flush())
    joined = np.concatenate(parts)
    assert len(joined) == len(speech)
    np.testing.assert_allclose(joined, marked, atol=1e-6)


def test_it_changes_little(speech, marked):
    change_db = 10 * np.log10(np.mean((marked - speech) ** 2) / np.mean(speech**2))
    assert change_db < -10


@pytest.mark.parametrize("size", [0, 1, 100, 700])
def test_what_is_too_short_to_tell_is_not_found(size):
    sound = np.full(size, 0.1, np.float32)
    assert len(add_watermark(sound)) == size
    assert find_watermark(sound).score < THRESHOLD


def test_silence_and_a_tone_carry_none():
    time_s = np.arange(3 * RATE_HZ) / RATE_HZ
    assert not find_watermark(np.zeros(3 * RATE_HZ, np.float32)).is_found
    assert not find_watermark(np.sin(2 * np.pi * 440 * time_s).astype(np.float32)).is_found
