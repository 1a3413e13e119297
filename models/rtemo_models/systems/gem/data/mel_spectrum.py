"""Mel spectra as published vocoders want them: their rate, frame, hop, band edges."""

from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from rtemo.dsp.filterbank import triangular_filterbank


@dataclass(frozen=True, slots=True)
class MelSpectrum:
    """How a vocoder's mel bands are measured: magnitudes of Hann frames in bands of equal area, as librosa has them.

    Attributes:
        rate_hz: Sample rate.
        fft_samples: Size of the transform.
        hop_samples: From frame to frame.
        window_samples: Of the frame.
        low_hz: Lower edge of the first band.
        high_hz: Upper edge of the last.
        band_count: Number of bands.
    """

    rate_hz: int
    fft_samples: int
    hop_samples: int
    window_samples: int
    low_hz: float
    high_hz: float
    band_count: int = 80

    def __call__(self, samples: Tensor) -> Tensor:
        """Magnitudes in bands, float32 [bands, frames], of samples float32 [samples]."""
        window = torch.hann_window(self.window_samples)
        spectrum = torch.stft(
            samples, self.fft_samples, self.hop_samples, self.window_samples, window, return_complex=True
        )
        return bank_of(self) @ spectrum.abs()


@cache
def bank_of(mel: MelSpectrum) -> Tensor:
    """Bins to bands, float32 [bands, bins]."""
    bank = triangular_filterbank(
        mel.band_count,
        rate_hz=mel.rate_hz,
        fft_samples=mel.fft_samples,
        low_hz=mel.low_hz,
        high_hz=mel.high_hz,
        area_normalised=True,
    ).dense()
    return torch.from_numpy(bank).to(torch.float32)
