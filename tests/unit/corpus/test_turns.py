"""Turns are of a length that people can judge, cut at pauses, and nothing is lost without a reason."""

import itertools

import numpy as np
import pytest

from rtemo.corpus.diarisation import Diariser, Piece
from rtemo.corpus.settings import RATE_HZ, CorpusSettings
from rtemo.corpus.speech import Stretch, stretches
from rtemo.corpus.turns import TOO_LONG, TOO_SHORT, cut_turns
from rtemo.dsp.voice_path import best_path

pytestmark = pytest.mark.unit

SETTINGS = CorpusSettings()


def pieces(*told: tuple[float, float, int]) -> list[Piece]:
    return [Piece(round(start * RATE_HZ), round(end * RATE_HZ), speaker) for start, end, speaker in told]


def test_short_pieces_of_one_voice_are_joined_over_short_pauses():
    turns, lost = cut_turns(pieces((1.0, 2.5, 0), (2.9, 4.5, 0)), SETTINGS)
    assert [turn.pieces for turn in turns] == [2]
    assert turns[0].start < 1.0 * RATE_HZ
    assert turns[0].end > 4.5 * RATE_HZ
    assert not lost


def test_a_turn_never_holds_two_voices():
    turns, lost = cut_turns(pieces((0.0, 2.0, 0), (2.0, 4.0, 1), (4.0, 6.0, 0)), SETTINGS)
    assert not turns
    assert [one.reason for one in lost] == [TOO_SHORT] * 3


def test_a_long_speech_is_cut_at_its_pauses_into_turns_of_at_most_eleven_seconds():
    told = pieces(*((4.0 * k, 4.0 * k + 3.5, 0) for k in range(10)))
    turns, lost = cut_turns(told, SETTINGS)
    assert sum(turn.pieces for turn in turns) == 10
    assert not lost
    assert all(2.75 <= (turn.end - turn.start) / RATE_HZ <= 11.0 for turn in turns)
    assert all(a.end <= b.start for a, b in itertools.pairwise(turns))


def test_speech_without_a_pause_for_longer_is_dropped_with_that_reason():
    _, lost = cut_turns(pieces((0.0, 12.0, 0), (13.5, 15.0, 0)), SETTINGS)
    assert [one.reason for one in lost] == [TOO_LONG, TOO_SHORT]


@pytest.mark.parametrize("seed", range(20))
def test_every_piece_is_in_one_turn_or_lost_with_a_reason(seed):
    random = np.random.default_rng(seed)
    told, at = [], 0.0
    for _ in range(60):
        length = float(random.exponential(3.0)) + 0.2
        told.append((at, at + length, int(random.integers(3))))
        at += length + float(random.uniform(0.3, 1.6))
    turns, lost = cut_turns(pieces(*told), SETTINGS)
    assert sum(turn.pieces for turn in turns) + len(lost) == 60
    for turn in turns:
        assert 2.75 <= (turn.end - turn.start) / RATE_HZ <= 11.0 + 1e-6
        inside = [one for one in pieces(*told) if one.start < turn.end and one.end > turn.start]
        assert {one.speaker for one in inside} == {turn.speaker}


def test_speech_ends_at_a_pause_and_goes_on_over_a_shorter_one():
    speech = [1.0] * 20 + [0.0] * 5 + [1.0] * 20 + [0.0] * 12 + [1.0] * 20  # windows of 32 ms
    found = stretches(np.array(speech, np.float32), 0.3)
    assert found == [Stretch(0, 45 * 512), Stretch(57 * 512, 77 * 512)]


class ByPitch:
    """An embedder for which the strongest frequency is the voice."""

    def embed_stretches(self, sounds):
        peaks = [np.argmax(np.abs(np.fft.rfft(x, RATE_HZ))) for x in sounds]
        angles = np.array(peaks) / 1000.0 * np.pi
        return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def hum(seconds: float, hz: float) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ).astype(np.float32)


def test_voices_are_told_apart_even_without_a_pause_between_them():
    sound = np.concatenate([hum(8, 100), hum(8, 400), hum(8, 100)])
    found = Diariser(ByPitch(), 0.8).tell(sound, [Stretch(0, len(sound))])
    assert [piece.speaker for piece in found.pieces] == [0, 1, 0]
    changes_s = [piece.start / RATE_HZ for piece in found.pieces[1:]]
    assert np.abs(np.array(changes_s) - [8.0, 16.0]).max() < 0.6


def test_one_voice_stays_one():
    sound = hum(30, 200)
    found = Diariser(ByPitch(), 0.8).tell(sound, [Stretch(0, 160_000), Stretch(200_000, len(sound))])
    assert {piece.speaker for piece in found.pieces} == {0}
    assert len(found.voices) == 1


def test_silence_has_no_voice():
    assert Diariser(ByPitch(), 0.8).tell(hum(1, 100), []).pieces == []


def test_a_short_lapse_is_cheaper_than_two_changes():
    scores = np.array([[1.0, 0.0]] * 5 + [[0.4, 0.6]] * 2 + [[1.0, 0.0]] * 5)
    assert best_path(scores, 1.5).tolist() == [0] * 12


class ByName:
    """An embedder that knows a hundred voices by their frequency, with some noise on each window."""

    def __init__(self) -> None:
        random = np.random.default_rng(0)
        self._voices = random.normal(size=(4000, 64)) / 8
        self._random = random

    def embed_stretches(self, sounds):
        peaks = [int(np.argmax(np.abs(np.fft.rfft(x, RATE_HZ)))) for x in sounds]
        vectors = self._voices[peaks] + self._random.normal(size=(len(peaks), 64)) / 16
        return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_a_hundred_speakers_are_a_hundred():
    sound = np.concatenate([hum(5, 100 + 30 * k) for k in range(100)])
    speech = [Stretch(k * 80_000, k * 80_000 + 78_000) for k in range(100)]
    found = Diariser(ByName(), 0.6).tell(sound, speech)
    assert [piece.speaker for piece in found.pieces] == list(range(100))
