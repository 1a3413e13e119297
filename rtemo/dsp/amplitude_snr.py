"""Signal-to-noise ratio of speech from how its amplitudes are distributed, without a reference."""

import numpy as np
from numpy.typing import NDArray

LOWEST_DB, STEP_DB = -20.0, 5.0
_TABLE = (
    *(0.4090, 0.4094, 0.4118, 0.4235, 0.4616, 0.5434, 0.6672, 0.8123, 0.9558, 1.0847, 1.1941, 1.2842, 1.3573),
    *(1.4160, 1.4629, 1.5002, 1.5300, 1.5536, 1.5724, 1.5874, 1.5992, 1.6087, 1.6162, 1.6221, 1.6268),
)
"""log E|z| - E log|z| of z = speech + noise at every ratio from `LOWEST_DB` on, by integration over both."""


def wada_snr_db(samples: NDArray[np.float32]) -> float:
    """Estimate the ratio by WADA-SNR: speech has amplitudes of a gamma distribution of shape .4, noise is Gaussian.

    Kim and Stern 2008, "Robust signal-to-noise ratio estimation based on waveform amplitude distribution analysis".

    Args:
        samples: float32 [k], a turn as it was cut, with its pauses.

    Returns:
        dB, -20 to 100; -20 where there is no sound at all.
    """
    amplitude = np.abs(samples.astype(np.float64))
    amplitude = amplitude[amplitude > 0.0]
    if not len(amplitude):
        return LOWEST_DB
    statistic = float(np.log(amplitude.mean()) - np.log(amplitude).mean())
    ratios = LOWEST_DB + STEP_DB * np.arange(len(_TABLE))
    return float(np.interp(statistic, _TABLE, ratios))
