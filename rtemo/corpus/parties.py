"""Parties: two people who share one channel, told apart by their voices; an estimate, however sure it looks."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.corpus.diarisation import Diariser, Piece
from rtemo.corpus.settings import RATE_HZ, CorpusSettings
from rtemo.corpus.speech import SpeechFinder
from rtemo.voice.speaker import SpeakerEmbedder

COUNT = 2
_PAD_SAMPLES = round(0.25 * RATE_HZ)
_FADE_SAMPLES = round(0.01 * RATE_HZ)

Array = NDArray[np.float32]


class Parties(NamedTuple):
    """Who of two speaks when.

    Attributes:
        pieces: Stretches of one voice, in order; speaker 0 is who is heard first. Where nobody is sure, none is.
        margins: How much nearer each is to its voice than to the other, as a difference of cosines.
        unsure_samples: Speech that is given to neither, since both voices are about as near.
    """

    pieces: list[Piece]
    margins: list[float]
    unsure_samples: int


class PartyFinder:
    """Tells two parties of a recording apart: the two largest of the voices that a `Diariser` groups.

    Args:
        finder: Of speech.
        embedder: Of voices.
        least_margin: How much nearer a piece must be to its voice than to the other, as a difference of cosines. What
            is less sure is given to neither: it is silence on both channels, and not the other's speech on one of them.
    """

    def __init__(self, finder: SpeechFinder, embedder: SpeakerEmbedder, least_margin: float = 0.0) -> None:
        self._finder = finder
        self._settings = CorpusSettings()
        self._diariser = Diariser(embedder, self._settings.same_voice, COUNT)
        self._least_margin = least_margin

    def tell(self, samples: Array) -> Parties:
        """Tell who speaks when, of a recording, float32 [k] at `RATE_HZ`."""
        found = self._diariser.tell(samples, self._finder.find(samples, self._settings.pause_s))
        told = list(zip(found.pieces, found.margins, strict=True))
        sure = [one for one in told if len(found.voices) < COUNT or one[1] >= self._least_margin]
        unsure = sum(piece.end - piece.start for piece, _ in told) - sum(piece.end - piece.start for piece, _ in sure)
        return Parties([piece for piece, _ in sure], [margin for _, margin in sure], unsure)


def channels_of(samples: Array, pieces: list[Piece]) -> Array:
    """Give each party a channel of its own, silent where it does not speak: float32 [k] → float32 [2, k].

    A piece takes a quarter of a second along on either side, up to half of the way to the next one of the other party,
    so that no first or last sound is cut; edges are faded over 10 ms.
    """
    out = np.zeros((COUNT, len(samples)), np.float32)
    ramp = np.linspace(0.0, 1.0, _FADE_SAMPLES, dtype=np.float32)
    for index, piece in enumerate(pieces):
        before = pieces[index - 1] if index else None
        after = pieces[index + 1] if index + 1 < len(pieces) else None
        start = max(0, piece.start - _PAD_SAMPLES)
        end = min(len(samples), piece.end + _PAD_SAMPLES)
        if before is not None:
            start = max(start, before.end if before.speaker == piece.speaker else (before.end + piece.start) // 2)
        if after is not None:
            end = min(end, after.start if after.speaker == piece.speaker else (piece.end + after.start) // 2)
        gain = np.ones(end - start, np.float32)
        fade = min(_FADE_SAMPLES, len(gain) // 2)
        if before is None or before.speaker != piece.speaker or before.end < start:
            gain[:fade] *= ramp[:fade]
        if after is None or after.speaker != piece.speaker or end < after.start:
            gain[len(gain) - fade :] *= ramp[:fade][::-1]
        out[piece.speaker, start:end] += gain * samples[start:end]
    return out
