"""Bootstrap over speakers and systems: clips of one voice are not independent, nor are those of one synthesiser."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.quality.spoof.trials import Trials
from rtemo.scoring.bootstrap import draw_counts

DRAWS = 1000
_AT_ONCE = 50

Weights = NDArray[np.float64]


def draw_weights(trials: Trials, draws: int = DRAWS, seed: int = 0) -> Weights:
    """How often each trial is drawn: whole speakers for genuine clips, whole systems for synthetic ones.

    A class of a single cluster is drawn clip by clip, for else it would not vary at all. With few clusters the interval
    is honest and wide, and still too narrow: so few draws of a population cannot show all of its spread.

    Returns:
        float64 [draws, n].
    """
    random = np.random.default_rng(seed)
    weights = np.zeros((draws, len(trials)))
    cluster = trials.cluster
    for label in (0, 1):
        rows = np.flatnonzero(trials.label == label)
        if not len(rows):
            continue
        names, member = np.unique(cluster[rows], return_inverse=True)
        if len(names) == 1:
            names, member = np.unique(trials.clip[rows], return_inverse=True)
        counts = draw_counts(len(names), draws, random)
        weights[:, rows] = counts[:, member]
    return weights


def drawn(
    metric: Callable[..., NDArray[np.float64]], trials: Trials, weights: Weights, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """A metric of every draw, float64 [draws], over all trials or some `rows` of them; a few draws at a time."""
    score, label = trials.score, trials.label
    if rows is not None:
        score, label = score[rows], label[rows]
    parts = []
    for begin in range(0, len(weights), _AT_ONCE):
        weight = weights[begin : begin + _AT_ONCE]
        parts.append(metric(score, label, weight if rows is None else weight[:, rows]))
    return np.concatenate(parts)
