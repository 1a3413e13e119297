"""Anchors: where a score stands among the bundle's training clips."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelCard, ModelError

_LEAST = 3


class Anchors:
    """Quantiles of the scores of training clips, by attribute, from the card's `anchors_<attribute>_<percent>`.

    Between two quantiles the percentile is interpolated; beyond the outermost it is theirs.

    Args:
        card: Of the network.
        attributes: What is scored.

    Raises:
        ModelError: An attribute has too few anchors, or they do not rise.
    """

    def __init__(self, card: ModelCard, attributes: Sequence[str]) -> None:
        self._tables = [_table_of(card, attribute) for attribute in attributes]

    def percentile(self, score: NDArray[np.float32]) -> NDArray[np.float64]:
        """Give the share of clips below each score, float64 [k, attributes], in percent; NaN of NaN."""
        percentile = np.empty(score.shape)
        for index, (quantiles, percents) in enumerate(self._tables):
            percentile[:, index] = np.interp(score[:, index], quantiles, percents)
        return percentile


def _table_of(card: ModelCard, attribute: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    found = sorted(
        (float(match[1]), value)
        for key, value in card.calibration.items()
        if (match := re.fullmatch(rf"anchors_{re.escape(attribute)}_(\d+(?:\.\d+)?)", key))
    )
    quantiles = np.array([value for _, value in found])
    if len(found) < _LEAST or not np.isfinite(quantiles).all() or (np.diff(quantiles) < 0).any():
        raise ModelError(
            f"bundle {card.name!r} has {len(found)} anchors of {attribute!r}, expected at least {_LEAST} that rise",
            "choose another `bundle` for the ranker plugin",
        )
    return quantiles, np.array([percent for percent, _ in found])
