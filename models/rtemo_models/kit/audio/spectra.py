"""Spectra of whole clips in torch, the same as `rtemo.dsp.stft` and `rtemo.dsp.bands` give hop by hop."""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo.dsp.filterbank import mel_filterbank
from rtemo.dsp.stft import low_delay_windows

FRAME_SAMPLES, HOP_SAMPLES, SYNTHESIS_SAMPLES = 512, 160, 480
LATENCY_SAMPLES = SYNTHESIS_SAMPLES - HOP_SAMPLES
FLOOR = 1e-10


class Spectra(nn.Module):
    """Analysis, log power, and synthesis with the asymmetric windows of the running plugin.

    Frame k holds the samples that end with hop k; synthesis lags by `LATENCY_SAMPLES`.
    """

    def __init__(self) -> None:
        super().__init__()
        analysis, synthesis = low_delay_windows(FRAME_SAMPLES, HOP_SAMPLES, SYNTHESIS_SAMPLES)
        bank = mel_filterbank(64, rate_hz=16_000, fft_samples=FRAME_SAMPLES, low_hz=60.0, high_hz=7600.0)
        self.power_scale = float((2.0 / analysis.sum()) ** 2)
        self.register_buffer("analysis", torch.from_numpy(analysis.astype(np.float32)), persistent=False)
        self.register_buffer("synthesis", torch.from_numpy(synthesis.astype(np.float32)), persistent=False)
        self.register_buffer("bank", torch.from_numpy(bank.dense().T.copy()), persistent=False)

    def analyse(self, samples: Tensor) -> Tensor:
        """Spectra of float32 [batch, samples], complex64 [batch, hops, 257], of whole hops only."""
        frames = F.pad(samples, (FRAME_SAMPLES - HOP_SAMPLES, 0)).unfold(1, FRAME_SAMPLES, HOP_SAMPLES)
        return torch.fft.rfft(frames * self.analysis)

    def logs(self, spectra: Tensor) -> tuple[Tensor, Tensor]:
        """Natural log of the power in mel bands [batch, hops, 64] and in bins [batch, hops, 257]."""
        power = (spectra.real.square() + spectra.imag.square()) * self.power_scale
        return (power @ self.bank).clamp_min(FLOOR).log(), power.clamp_min(FLOOR).log()

    def synthesise(self, spectra: Tensor) -> Tensor:
        """Samples of spectra, float32 [batch, hops · 160], late by `LATENCY_SAMPLES`."""
        parts = (torch.fft.irfft(spectra)[..., -SYNTHESIS_SAMPLES:] * self.synthesis).split(HOP_SAMPLES, -1)
        out = parts[0]
        for age, part in enumerate(parts[1:], 1):
            out = out + F.pad(part, (0, 0, age, 0))[:, :-age]
        return out.flatten(1)
