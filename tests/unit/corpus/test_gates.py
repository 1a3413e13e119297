"""What is no clean speech of one person for the first time does not pass."""

import numpy as np
import pytest

from rtemo.corpus.fingerprint import Fingerprints, fingerprint
from rtemo.corpus.pipeline import count_words
from rtemo.corpus.settings import RATE_HZ, CorpusSettings
from rtemo.corpus.voices import KnownSpeakers, change_of_sound, gender_of, low_pitch_hz
from rtemo.dsp.amplitude_snr import wada_snr_db
from rtemo.dsp.music import music_share, steadiness
from rtemo.testing.voice import voice

pytestmark = pytest.mark.unit

STEADY = CorpusSettings().steady


def organ(seconds: float) -> np.ndarray:
    """Chords of held notes."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = np.zeros(len(time_s))
    for place, root in enumerate((220.0, 293.7, 329.6, 220.0) * 8):
        part = slice(place * RATE_HZ * 2, (place + 1) * RATE_HZ * 2)
        for step in (1.0, 1.26, 1.5):
            for harmonic in (1, 2, 3):
                sound[part] += np.sin(2 * np.pi * root * step * harmonic * time_s[part]) / harmonic
    return (0.05 * sound).astype(np.float32)


@pytest.mark.parametrize("snr_db", [0.0, 10.0, 20.0, 30.0])
def test_the_ratio_of_made_up_speech_to_noise_is_told_within_a_decibel(snr_db):
    random = np.random.default_rng(0)
    speech = random.gamma(0.4, 1.0, 200_000) * random.choice([-1, 1], 200_000)
    noise = random.standard_normal(200_000) * np.sqrt(np.mean(speech**2)) / 10 ** (snr_db / 20)
    assert wada_snr_db((0.02 * (speech + noise)).astype(np.float32)) == pytest.approx(snr_db, abs=1.0)


def test_silence_is_noise():
    assert wada_snr_db(np.zeros(1000, np.float32)) == -20.0


def test_music_is_steady_and_speech_is_not_and_both_together_are_music():
    speech, music = voice(20, seed=3), organ(20)
    for sound, share in ((speech, 0.0), (music, 1.0), (speech + music, 1.0)):
        assert music_share(steadiness(sound), 0, len(sound), STEADY) == pytest.approx(share, abs=0.1)


def test_only_the_part_of_a_turn_that_is_music_counts():
    sound = np.concatenate([voice(20, seed=3), organ(20)])
    share = music_share(steadiness(sound), 16 * RATE_HZ, 24 * RATE_HZ, STEADY)
    assert 0.3 < share < 0.7


def test_a_turn_is_known_again_after_another_cut_level_and_codec():
    from rtemo.dsp.companding import decode_mulaw, encode_mulaw

    known = Fingerprints()
    sounds = {f"{seed}": voice(9, seed=seed) for seed in range(8)}
    for unit, sound in sounds.items():
        known.add(unit, fingerprint(sound))
    changed = decode_mulaw(encode_mulaw(0.3 * sounds["5"][7_777:-9_999]))
    assert known.twin_of(fingerprint(changed)) == "5"
    assert known.twin_of(fingerprint(voice(9, seed=99))) == ""
    assert known.twin_of(fingerprint(np.zeros(60_000, np.float32))) == ""


def mouth(seconds: float, seed: int) -> np.ndarray:
    """Noise through one resonance, whose place the seed gives: what a mouth and a room do to any sound."""
    random = np.random.default_rng(seed)
    spectrum = np.fft.rfft(random.standard_normal(round(seconds * RATE_HZ)))
    hz = np.fft.rfftfreq(round(seconds * RATE_HZ), 1 / RATE_HZ)
    shape = 0.1 + np.exp(-(((hz - 500 * (1 + seed)) / 400) ** 2))
    return (0.05 * np.fft.irfft(spectrum * shape)).astype(np.float32)


@pytest.mark.parametrize("second_s", [1.5, 4.0])
def test_another_mouth_is_heard_for_a_second_and_at_any_level(second_s):
    steps = np.repeat(np.random.default_rng(0).uniform(0.3, 1.0, 40), RATE_HZ // 8).astype(np.float32)
    one = change_of_sound(mouth(5.0, 1) * steps)
    assert one < CorpusSettings().most_changed
    two = np.concatenate([mouth(5.0 - second_s, 1), mouth(second_s, 2)])
    assert change_of_sound(two * steps) == pytest.approx(change_of_sound(0.01 * two * steps), rel=0.05)
    assert change_of_sound(two * steps) > CorpusSettings().most_changed
    assert change_of_sound(mouth(1.0, 1)) == change_of_sound(np.zeros(0, np.float32)) == 0.0


def test_pitch_tells_high_voices_from_low_ones():
    time_s = np.arange(4 * RATE_HZ) / RATE_HZ
    for hz, gender in ((110.0, "Male"), (220.0, "Female")):
        sound = sum(np.sin(2 * np.pi * hz * k * time_s) / k for k in range(1, 8)).astype(np.float32) * 0.1
        assert low_pitch_hz(sound) == pytest.approx(hz, rel=0.02)
        assert gender_of(low_pitch_hz(sound)) == gender
    assert low_pitch_hz(np.zeros(RATE_HZ * 2, np.float32)) == 0.0


def test_speakers_of_another_recording_are_found_again_and_two_of_one_are_never_one():
    random = np.random.default_rng(0)
    a, b, c = (row / np.linalg.norm(row) for row in random.normal(size=(3, 64)))
    known = KnownSpeakers(0.8)
    assert known.place(np.array([a, b]), [10.0, 10.0]) == [1, 2]
    near = a + 0.2 * c
    assert known.place(np.array([c, near / np.linalg.norm(near)]), [5.0, 5.0]) == [3, 1]
    assert known.place(np.array([a, a]), [5.0, 5.0]) == [1, 4]


def test_known_speakers_are_the_same_when_they_are_replayed():
    random = np.random.default_rng(0)
    voices = random.normal(size=(4, 3, 16))
    voices /= np.linalg.norm(voices, axis=-1, keepdims=True)
    first, second = KnownSpeakers(0.3), KnownSpeakers(0.3)
    found = [first.place(one, [1.0, 2.0, 3.0]) for one in voices]
    for one, numbers in zip(voices[:2], found[:2], strict=True):
        second.place(one, [1.0, 2.0, 3.0], numbers)
    assert [second.place(one, [1.0, 2.0, 3.0]) for one in voices[2:]] == found[2:]


@pytest.mark.parametrize(
    ("text", "count"), [("", 0), ("Well … yes, I do!", 4), ("我不知道你在说什么", 4), ("Grüße, José", 2), ("- - -", 0)]
)
def test_words_are_counted_in_several_scripts(text, count):
    assert count_words(text) == count
