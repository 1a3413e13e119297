"""How well scores put clips in order, and intervals that respect who spoke."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtemo.scoring.bootstrap import draw_counts, interval

DRAWS = 2000


@dataclass(frozen=True, slots=True)
class Order:
    """How one group of clips was ordered: what of each group is needed to average over groups."""

    clips: int
    tau: float
    """Kendall's tau-b."""
    accuracy: float
    """Share of pairs in the right order, a tie of scores counting half."""


def order_of(scores: NDArray[np.float64], labels: NDArray[np.float64], gap: float = 0.0) -> Order | None:
    """Compare all pairs of a group; None where no pair's labels differ by more than the gap.

    Tau-b (Kendall 1945) is (C - D) / √((C + D + Tx)(C + D + Ty)); pairs whose labels are no further apart than the gap
    are ties of the labels. With many ties of labels, as levels have, even a perfect order stays below 1.
    """
    i, j = np.triu_indices(len(scores), 1)
    label = labels[i] - labels[j]
    wanted = np.where(np.abs(label) > gap, np.sign(label), 0.0)
    said = np.sign(scores[i] - scores[j])
    compared, untied = np.count_nonzero(wanted), np.count_nonzero(said)
    if not compared:
        return None
    agreed = float(np.sum(wanted * said))
    tau = agreed / np.sqrt(compared * untied) if untied else 0.0
    return Order(len(scores), tau, 0.5 * (1 + agreed / compared))


@dataclass(frozen=True, slots=True)
class Mean:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.2f}-{self.high:.2f})"


def bootstrap(
    values: Sequence[NDArray[np.float64]], clips: Sequence[NDArray[np.float64]], draws: int = DRAWS
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean over speakers weighed by their clips, then over corpora, and the same of every draw.

    Whole speakers are drawn with replacement, within each corpus; the same draws come for the same number of speakers,
    so that differences of two systems can be taken draw by draw.

    Args:
        values: Per corpus float64 [..., speakers].
        clips: Per corpus float64 [speakers].
        draws: How many.

    Returns:
        float64 [...], and float64 [draws, ...].
    """
    random = np.random.default_rng(0)
    means, drawn = [], []
    for value, weight in zip(values, clips, strict=True):
        n = len(weight)
        counts = draw_counts(n, draws, random) * weight
        means.append(value @ (weight / weight.sum()))
        drawn.append(np.tensordot(counts / counts.sum(1, keepdims=True), value, (1, value.ndim - 1)))
    return np.mean(means, 0), np.mean(drawn, 0)


def mean_of(value: NDArray[np.float64], drawn: NDArray[np.float64]) -> Mean:
    """A figure and the interval of its draws."""
    return Mean(float(value), *interval(drawn))
