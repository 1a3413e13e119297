"""Losses of the enhancer."""

from functools import cache

import torch
from torch import Tensor

from rtemo_models.systems.merit.net.enhancer import COMPRESSION, cube

SEGMENT_HOPS = 38
"""384 ms at 10 ms a hop, what short-time objective intelligibility looks at at once."""
LOUDNESS_EXPONENT = 0.23
LOUDNESS_FLOOR = 1e-5
"""Power of a band at the threshold of hearing, relative to active speech."""


def compressed_distance(gain: Tensor, noisy: Tensor, clean: Tensor, active_power: Tensor) -> tuple[Tensor, Tensor]:
    """Mean square distances of compressed spectra, with phase and without (Braun and Tashev 2020, arXiv:2009.12286).

    With a real gain the distance with phase needs only magnitudes and the angle between noisy and clean, so no complex
    number has a gradient.

    Args:
        gain: float32 [batch, hops, bins], compressed gains.
        noisy: complex64 [batch, hops, bins].
        clean: complex64 [batch, hops, bins].
        active_power: float32 [batch], mean bin power of the clean speech where it is active: clips weigh the same at
            any level.

    Returns:
        Mean square distance with phase, and of magnitudes alone.
    """
    with torch.no_grad():
        scale = active_power.clamp_min(1e-9)[:, None, None]
        noisy_power = power_of(noisy) / scale
        clean_power = power_of(clean) / scale
        product = (noisy.real * clean.real + noisy.imag * clean.imag) / scale
        cosine = product * torch.rsqrt(noisy_power * clean_power + 1e-20)
        heard = noisy_power ** (COMPRESSION / 2)
        wanted = clean_power ** (COMPRESSION / 2)
        agreed = 2 * heard * wanted * cosine
    said = gain * heard
    return (said * said - gain * agreed + wanted * wanted).mean(), (said - wanted).square().mean()


@cache
def third_octaves(bins: int, rate_hz: int = 16_000) -> Tensor:
    """Which bins make up the 15 third octaves from 150 Hz on, float32 [bins, 15]."""
    hz = torch.linspace(0, rate_hz / 2, bins)[:, None]
    centres_hz = 150 * 2 ** (torch.arange(15) / 3)
    return ((hz >= centres_hz * 2 ** (-1 / 6)) & (hz < centres_hz * 2 ** (1 / 6))).float()


def intelligibility_loss(gain: Tensor, noisy: Tensor, clean: Tensor) -> Tensor:
    """One minus the mean correlation of band envelopes over 0.4 s, where there is speech.

    Short-time objective intelligibility (Taal et al. 2011) without its clipping, which is flat where it acts.

    Args:
        gain: float32 [batch, hops, bins], compressed gains.
        noisy: complex64 [batch, hops, bins].
        clean: complex64 [batch, hops, bins].
    """
    bank = third_octaves(clean.shape[-1])
    wanted = (power_of(clean) @ bank).clamp_min(1e-12).sqrt()
    said = (cube(gain).square() * power_of(noisy) @ bank).clamp_min(1e-12).sqrt()
    wanted, said = (x.unfold(1, SEGMENT_HOPS, SEGMENT_HOPS // 2) for x in (wanted, said))  # [batch, segments, 15, hops]
    loudness = wanted.square().sum((2, 3))
    heard = loudness > 1e-3 * loudness.amax(1, keepdim=True).clamp_min(1e-6)
    wanted, said = (x - x.mean(-1, keepdim=True) for x in (wanted, said))
    agreed = (wanted * said).sum(-1) / (wanted.square().sum(-1) * said.square().sum(-1) + 1e-16).sqrt()
    return 1 - (agreed.mean(-1) * heard).sum() / heard.sum().clamp_min(1)


def loudness_loss(gain: Tensor, noisy: Tensor, clean: Tensor, bank: Tensor, active_power: Tensor) -> Tensor:
    """Mean distance of the loudness of bands, noise left over and speech taken away alike.

    Loudness is power to 0.23 above a threshold, as in Zwicker's law and in PESQ (ITU-T P.862), so faint sounds count
    for more than in compressed magnitudes.

    Args:
        gain: float32 [batch, hops, bins], compressed gains.
        noisy: complex64 [batch, hops, bins].
        clean: complex64 [batch, hops, bins].
        bank: float32 [bins, bands].
        active_power: float32 [batch], mean bin power of the clean speech where it is active.
    """
    bands = bank / active_power.clamp_min(1e-9)[:, None, None]
    wanted = (power_of(clean) @ bands + LOUDNESS_FLOOR) ** LOUDNESS_EXPONENT
    said = (cube(gain).square() * power_of(noisy) @ bands + LOUDNESS_FLOOR) ** LOUDNESS_EXPONENT
    return (said - wanted).abs().mean()


def power_of(spectra: Tensor) -> Tensor:
    """Square magnitude; several times faster on a CPU than `abs`, which guards against overflow."""
    return spectra.real.square() + spectra.imag.square()


def si_sdr_loss(enhanced: Tensor, clean: Tensor) -> Tensor:
    """Minus a tenth of the scale-invariant signal-to-distortion ratio (Le Roux et al. 2019), in dB; from -20 to 35 dB.

    Args:
        enhanced: float32 [batch, samples].
        clean: float32 [batch, samples]; clips of silence do not count.
    """
    power = clean.square().sum(1)
    heard = power > 1e-5
    if not heard.any():
        return enhanced.sum() * 0
    enhanced, clean, power = enhanced[heard], clean[heard], power[heard]
    target = (enhanced * clean).sum(1, keepdim=True) / power[:, None] * clean
    ratio = target.square().sum(1) / ((enhanced - target).square().sum(1) + 1e-4 * power)
    return -torch.log10(ratio + 0.01).mean()
