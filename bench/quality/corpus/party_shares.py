"""Shares of the speech of one party alone: told right, wrong, unsure, not at all."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.quality.corpus.parties import COLLAR_FRAMES, Tracks

NOBODY, UNSURE = -2, -1

Said = NDArray[np.int8]
"""Party of each frame of 10 ms; -1 where it was said that it cannot be told, -2 where nothing was said."""


def counted(truth: Tracks) -> NDArray[np.bool_]:
    """Frames of one party alone that lie far enough from every edge, bool [frames]."""
    counts = np.ones(truth.shape[1], bool)
    for track in truth:
        for edge in np.flatnonzero(np.diff(track.astype(np.int8))):
            counts[max(0, edge - COLLAR_FRAMES + 1) : edge + COLLAR_FRAMES + 1] = False
    return counts & (truth[0] ^ truth[1])


class Score(NamedTuple):
    """Shares of the speech that counts: right, wrong, said to be unsure, nothing said (no speech found)."""

    right: float
    wrong: float
    unsure: float
    missed: float


def score(truth: Tracks, said: Said, where: NDArray[np.bool_], order: bool) -> Score:
    """Score frames; `order` whether party 0 is the first of the truth."""
    owner = np.where(truth[0], 0, 1)
    named = said if order else np.where(said >= 0, 1 - said, said)
    total = max(int(where.sum()), 1)
    right = int((where & (named == owner)).sum()) / total
    unsure, missed = (int((where & (said == value)).sum()) / total for value in (UNSURE, NOBODY))
    return Score(right, 1.0 - right - unsure - missed, unsure, missed)


def is_in_order(truth: Tracks, said: Said) -> bool:
    """Whether party 0 is most the first of the truth."""
    where = counted(truth)
    return score(truth, said, where, True).right >= score(truth, said, where, False).right
