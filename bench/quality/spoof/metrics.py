"""Metrics of spoof detection: equal error rate, detection cost, log-likelihood-ratio cost.

Scores are log-likelihood ratios that a voice is synthetic: higher is more suspect, and the field writes them with the
opposite sign. Errors bear the field's names: a *miss* is a genuine voice refused, a *false acceptance* a synthetic one
let through. Every metric takes weights [..., n], one row per bootstrap draw, and gives one value per row; a row in
which a class has no weight gives NaN.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Costs:
    """Prior and costs of the detection cost function.

    The defaults are those of ASVspoof 5, track 1 (Wang et al. 2024, "ASVspoof 5: Crowdsourced speech data, deepfakes,
    and adversarial attacks at scale", arXiv:2408.08739, and the evaluation plan of the challenge).
    """

    p_spoof: float = 0.05
    c_miss: float = 1.0
    c_fa: float = 10.0

    @property
    def threshold(self) -> float:
        """Score above which Bayes' decision is `synthetic`: the log of beta = C_miss (1 - P_spoof) / (C_fa P_spoof)."""
        return float(np.log(self.c_miss * (1 - self.p_spoof) / (self.c_fa * self.p_spoof)))

    def cost(self, miss: Array, acceptance: Array) -> Array:
        """Cost of error rates, as a share of what the better constant answer costs."""
        of_miss, of_fa = self.c_miss * (1 - self.p_spoof), self.c_fa * self.p_spoof
        return np.asarray((of_miss * miss + of_fa * acceptance) / min(of_miss, of_fa))


ASVSPOOF_5 = Costs()


def error_rates(score: Array, label: NDArray[np.int64], weight: Array | None = None) -> tuple[Array, Array, Array]:
    """Error rates at every threshold that tells trials apart.

    Args:
        score: float64 [n].
        label: int64 [n], 1 synthetic.
        weight: float64 [..., n]; ones by default.

    Returns:
        Thresholds [k], from +inf (all accepted) down to the lowest score (all refused): a trial is called synthetic at
        or above the threshold. Miss rate and false acceptance rate, float64 [..., k]. Equal scores fall together.
    """
    order = np.argsort(-score, kind="stable")
    ordered, is_synthetic = score[order], label[order] == 1
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    weight = np.ones(len(score)) if weight is None else np.asarray(weight, np.float64)
    mass = weight[..., order]
    genuine = np.cumsum(np.where(is_synthetic, 0.0, mass), -1)
    synthetic = np.cumsum(np.where(is_synthetic, mass, 0.0), -1)
    none = np.zeros((*mass.shape[:-1], 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        miss = np.concatenate([none, genuine[..., ends] / genuine[..., -1:]], -1)
        acceptance = np.concatenate([none + 1, 1 - synthetic[..., ends] / synthetic[..., -1:]], -1)
    is_void = ~(genuine[..., -1:] > 0) | ~(synthetic[..., -1:] > 0)
    thresholds = np.concatenate([[np.inf], ordered[ends]])
    return thresholds, np.where(is_void, np.nan, miss), np.where(is_void, np.nan, acceptance)


def eer(score: Array, label: NDArray[np.int64], weight: Array | None = None) -> Array:
    """Equal error rate: the mean of both rates where they are nearest to each other.

    As in the evaluation of AASIST and of the ASVspoof challenges, but for scores that are equal: those are one step
    here, whereas there the order of the two classes in the file decides.
    """
    _, miss, acceptance = error_rates(score, label, weight)
    gap = np.abs(miss - acceptance)
    best = np.argmin(np.where(np.isnan(gap), np.inf, gap), -1)[..., None]
    return np.asarray(0.5 * (np.take_along_axis(miss, best, -1) + np.take_along_axis(acceptance, best, -1))[..., 0])


def hull(score: Array, label: NDArray[np.int64]) -> tuple[Array, Array]:
    """Lower convex hull of the points (miss, false acceptance), from (0, 1) to (1, 0).

    What the best monotonic calibration of the scores reaches (Provost & Fawcett 2001; Brummer & de Villiers 2011).
    """
    _, miss, acceptance = error_rates(score, label)
    points: list[tuple[float, float]] = []
    for x, y in zip(miss.tolist(), acceptance.tolist(), strict=True):
        while len(points) > 1 and _turns_right(points[-2], points[-1], (x, y)):
            points.pop()
        points.append((x, y))
    corners = np.array(points)
    return corners[:, 0], corners[:, 1]


def eer_of_hull(score: Array, label: NDArray[np.int64]) -> float:
    """Equal error rate on the convex hull, which has no steps: steadier than `eer` where trials are few."""
    miss, acceptance = hull(score, label)
    after = int(np.argmax(miss >= acceptance))
    gap_before = acceptance[after - 1] - miss[after - 1]
    gap_after = acceptance[after] - miss[after]
    share = gap_before / (gap_before - gap_after)
    return float(miss[after - 1] + share * (miss[after] - miss[after - 1]))


def min_dcf(score: Array, label: NDArray[np.int64], weight: Array | None = None, costs: Costs = ASVSPOOF_5) -> Array:
    """Detection cost at the best threshold, which is found on the same trials; 1 is as good as a constant answer."""
    _, miss, acceptance = error_rates(score, label, weight)
    return np.asarray(costs.cost(miss, acceptance).min(-1))


def act_dcf(score: Array, label: NDArray[np.int64], weight: Array | None = None, costs: Costs = ASVSPOOF_5) -> Array:
    """Detection cost at the threshold of Bayes, which asks for calibrated scores; may exceed 1."""
    refused = (score > costs.threshold).astype(np.float64)
    miss, acceptance = (_mean(x, label == c, weight) for x, c in ((refused, 0), (1 - refused, 1)))
    return costs.cost(miss, acceptance)


def cllr(score: Array, label: NDArray[np.int64], weight: Array | None = None) -> Array:
    """Cost of the log-likelihood ratio in bits (Brummer & du Preez 2006): 0 perfect, 1 what a constant 0 costs."""
    genuine = _mean(np.logaddexp(0, score), label == 0, weight)
    synthetic = _mean(np.logaddexp(0, -score), label == 1, weight)
    return np.asarray(0.5 * (genuine + synthetic) / np.log(2))


def min_cllr(score: Array, label: NDArray[np.int64]) -> float:
    """`cllr` after the best monotonic calibration (pool adjacent violators): what no calibration would mend."""
    miss, acceptance = hull(score, label)
    genuine, synthetic = np.diff(miss), -np.diff(acceptance)
    bits = 0.0
    for here, there in ((genuine, synthetic), (synthetic, genuine)):
        is_here = here > 0
        bits += float(np.sum(here[is_here] * np.log2(1 + there[is_here] / here[is_here])))
    return 0.5 * bits


def _turns_right(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    """Whether b is not below the line from a to c, so that it is no corner of the lower hull."""
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) <= 1e-15


def _mean(value: Array, of: NDArray[np.bool_], weight: Array | None) -> Array:
    mass = of.astype(np.float64) if weight is None else np.asarray(weight, np.float64) * of
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((mass * value).sum(-1) / mass.sum(-1))
