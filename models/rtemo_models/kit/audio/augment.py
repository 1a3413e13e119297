"""Augmentation on log-mel frames, drawn anew for every batch: noise, filters, band limits, gain, masks.

Sound powers of independent sources add, so adding noise to speech is `log(exp(speech) + exp(noise))` per band up to the
cross term, a filter is a constant per band, and gain is one constant: the same as on the waveform, at a hundredth of
the cost. What this cannot imitate (rooms, companding, clipping, speed) is in `variants`.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

FLOOR_LOG = math.log(1e-10)
"""The front end's floor: silence."""
DB = math.log(10) / 10
"""Natural-log power per decibel."""


def active_frames(logmel: Tensor, range_db: float = 35.0) -> Tensor:
    """Which frames of clean speech are active: within `range_db` of the clip's loudest, and the 0.1 s around them.

    Args:
        logmel: float32 [batch, frames, mel_count].
        range_db: How far below the loudest frame a frame may be.

    Returns:
        float32 [batch, frames], 1 where active.
    """
    level = torch.logsumexp(logmel, -1)
    active = (level > level.amax(1, keepdim=True) - range_db * DB).float()
    return torch.nn.functional.max_pool1d(active[:, None], 21, 1, 10)[:, 0]


def speech_level(logmel: Tensor, active: Tensor) -> Tensor:
    """Log of the mean power over active frames and bands, float32 [batch]."""
    power = torch.exp(logmel).mean(-1)
    return torch.log((power * active).sum(1) / active.sum(1).clamp_min(1) + 1e-12)


