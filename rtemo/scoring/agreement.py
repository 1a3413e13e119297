"""Agreement: how far several raters say the same, beyond what chance would have them say."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Metric = Literal["nominal", "interval"]


def fleiss_kappa(counts: NDArray[np.int64]) -> float:
    """Kappa of Fleiss (1971, Psychological Bulletin 76) from how many raters gave each unit each class.

    Units may have different numbers of raters: then each has the agreement of its own pairs, and the shares of the
    classes are those of all ratings. Units with less than two ratings say nothing.

    Args:
        counts: int64 [units, classes].

    Returns:
        1 for full agreement, 0 for that of chance; NaN where there is no pair, or only one class was ever given.
    """
    given = np.asarray(counts, np.float64)
    given = given[given.sum(1) >= 2]
    if not len(given):
        return float("nan")
    raters = given.sum(1)
    observed = float(np.mean(((given**2).sum(1) - raters) / (raters * (raters - 1))))
    shares = given.sum(0) / given.sum()
    expected = float((shares**2).sum())
    return float("nan") if expected >= 1.0 else (observed - expected) / (1.0 - expected)


def krippendorff_alpha(ratings: Array, metric: Metric = "interval") -> float:
    """Alpha of Krippendorff (2011, "Computing Krippendorff's Alpha-Reliability"), with missing ratings.

    Args:
        ratings: float64 [units, raters], NaN where a rater did not rate.
        metric: How far two ratings lie apart: whether they differ (`nominal`), or the square of their difference.

    Returns:
        1 for full agreement, 0 for that of chance; NaN where there is no pair, or all ratings are the same.
    """
    values = np.asarray(ratings, np.float64)
    known = ~np.isnan(values)
    values, known = values[known.sum(1) >= 2], known[known.sum(1) >= 2]
    if not len(values):
        return float("nan")
    per_unit = known.sum(1)
    pairable = int(per_unit.sum())
    if metric == "interval":
        filled = np.where(known, values, 0.0)
        within = _squares(per_unit, filled.sum(1), (filled**2).sum(1))
        between = _squares(np.array(pairable), filled.sum(), (filled**2).sum())
    else:
        classes = np.unique(values[known])
        counts = np.stack([((values == one) & known).sum(1) for one in classes], axis=1).astype(np.float64)
        within = per_unit.astype(np.float64) ** 2 - (counts**2).sum(1)
        between = np.float64(pairable) ** 2 - (counts.sum(0) ** 2).sum()
    observed = float((within / (per_unit - 1)).sum()) / pairable
    expected = float(between) / (pairable * (pairable - 1))
    return float("nan") if expected <= 0.0 else 1.0 - observed / expected


def _squares(count: Any, total: Any, squares: Any) -> Array:
    """Sum of the squared differences of all ordered pairs, from count, sum and sum of squares."""
    return np.asarray(np.maximum(2.0 * (count * squares - total**2), 0.0))
