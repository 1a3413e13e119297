"""Gains on spectra: what an enhancement network decided is applied in place, mixed with what came in."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.kernel import kernel
from rtemo.dsp.rows import check_out, float32_rows


@kernel
def _scale_bins(spectra: Any, gains: Any, least: Any, slope: Any) -> None:
    for row in range(gains.shape[0]):
        for k in range(gains.shape[1]):
            factor = least + slope * gains[row, k]
            spectra[row, 2 * k] *= factor
            spectra[row, 2 * k + 1] *= factor


def least_factor(wet: float, attenuation_limit_db: float | None) -> float:
    """Tell what a bin is multiplied by when its gain is 0.

    With limit = 10^(-attenuation_limit_db / 20), or 0 without one, the mix wet (limit + (1 - limit) gain) + (1 - wet)
    of enhanced and given spectrum is a straight line in the gain: `least` + (1 - least) gain.

    Args:
        wet: Share of the enhanced spectrum, 0 to 1.
        attenuation_limit_db: By how much a bin may become quieter at most; no limit when None.
    """
    limit = 0.0 if attenuation_limit_db is None else 10.0 ** (-attenuation_limit_db / 20.0)
    return 1.0 - wet * (1.0 - limit)


def apply_gains(spectra: NDArray[np.complex64], gains: NDArray[np.float32], least: float = 0.0) -> None:
    """Multiply every bin by `least` + (1 - `least`) gain, in place; the phase stays.

    Args:
        spectra: complex64 [n, bins], C-contiguous.
        gains: float32 [n, bins] from 0 to 1.
        least: What a gain of 0 leaves of a bin, see `least_factor`.

    Raises:
        ValueError: If the arrays do not fit each other or `spectra` cannot be written in place.
    """
    check_out(spectra, gains.shape, np.complex64)
    _scale_bins(spectra.view(np.float32), float32_rows(gains), np.float32(least), np.float32(1.0 - least))