class Augment:
    """Draws and applies the augmentation of a batch.

    Args:
        noises: Log-mel frames of noise recordings, float16 [frames, mel_count] each.
        strength: 0 leaves the batch alone, 1 is full strength: the share of clips that each effect meets.
    """

    def __init__(self, noises: Sequence[NDArray[np.float16]], strength: float = 1.0) -> None:
        self.noises = [n for n in noises if len(n) >= 50]
        self.strength = strength

    def __call__(self, logmel: Tensor, active: Tensor, random: np.random.Generator) -> Tensor:
        """Distort a batch, float32 [batch, frames, mel_count]."""
        batch, _, mel_count = logmel.shape
        s = self.strength
        level = speech_level(logmel, active)
        x = torch.where(self._some(random, batch, 0.75 * s), self._with_noise(logmel, level, random), logmel)
        x = x + torch.where(
            self._some(random, batch, 0.7 * s), self._filters(batch, mel_count, random), torch.zeros(())
        )
        x = x + torch.where(self._some(random, batch, 0.3 * s), self._bands(batch, mel_count, random), torch.zeros(()))
        gain_db = random.uniform(-28, 14, batch) * (s > 0)
        x = x + torch.from_numpy((gain_db * DB).astype(np.float32))[:, None, None]
        return self._hiss(x, random)

    @staticmethod
    def _some(random: np.random.Generator, batch: int, share: float) -> Tensor:
        return torch.from_numpy(random.random(batch) < share)[:, None, None]

    def _with_noise(self, logmel: Tensor, level: Tensor, random: np.random.Generator) -> Tensor:
        batch, frames, mel_count = logmel.shape
        noise = np.empty((batch, frames, mel_count), np.float32)
        for b in range(batch):
            if random.random() < 0.25:
                noise[b] = self._coloured(frames, mel_count, random)
            else:
                source = self.noises[random.integers(len(self.noises))]
                at = (np.arange(frames) + random.integers(len(source))) % len(source)
                noise[b] = source[at]
        drawn = torch.from_numpy(noise)
        noise_level = torch.log(torch.exp(drawn).mean((1, 2)) + 1e-12)
        snr_db = torch.from_numpy(random.uniform(0, 28, batch).astype(np.float32))
        shift = level - snr_db * DB - noise_level
        return torch.logaddexp(logmel, drawn + shift[:, None, None])

    @staticmethod
    def _coloured(frames: int, mel_count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Steady noise of a random spectrum; band powers jitter as those of a few degrees of freedom do."""
        places = np.linspace(0, 1, mel_count)
        shape = random.uniform(-3, 2) * places + smooth_curve(places, 1.0, random)
        return (shape + np.log(random.gamma(2.5, 1 / 2.5, (frames, mel_count)) + 1e-4)).astype(np.float32)

    @staticmethod
    def _filters(batch: int, mel_count: int, random: np.random.Generator) -> Tensor:
        places = np.linspace(0, 1, mel_count)
        return stack(
            batch, lambda: smooth_curve(places, 3.0 * DB, random) + random.uniform(-8, 8) * DB * (places - 0.5)
        )

    @staticmethod
    def _bands(batch: int, mel_count: int, random: np.random.Generator) -> Tensor:
        places = np.arange(mel_count)

        def curve() -> NDArray[np.float64]:
            low, high = random.uniform(-2, 7), random.uniform(0.62, 1.0) * mel_count
            steep_db = random.uniform(4, 15)
            loss_db = steep_db * (np.maximum(low - places, 0) + np.maximum(places - high, 0))
            return -np.minimum(loss_db, random.uniform(30, 60)) * DB

        return stack(batch, curve)

    @staticmethod
    def _hiss(x: Tensor, random: np.random.Generator) -> Tensor:
        """Add the noise floor of a converter, -100 to -75 dB per band, and the front end's own floor."""
        floor = torch.from_numpy((random.uniform(-100, -75, len(x)) * DB).astype(np.float32))
        return torch.logaddexp(x, floor[:, None, None].expand_as(x)).clamp_min(FLOOR_LOG)


def stack(batch: int, curve: Callable[[], NDArray[np.float64]]) -> Tensor:
    """Curves drawn for each clip, float32 [batch, 1, mel_count]."""
    return torch.from_numpy(np.stack([curve() for _ in range(batch)]).astype(np.float32))[:, None]


def smooth_curve(places: NDArray[np.float64], deviation: float, random: np.random.Generator) -> NDArray[np.float64]:
    """A random smooth curve: a few cosines, the slower the stronger."""
    orders = np.arange(1, 7)
    weights = random.standard_normal(6) * deviation / np.sqrt(orders)
    phases = random.uniform(0, 2 * np.pi, 6)
    return np.asarray((weights[:, None] * np.cos(np.pi * orders[:, None] * places + phases[:, None])).sum(0))


def mask(logmel: Tensor, random: np.random.Generator) -> Tensor:
    """Blank out up to two stretches of bands and one of frames (SpecAugment, Park et al. 2019, arXiv:1904.08779).

    Blanked values become the clip's own quiet level (its 5th percentile), as a gap in a real channel would.
    """
    batch, frames, mel_count = logmel.shape
    quiet = logmel.flatten(1)[:, ::7].quantile(0.05, dim=1)
    keep = np.ones((batch, frames, mel_count), bool)
    for b in range(batch):
        for _ in range(random.integers(0, 3)):
            width = random.integers(1, 8)
            low = random.integers(mel_count - width)
            keep[b, :, low : low + width] = False
        for _ in range(random.integers(0, 2)):
            width = random.integers(2, 16)
            begin = random.integers(frames - width)
            keep[b, begin : begin + width] = False
    return torch.where(torch.from_numpy(keep), logmel, quiet[:, None, None])


def speech_weights(active: Tensor, hops_per_step: int, random: np.random.Generator) -> Tensor:
    """Weights as a voice activity detector might give them, float32 [batch, steps, hops].

    A third of the clips count every frame; the others the active ones, late by 0-100 ms at onsets as detectors are.
    """
    batch, frames = active.shape
    late = torch.from_numpy(random.integers(0, 11, batch))
    padded = torch.nn.functional.pad(active, (10, 0))
    at = torch.arange(frames)[None] + 10 - late[:, None]
    weights = torch.minimum(active, padded.gather(1, at))
    everything = torch.from_numpy(random.random(batch) < 0.33)[:, None]
    return torch.where(everything, torch.ones(()), weights).unflatten(1, (-1, hops_per_step))
