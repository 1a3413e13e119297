"""Scores of a classifier of acted emotions, with intervals that respect who spoke."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.bootstrap import interval


def recalls(truth: NDArray[np.int64], said: NDArray[np.int64]) -> dict[int, float]:
    """Recall of every class that occurs in the truth."""
    return {int(c): float(np.mean(said[truth == c] == c)) for c in np.unique(truth)}


def uar(truth: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """Unweighted average recall: the mean of the classes' recalls."""
    return float(np.mean(list(recalls(truth, said).values())))


def uar_interval(
    truth: NDArray[np.int64], said: NDArray[np.int64], speakers: Sequence[str], draws: int = 1000
) -> tuple[float, float]:
    """95 % bootstrap interval of the UAR, drawing whole speakers with replacement.

    With few speakers (two for nEMO, four for RAVDESS) this is honest and wide, and still too narrow: so few draws of a
    population cannot show all of its spread.
    """
    random = np.random.default_rng(0)
    names = np.asarray(speakers)
    members = [np.flatnonzero(names == s) for s in np.unique(names)]
    scores = []
    for _ in range(draws):
        rows = np.concatenate([members[k] for k in random.integers(len(members), size=len(members))])
        scores.append(uar(truth[rows], said[rows]))
    return interval(np.array(scores))


def softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """Probabilities of the last axis."""
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def calibration_error(
    confidence: NDArray[np.float64], right: NDArray[np.bool_], share: NDArray[np.float64], bins: int = 12
) -> float:
    """Expected calibration error over equal-mass bins (Guo et al. 2017), clips weighted by `share`."""
    order = np.argsort(confidence)
    mass = np.cumsum(share[order]) / share.sum()
    error = 0.0
    for b in range(bins):
        rows = order[(mass > b / bins) & (mass <= (b + 1) / bins)]
        if len(rows):
            w = share[rows] / share[rows].sum()
            error += abs(float(w @ confidence[rows]) - float(w @ right[rows])) * share[rows].sum() / share.sum()
    return error
