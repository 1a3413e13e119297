"""Principal components of a window's values: fewer values to learn from, found without labels."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MORE, _TIMES = 32, 2
"""Directions beyond those wanted, and how often the range is refined (Halko et al. 2011, arXiv:0909.4061)."""


@dataclass(frozen=True, slots=True)
class Projection:
    """Standardises values and gives their principal components, each of a deviation of about 1.

    Attributes:
        mean: float32 [values].
        basis: float32 [values, components].
    """

    mean: NDArray[np.float32]
    basis: NDArray[np.float32]

    def __call__(self, values: NDArray[np.generic]) -> NDArray[np.float32]:
        """Components float32 [n, components] of values [n, values]."""
        made = [
            (values[at : at + 512].astype(np.float32) - self.mean) @ self.basis for at in range(0, len(values), 512)
        ]
        return np.concatenate(made)


def fit_projection(values: NDArray[np.float32], components: int, ridge: float, seed: int = 0) -> Projection:
    """Fit to values float32 [n, values].

    Args:
        values: What is to be projected.
        components: How many are wanted.
        ridge: Added to every component's variance, so that those that hardly vary are not blown up.
        seed: Of the random directions that the search begins with.
    """
    mean, scale = values.mean(0), values.std(0) + np.float32(1e-3)
    x = (values - mean) / scale
    wanted = min(components, len(x), x.shape[1])
    random = np.random.default_rng(seed)
    range_ = x @ random.standard_normal((x.shape[1], wanted + _MORE)).astype(np.float32)
    for _ in range(_TIMES):
        range_ = x @ (x.T @ np.linalg.qr(range_)[0])
    q = np.linalg.qr(range_)[0]
    _, size, directions = np.linalg.svd(q.T @ x, full_matrices=False)
    variance = size[:wanted] ** 2 / len(x)
    basis = directions[:wanted].T / scale[:, None] / np.sqrt(variance + ridge)
    return Projection(mean.astype(np.float32), basis.astype(np.float32))
