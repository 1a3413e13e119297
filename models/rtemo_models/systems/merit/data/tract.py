"""Other vocal tracts: the frequency axis of log-mel bands stretched or squeezed, a new voice for the same words.

Vocal tract length perturbation (Jaitly and Hinton 2013), on the bands themselves: what stood at f stands at f times the
factor. Emotion stays, the speaker changes.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo.dsp.filterbank import mel_filterbank

FACTORS = (0.86, 0.90, 0.94, 0.97, 1.0, 1.03, 1.06, 1.1, 1.15)


def stretch_matrix(factor: float, centre_hz: NDArray[np.float64]) -> NDArray[np.float32]:
    """Matrix [bands, bands] that stretches row vectors of bands by a factor, linear between bands, held at the ends."""
    bands = len(centre_hz)
    where = np.interp(centre_hz / factor, centre_hz, np.arange(bands))
    low = np.minimum(where.astype(np.int64), bands - 2)
    share = where - low
    matrix = np.zeros((bands, bands), np.float32)
    matrix[low, np.arange(bands)] += (1 - share).astype(np.float32)
    matrix[low + 1, np.arange(bands)] += share.astype(np.float32)
    return matrix


class Tracts:
    """Draws a factor for every clip of a batch; half of the clips keep their voice.

    Args:
        mel_count: Bands.
    """

    def __init__(self, mel_count: int = 64) -> None:
        bank = mel_filterbank(mel_count, rate_hz=16_000, fft_samples=512, low_hz=60.0, high_hz=7600.0)
        self._matrices = torch.from_numpy(np.stack([stretch_matrix(f, bank.center_hz) for f in FACTORS]))

    def __call__(self, bands: Tensor, random: np.random.Generator) -> Tensor:
        """Stretch a batch, float32 [batch, hops, mel_count]."""
        drawn = random.integers(len(FACTORS), size=len(bands))
        drawn[random.random(len(bands)) < 0.5] = FACTORS.index(1.0)
        return torch.bmm(bands, self._matrices[torch.from_numpy(drawn)])
