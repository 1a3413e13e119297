"""Tuning: thresholds on likenesses of voices, chosen on speakers that no figure is told of."""

from typing import NamedTuple


class Tuning(NamedTuple):
    """Thresholds; likenesses are cosines of embeddings.

    `python -m bench.quality.corpus.live_parties --data D --fit` prints what they were chosen by, on training speakers.
    """

    first_s: float = 1.2
    """Speech from which the first voice is known."""
    party_s: float = 2.0
    """Speech from which another voice may be a party."""
    apart: float = 0.78
    """How like two voices may be at most to be two parties."""
    own_like: float = 0.78
    """How like a stretch is to the only voice that is known, at least, to be made part of it."""
    own_middle: float = 0.80
    """How like it is where it is as likely another voice."""
    own_slope: float = 20.8
    """How fast its odds rise from there, per cosine."""
    margin_slope: float = 16.0
    """How fast the odds of the nearest of several voices rise with its lead before the next, per cosine."""
    sure: float = 0.9
    """Confidence from which a party that was told is taken back for another."""
    switch_cost: float = 0.5
    """Price of a change of the voice within a turn, for frames of 0.1 s."""
    rounds: int = 2
    """How often every turn that is remembered is put to the nearest voice anew, at the end of each."""
    clear: float = 0.02
    """Lead of a voice from which a stretch is made part of it."""
    still: float = 0.98
    """How like a voice is to what it was, at least, so that nothing told before is looked at again."""
    anchor_s: float = 30.0
    """What the forgotten speech of a party weighs at most."""


TUNING = Tuning()
