"""A small neural vocoder of our own: mel bands to a wave, in the manner of Vocos.

ConvNeXt blocks at the rate of frames and a head that gives magnitudes and phases for an inverse transform (Siuzdak
2023, "Vocos: closing the gap between time-domain and Fourier-based neural vocoders", arXiv:2306.00814). Magnitudes
start from what the bands tell, so that only what they leave open has to be learned.
`systems.vocoder` trains it, `systems.gem` makes clips anew with it.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo.dsp.filterbank import triangular_filterbank
from rtemo_models.kit.run_folder import load_net

Samples = NDArray[np.float32]

RATE_HZ = 16_000
FFT_SAMPLES, HOP_SAMPLES = 1024, 256
BANDS, BINS = 80, FFT_SAMPLES // 2 + 1
FLOOR = 1e-5

LOUDEST_LOG = 6.0
"""Natural log of the largest magnitude that the head may give; a full-scale sine has 5.5."""


@dataclass(frozen=True, slots=True)
class VocoderConfig:
    """Size of a vocoder.

    Attributes:
        width: Channels between blocks.
        hidden: Channels inside a block.
        blocks: Number of blocks; each hears three frames of 16 ms to either side.
    """

    width: int = 160
    hidden: int = 384
    blocks: int = 6


@cache
def window_of(frame_samples: int) -> Tensor:
    """A periodic Hann window, float32 [frame_samples]."""
    return torch.hann_window(frame_samples)


@cache
def mel_matrices() -> tuple[Tensor, Tensor]:
    """Magnitudes of bins → bands, float32 [bins, bands], and bands → magnitudes [bands, bins].

    Bands are Slaney's triangles from 0 to 8 kHz, even for white noise. The way back gives every bin the mean magnitudes
    of the bands about it: smooth, and never negative as a pseudo-inverse would be.
    """
    bank = triangular_filterbank(
        BANDS, rate_hz=RATE_HZ, fft_samples=FFT_SAMPLES, low_hz=0.0, high_hz=RATE_HZ / 2, area_normalised=True
    ).dense()
    share = bank.copy()
    share[0, 0], share[-1, -1] = 1.0, 1.0  # the outermost bins are in no band
    share /= share.sum(0)
    back = share / bank.sum(1, keepdims=True)
    return torch.from_numpy(bank.T.copy()), torch.from_numpy(back.astype(np.float32))


def spectrum(samples: Tensor, frame_samples: int, hop_samples: int) -> Tensor:
    """Spectra of float32 [batch, samples], complex64 [batch, bins, frames]; frame k is centred on sample k · hop."""
    return torch.stft(
        samples,
        frame_samples,
        hop_samples,
        window=window_of(frame_samples),
        center=True,
        pad_mode="constant",
        return_complex=True,
    )


def log_mel(samples: Tensor) -> Tensor:
    """Natural log of magnitudes in mel bands, [batch, samples] → [batch, 1 + samples // hop, bands]."""
    magnitude = spectrum(samples, FFT_SAMPLES, HOP_SAMPLES).abs().transpose(1, 2)
    return (magnitude @ mel_matrices()[0]).clamp_min(FLOOR).log()


class Block(nn.Module):
    """A ConvNeXt block over [batch, frames, width] (Liu et al. 2022)."""

    def __init__(self, width: int, hidden: int, blocks: int) -> None:
        super().__init__()
        self.across = nn.Conv1d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, width)
        self.gamma = nn.Parameter(torch.full((width,), 1.0 / blocks))

    def forward(self, x: Tensor) -> Tensor:
        """The same shape; a residual is added."""
        inner = self.norm(self.across(x.transpose(1, 2)).transpose(1, 2))
        added: Tensor = x + self.gamma * self.narrow(F.gelu(self.wide(inner)))
        return added


class Vocoder(nn.Module):
    """Log mel bands [batch, frames, bands] → samples [batch, (frames - 1) · hop]."""

    def __init__(self, config: VocoderConfig) -> None:
        super().__init__()
        self.config = config
        self.embed = nn.Conv1d(BANDS, config.width, 7, padding=3)
        self.first = nn.LayerNorm(config.width)
        self.blocks = nn.ModuleList(Block(config.width, config.hidden, config.blocks) for _ in range(config.blocks))
        self.last = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, 2 * BINS)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def spectra(self, mel: Tensor) -> Tensor:
        """Complex spectra [batch, bins, frames] for an inverse transform."""
        x = self.first(self.embed((mel + 4.0).transpose(1, 2) / 4.0).transpose(1, 2))
        for block in self.blocks:
            x = block(x)
        change, phase = self.head(self.last(x)).chunk(2, -1)
        known = (mel.exp() @ mel_matrices()[1]).clamp_min(FLOOR).log()
        magnitude = (known + change).clamp_max(LOUDEST_LOG).exp()
        return torch.complex(magnitude * phase.cos(), magnitude * phase.sin()).transpose(1, 2)

    def forward(self, mel: Tensor) -> Tensor:
        """Samples [batch, (frames - 1) · hop]."""
        return torch.istft(self.spectra(mel), FFT_SAMPLES, HOP_SAMPLES, window=window_of(FFT_SAMPLES), center=True)


def mel_of(samples: Samples) -> NDArray[np.float32]:
    """Log mel bands of a clip at 16 kHz, float32 [1 + samples // hop, bands]; frame k is centred on sample k · hop."""
    with torch.no_grad():
        heard: NDArray[np.float32] = log_mel(torch.from_numpy(np.ascontiguousarray(samples, np.float32))[None])[
            0
        ].numpy()
    return heard


def wave_of(net: Vocoder, mel: NDArray[np.float32]) -> Samples:
    """The wave of log mel bands [frames, bands], float32 [(frames - 1) · hop]."""
    with torch.no_grad():
        made: Samples = net(torch.from_numpy(np.ascontiguousarray(mel, np.float32))[None])[0].numpy()
    return made


def padded(samples: Samples) -> Samples:
    """A clip with silence behind it, up to a whole hop and one hop beyond, so that its wave comes out no shorter."""
    return np.pad(np.asarray(samples, np.float32), (0, 2 * HOP_SAMPLES - len(samples) % HOP_SAMPLES))


def vocode(net: Vocoder, samples: Samples) -> Samples:
    """A clip at 16 kHz through its mel bands and back, float32, as long as it was."""
    return wave_of(net, mel_of(padded(samples)))[: len(samples)]


def load_vocoder(path: Path) -> Vocoder:
    """Read a vocoder as its run wrote it, ready to use."""
    return load_net(path, lambda config: Vocoder(VocoderConfig(**config)))
