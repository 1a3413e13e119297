"""Clips made anew by neural vocoders: two that come in packages, and one of our own that also converts voices.

Training on copies of genuine speech through vocoders carries over to systems whose vocoders are others (Wang and
Yamagishi 2023, "Spoofed training data for speech spoofing countermeasure can be efficiently created using neural
vocoders"). An acoustic model's mel bands are smoother than a voice's, so `smooth` blurs them first.
"""

from functools import cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.codecs import fitted
from rtemo_models.kit.audio.resample import resampled
from rtemo_models.kit.nets.converter import PEAK, Converter, convert, load_converter, pitch_frames
from rtemo_models.kit.nets.vocoder import FLOOR, Vocoder, load_vocoder, mel_of, padded, wave_of
from rtemo_models.systems.gem.data import mb_melgan, melgan
from rtemo_models.systems.gem.data.imitations import smeared
from rtemo_models.systems.gem.data.mel_spectrum import MelSpectrum

Samples = NDArray[np.float32]

WAYS = {
    "melgan": ("copy", "smooth"),
    "mb-melgan": ("copy", "smooth"),
    "vocoder": ("copy", "smooth"),
    "converter": ("to-neutral", "to-happy", "to-angry", "to-sad"),
}
"""System → ways it makes a clip anew; `to-` is followed by the mood that it is converted to, in another's voice."""

MELGAN_PEAK = 0.6
"""Of clips that MelGAN gets."""
MELGAN = MelSpectrum(
    melgan.SAMPLE_RATE_HZ, melgan.FFT_SAMPLES, melgan.HOP_SAMPLES, melgan.FFT_SAMPLES, 0.0, melgan.HIGH_HZ
)


def is_ready(system: str, work: Path) -> bool:
    """Whether the system's weights are on this machine, our own under `work`."""
    if system in ("melgan", "mb-melgan"):
        return (melgan.weights_file() if system == "melgan" else mb_melgan.weights_folder()) is not None
    return (work / system / "average.pt").exists()


def revoice(samples: Samples, system: str, way: str, random: np.random.Generator, work: Path) -> Samples:
    """Make a clip anew, float32 [samples] at 16 kHz to the same.

    Raises:
        RtemoError: The system's packages are not installed.
    """
    if system in ("vocoder", "converter"):
        return (through_vocoder if system == "vocoder" else through_converter)(samples, way, random, work)
    return (through_melgan if system == "melgan" else through_mb_melgan)(samples, way, random)


def blurred(mel: NDArray[np.float32], way: str, random: np.random.Generator) -> NDArray[np.float32]:
    """Bands [bands, frames], smeared over time if the way says so."""
    if way != "smooth":
        return mel
    return np.ascontiguousarray(smeared(np.ascontiguousarray(mel.T), random.uniform(0.4, 1.4)).T, np.float32)


def through_melgan(samples: Samples, way: str, random: np.random.Generator) -> Samples:
    """MelGAN's copy."""
    scaled = samples * np.float32(MELGAN_PEAK / max(float(np.abs(samples).max()), 1e-4))
    mel = blurred(MELGAN(torch.from_numpy(resampled(scaled, 441, 320))).numpy(), way, random)
    with torch.no_grad():
        wave = melgan.load_melgan()(torch.log(torch.from_numpy(mel).clamp_min(1e-5))[None])[0].numpy()
    return fitted(resampled(wave, 320, 441), len(samples))


def through_mb_melgan(samples: Samples, way: str, random: np.random.Generator) -> Samples:
    """Multi-band MelGAN's copy."""
    mel = blurred(mb_melgan.MEL(torch.from_numpy(resampled(samples, 3, 2))).numpy(), way, random)
    return fitted(resampled(mb_melgan.wave_of(mb_melgan.normalised(mel)), 2, 3), len(samples))


def through_vocoder(samples: Samples, way: str, random: np.random.Generator, work: Path) -> Samples:
    """Our own vocoder's copy."""
    net = our_vocoder(work / "vocoder" / "average.pt")
    mel = blurred(np.exp(mel_of(padded(samples))).T, way, random).T
    return wave_of(net, np.log(np.maximum(mel, FLOOR)))[: len(samples)]


def through_converter(samples: Samples, way: str, random: np.random.Generator, work: Path) -> Samples:
    """The words in a voice and a mood that the converter was trained on."""
    net = our_converter(work / "converter" / "average.pt")
    places = [place for place in net.config.places if place[1] == way.removeprefix("to-")]
    target = places[int(random.integers(len(places)))]
    scaled = padded(samples * np.float32(PEAK / max(float(np.abs(samples).max()), 1e-4)))
    mel = convert(net, mel_of(scaled), pitch_frames(scaled), target)
    return wave_of(our_vocoder(work / "vocoder" / "average.pt"), mel)[: len(samples)]


@cache
def our_vocoder(path: Path) -> Vocoder:
    """Our own vocoder, as its training run left it."""
    return load_vocoder(path)


@cache
def our_converter(path: Path) -> Converter:
    """Our own converter, as its training run left it."""
    return load_converter(path)


assert SAMPLE_RATE_HZ == 16_000  # the ratios above
