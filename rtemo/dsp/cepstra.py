"""Cepstra: shapes of spectra, as weights of cosines over their bands."""

import numpy as np
from numpy.typing import NDArray


def cosine_basis(orders: NDArray[np.int64], bands: int) -> NDArray[np.float64]:
    """Make cosines over bands (discrete cosine transform, type II, not normalised), float64 [orders, bands].

    Args:
        orders: Half waves over all bands, int64 [k]; order 0 is the mean.
        bands: How many there are.
    """
    return np.asarray(np.cos(np.pi * orders[:, None] * (np.arange(bands) + 0.5) / bands), np.float64)
