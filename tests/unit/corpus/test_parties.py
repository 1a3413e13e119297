"""Two parties in one channel: told apart by their voices, each on a channel of its own."""

import numpy as np
import pytest

from rtemo.corpus.diarisation import Diariser, Piece
from rtemo.corpus.parties import PartyFinder, channels_of
from rtemo.corpus.settings import RATE_HZ
from rtemo.corpus.speech import Stretch

pytestmark = pytest.mark.unit


class ByPitch:
    """An embedder for which the strongest frequency is the voice."""

    def embed_stretches(self, sounds):
        peaks = [np.argmax(np.abs(np.fft.rfft(x, RATE_HZ))) for x in sounds]
        angles = np.array(peaks) / 1000.0 * np.pi
        return np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


class Known:
    """A finder of speech that was told where there is some."""

    def __init__(self, stretches):
        self.stretches = stretches

    def find(self, samples, pause_s):
        return self.stretches


def hum(seconds, hz):
    return np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ).astype(np.float32)


def turns(*voices):
    """String hums of (seconds, Hz) together with pauses of a second; gives the sound and where each is."""
    parts, stretches, at = [], [], 0
    for seconds, hz in voices:
        parts += [hum(seconds, hz), np.zeros(RATE_HZ, np.float32)]
        stretches.append(Stretch(at, at + round(seconds * RATE_HZ)))
        at += round(seconds * RATE_HZ) + RATE_HZ
    return np.concatenate(parts), stretches


def test_two_voices_are_two_parties_in_the_order_in_which_they_are_heard():
    sound, stretches = turns((6, 400), (6, 100), (6, 400))
    told = PartyFinder(Known(stretches), ByPitch()).tell(sound)
    assert [piece.speaker for piece in told.pieces] == [0, 1, 0]
    assert told.unsure_samples == 0


def test_a_third_voice_that_says_little_is_no_party():
    sound, stretches = turns((20, 100), (20, 500), (5, 900))
    assert len(Diariser(ByPitch(), 0.8).tell(sound, stretches).voices) == 3
    told = PartyFinder(Known(stretches), ByPitch()).tell(sound)
    assert [piece.speaker for piece in told.pieces][:2] == [0, 1]
    assert {piece.speaker for piece in told.pieces} == {0, 1}


def test_two_voices_that_are_nearly_alike_are_told_apart_since_there_are_two():
    sound, stretches = turns((8, 300), (8, 470), (8, 300), (8, 470))
    assert len(Diariser(ByPitch(), 0.6).tell(sound, stretches).voices) == 1
    told = PartyFinder(Known(stretches), ByPitch()).tell(sound)
    assert [piece.speaker for piece in told.pieces] == [0, 1, 0, 1]


def test_what_might_be_either_is_given_to_neither():
    sound, stretches = turns((8, 100), (8, 500), (3, 300), (8, 100))
    for least_margin, expected in ((0.0, 4), (0.2, 3)):
        told = PartyFinder(Known(stretches), ByPitch(), least_margin).tell(sound)
        assert len(told.pieces) == expected
        assert told.unsure_samples == (3 * RATE_HZ if expected == 3 else 0)


def test_silence_and_one_voice_are_no_trouble():
    assert PartyFinder(Known([]), ByPitch()).tell(hum(1, 100)).pieces == []
    sound, stretches = turns((8, 200), (8, 200))
    told = PartyFinder(Known(stretches), ByPitch(), 0.2).tell(sound)
    assert sum(piece.end - piece.start for piece in told.pieces) <= 16 * RATE_HZ


def test_each_party_has_its_speech_and_silence_where_the_other_speaks():
    sound = hum(10, 300) + np.float32(0.5)
    pieces = [
        Piece(16_000, 48_000, 0),
        Piece(48_000, 80_000, 1),
        Piece(100_000, 120_000, 1),
        Piece(121_000, 140_000, 0),
    ]
    out = channels_of(sound, pieces)
    assert out.shape == (2, len(sound))
    for piece in pieces:
        inside = slice(piece.start + 320, piece.end - 320)
        np.testing.assert_array_equal(out[piece.speaker, inside], sound[inside])
        assert not out[1 - piece.speaker, inside].any()
    np.testing.assert_array_equal(out[0, 12_400:16_000], sound[12_400:16_000])  # a quarter of a second before
    assert not out[:, :11_900].any()
    assert not out[0, 120_600:120_400].any()
    assert np.abs(out.sum(axis=0)).max() <= np.abs(sound).max() + 1e-6  # nothing is there twice
    steps = np.abs(np.diff(out, axis=1)).max()
    assert steps < np.abs(np.diff(sound)).max() + 0.02  # no click
