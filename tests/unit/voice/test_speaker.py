"""Voices are told apart, and references that no voice can be taken from are refused."""

import numpy as np
import pytest

from bench.quality.vad.telephony import music
from rtemo.runtime.store import ModelStore
from rtemo.testing.voice import voice
from rtemo.voice.errors import VoiceError
from rtemo.voice.reference import check_reference, check_spoken, melody_of
from rtemo.voice.speaker import SpeakerEmbedder, cosine, without_silence

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def embedder():
    return SpeakerEmbedder(ModelStore().load("speaker"))


def tone(hz, duration_s=4.0):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def test_an_embedding_has_length_one_and_does_not_depend_on_the_level(embedder):
    speech = voice(6.0, seed=1)
    embedded = embedder.embed(speech)
    assert embedded.shape == (256,)
    assert np.linalg.norm(embedded) == pytest.approx(1.0, abs=1e-5)
    assert cosine(embedder.embed(speech / 50), embedder.embed(speech / 100)) > 0.99


def test_a_voice_is_nearer_to_itself_than_to_another(embedder):
    one, again, other = voice(16.0, seed=1)[: 8 * RATE_HZ], voice(16.0, seed=1)[8 * RATE_HZ :], voice(8.0, seed=2)
    target = embedder.embed(one)
    assert cosine(target, embedder.embed(again)) > cosine(target, embedder.embed(other))


def test_pauses_are_left_out():
    speech = voice(10.0, seed=3)
    padded = np.concatenate([np.zeros(RATE_HZ, np.float32), speech, np.zeros(2 * RATE_HZ, np.float32)])
    assert abs(len(without_silence(padded)) - len(without_silence(speech))) <= 0.2 * RATE_HZ
    assert len(without_silence(speech)) < 0.9 * len(speech)


def test_pitch_is_tracked_where_it_is():
    half = round(0.5 * RATE_HZ)
    melody = melody_of(np.concatenate([tone(200, 0.5), tone(300, 0.5), np.zeros(half, np.float32)]))
    assert np.median(melody.pitch_hz[10:45]) == pytest.approx(200, rel=0.01)
    assert np.median(melody.pitch_hz[60:95]) == pytest.approx(300, rel=0.01)
    assert not melody.pitch_hz[110:].any()
    assert melody.range_semitones == pytest.approx(7.02, abs=0.2)


def test_a_good_reference_passes(embedder):
    check_reference(voice(6.0, seed=4), embedder)


@pytest.mark.parametrize(
    ("sound", "problem"),
    [
        (voice(6.0)[: RATE_HZ // 5], "holds 0.[0-9] s of sound|is silent"),
        (np.zeros(3 * RATE_HZ, np.float32), "is silent"),
        (0.1 * np.random.default_rng(0).standard_normal(4 * RATE_HZ).astype(np.float32), "hardly any voiced speech"),
        (np.concatenate([tone(hz, 0.5) for hz in (220, 247, 262, 294, 330, 349, 392, 440)]), "is music"),
    ],
    ids=["0.2 s", "silence", "noise", "a melody of notes"],
)
def test_what_no_voice_can_be_taken_from_is_one_clear_line(embedder, sound, problem):
    with pytest.raises(VoiceError, match=problem) as caught:
        check_reference(sound, embedder)
    assert "\n" not in str(caught.value)
    assert caught.value.mend


@pytest.mark.parametrize("kind", ["chords", "melody", "strings", "pop"])
def test_music_is_refused_whatever_it_is_played_by(kind):
    with pytest.raises(VoiceError, match="is music"):
        check_spoken(music(kind, 4.0, 7))


def test_a_word_is_enough_where_the_voice_is_known_already():
    word = voice(6.0, seed=4)[RATE_HZ : RATE_HZ + 8_000]
    check_spoken(word)
    with pytest.raises(VoiceError, match=r"at least 1\.2 s are needed"):
        check_spoken(word, least_s=1.2)


def test_two_voices_in_a_reference_are_refused():
    class Two:
        """Hears one voice in the first half and another in the second."""

        def embed_windows(self, samples):
            found = np.zeros((8, 256), np.float32)
            found[:4, 0] = found[4:, 1] = 1.0
            return found

    with pytest.raises(VoiceError, match="two voices speak"):
        check_reference(voice(8.0, seed=4), Two())
