"""Measures of a classifier, from counts: recall, accuracy, F1, and whether its confidence may be believed.

Counts are [..., C, C + 1]: row the truth, column what was said, the last column for clips of which nothing was said.
Leading axes are draws of a bootstrap. A measure is the mean over the classes that occur in the truth.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.scoring.bootstrap import Draws, interval

Array = NDArray[np.float64]


def one_hot(truth: NDArray[np.int64], said: NDArray[np.int64], classes: int) -> Array:
    """Give the count of each clip alone, float64 [n, classes, classes + 1]; `said` is -1 where nothing was said."""
    counts = np.zeros((len(truth), classes, classes + 1))
    counts[np.arange(len(truth)), truth, said] = 1.0
    return counts


def recall_of(counts: Array) -> Array:
    """Recall of every class, float64 [..., C]; NaN for one that does not occur."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(_hits(counts) / counts.sum(-1))


def uar_of(counts: Array) -> Array:
    """Unweighted average recall."""
    return _mean(recall_of(counts), counts)


def accuracy_of(counts: Array) -> Array:
    """Weighted accuracy: share of the clips that were told right."""
    return np.asarray(_hits(counts).sum(-1) / counts.sum((-1, -2)))


def macro_f1_of(counts: Array) -> Array:
    """Unweighted mean of the classes' F1."""
    truth, said = counts.sum(-1), counts[..., :-1].sum(-2)
    with np.errstate(invalid="ignore", divide="ignore"):
        return _mean(2 * _hits(counts) / (truth + said), counts)


def recalls(truth: NDArray[np.int64], said: NDArray[np.int64]) -> dict[int, float]:
    """Recall of every class that occurs in the truth."""
    return {int(c): float(np.mean(said[truth == c] == c)) for c in np.unique(truth)}


def uar(truth: NDArray[np.int64], said: NDArray[np.int64]) -> float:
    """Unweighted average recall: the mean of the classes' recalls."""
    return float(np.mean(list(recalls(truth, said).values())))


def uar_interval(
    truth: NDArray[np.int64], said: NDArray[np.int64], speakers: Sequence[str], draws: int = 1000
) -> tuple[float, float]:
    """95 % bootstrap interval of the UAR, drawing whole speakers with replacement; see `Draws`."""
    classes = int(max(truth.max(), said.max())) + 1
    return interval(uar_of(Draws(speakers, draws).sums(one_hot(truth, said, classes))))


def softmax(logits: Array) -> Array:
    """Probabilities of the last axis."""
    e = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(e / e.sum(-1, keepdims=True))


def calibration_error(confidence: Array, right: NDArray[np.bool_], share: Array, bins: int = 12) -> float:
    """Expected calibration error over equal-mass bins (Guo et al. 2017), clips weighted by `share`."""
    order = np.argsort(confidence)
    mass = np.cumsum(share[order]) / share.sum()
    error = 0.0
    for b in range(bins):
        rows = order[(mass > b / bins) & (mass <= (b + 1) / bins)]
        if len(rows):
            w = share[rows] / share[rows].sum()
            error += abs(float(w @ confidence[rows]) - float(w @ right[rows])) * share[rows].sum() / share.sum()
    return float(error)


def _hits(counts: Array) -> Array:
    return np.diagonal(counts[..., :-1], axis1=-2, axis2=-1)


def _mean(values: Array, counts: Array) -> Array:
    """Mean over the classes that occur."""
    occurs = counts.sum(-1) > 0
    return np.asarray(np.where(occurs, values, 0.0).sum(-1) / occurs.sum(-1))
