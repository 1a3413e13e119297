"""Imitations: what vocoders do to a voice, drawn anew for every clip, so that training sees a continuum of artefacts.

A few synthesisers teach a network these few. So genuine clips are also spoilt in ways that neural vocoders share: a
source of smooth pulses and noise behind an envelope of mel bands (Wang et al. 2019, "Neural source-filter waveform
models"), phases that are right below some frequency and guessed above it, images that strided up-sampling leaves
behind (Pons et al. 2021, "Upsampling artifacts in neural audio synthesis"), and the phase vocoder of voice changers
(Flanagan and Golden 1966). Imitations are trained on and never reported: they are no systems that anybody meets.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.codecs import fitted
from rtemo_models.kit.audio.pitch import pitch_of
from rtemo_models.kit.audio.resample import resampled
from rtemo_models.kit.audio.resynthesis import (
    FFT_SAMPLES,
    HOP_SAMPLES,
    Samples,
    from_mel,
    inverse,
    moved_pitch,
    transform,
)

Magnitude = NDArray[np.float32]
BINS_HZ = np.arange(FFT_SAMPLES // 2 + 1) * SAMPLE_RATE_HZ / FFT_SAMPLES
MEL_COUNTS = (64, 80, 100)
WINDOW_GAIN = np.sqrt(FFT_SAMPLES * 0.375)
"""Deviation of the bins of white noise of deviation 1 under the window."""


def imitate(samples: Samples, system: str, random: np.random.Generator) -> Samples:
    """Spoil a clip in one of the ways of `IMITATORS`, float32 [samples]."""
    return IMITATORS[system](samples.astype(np.float32), random)


def source_filter(samples: Samples, random: np.random.Generator) -> Samples:
    """Pulses where the voice has a pitch, more noise the higher the frequency, under an envelope of mel bands."""
    pulses, is_voiced = pulse_train(samples, random)
    envelope = rebuilt(np.abs(transform(samples)), random)
    edge_hz, width_hz = random.uniform(2000, 7500), random.uniform(150, 900)
    share = np.minimum(1 / (1 + np.exp((BINS_HZ - edge_hz) / width_hz)), random.uniform(0.85, 1.0))
    lead = FFT_SAMPLES // HOP_SAMPLES
    voiced = fitted(np.pad(is_voiced[::HOP_SAMPLES].astype(np.float32), (lead, lead)), len(envelope))
    periodic = share[None] * voiced[:, None]
    noise = transform(random.standard_normal(len(samples)).astype(np.float32))
    spectrum = transform(pulses) * periodic / 0.7 + noise * np.sqrt(1 - periodic**2)
    if random.random() < 0.5:
        made = spectrum / WINDOW_GAIN * envelope
    else:  # so that the mel bands come out as they were
        made = spectrum / (from_mel(np.abs(spectrum)) + 1e-3) * envelope
    return inverse(made.astype(np.complex64), len(samples))


def pulse_train(samples: Samples, random: np.random.Generator) -> tuple[Samples, NDArray[np.bool_]]:
    """Band-limited pulses at the clip's pitch, moved and smoothed by chance, and where it is voiced."""
    pitch_hz, _ = pitch_of(samples)
    if random.random() < 0.5:
        pitch_hz = moved_pitch(pitch_hz, random.uniform(-3, 3), random.uniform(0.7, 1.4))
    if random.random() < 0.5:
        kernel = np.ones(int(random.integers(3, 11)))
        mass = np.convolve(pitch_hz > 0, kernel, "same")
        pitch_hz = np.where(pitch_hz > 0, np.convolve(pitch_hz, kernel, "same") / np.maximum(mass, 1), 0)
    place = np.arange(len(samples)) / (0.005 * SAMPLE_RATE_HZ)
    low = np.minimum(place.astype(np.int64), len(pitch_hz) - 1)
    high = np.minimum(low + 1, len(pitch_hz) - 1)
    is_voiced = pitch_hz[np.minimum((place + 0.5).astype(np.int64), len(pitch_hz) - 1)] > 0
    before = np.where(pitch_hz[low] > 0, pitch_hz[low], pitch_hz[high])
    after = np.where(pitch_hz[high] > 0, pitch_hz[high], pitch_hz[low])
    hz = np.where(before > 0, before + (after - before) * (place - low), 120.0)
    half = np.pi * np.cumsum(hz) / SAMPLE_RATE_HZ
    harmonics = np.floor(7900 / hz)
    divisor = np.sin(half)
    divisor = np.where(np.abs(divisor) < 1e-4, 1e-4, divisor)
    pulses = np.sin((2 * harmonics + 1) * half) / (2 * divisor) - 0.5  # the sum of all harmonics' cosines
    return (pulses * is_voiced / np.sqrt(harmonics / 2)).astype(np.float32), is_voiced


def rebuilt(magnitude: Magnitude, random: np.random.Generator) -> Magnitude:
    """Magnitudes as an acoustic model gives them: through mel bands, smeared in time or coarsely coded by chance."""
    kind, count = random.random(), int(random.choice(MEL_COUNTS))
    if kind < 0.4:
        width = random.uniform(0, 1.6)
        return from_mel(magnitude, count, lambda mel: smeared(mel, width))
    if kind < 0.7:
        step, hold, kept = random.uniform(0.3, 1.5), int(random.integers(1, 4)), int(random.integers(20, 64))
        return from_mel(magnitude, count, lambda mel: coded(mel, step, hold, kept))
    return from_mel(magnitude, count)


def smeared(mel: Magnitude, width: float) -> Magnitude:
    """Log magnitudes [frames, bands] under a Gaussian of `width` frames: what a model that averages predicts."""
    if width < 0.3:
        return mel
    kernel = np.exp(-0.5 * (np.arange(-6, 7) / width) ** 2)
    padded = np.pad(np.log(mel + 1e-5), ((6, 6), (0, 0)), "edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 13, axis=0)
    return np.exp(windows @ (kernel / kernel.sum())).astype(np.float32)


def coded(mel: Magnitude, step: float, hold: int, kept: int) -> Magnitude:
    """Log magnitudes [frames, bands] as a code of few values: cosines in steps, every `hold` frames, `kept` of them."""
    from scipy.fft import dct, idct

    cosines = dct(np.log(mel + 1e-5), axis=1, norm="ortho")[::hold]
    steps = step * np.sqrt(1 + np.arange(cosines.shape[1]) / 8)
    cosines = np.round(cosines / steps) * steps
    cosines[:, kept:] = 0
    place = np.arange(len(mel)) / hold
    low = np.minimum(place.astype(np.int64), len(cosines) - 1)
    high = np.minimum(low + 1, len(cosines) - 1)
    share = (place - low)[:, None]
    made = cosines[low] * (1 - share) + cosines[high] * share
    return np.exp(np.clip(idct(made, axis=1, norm="ortho"), -12, 12)).astype(np.float32)


def split_phase(samples: Samples, random: np.random.Generator) -> Samples:
    """The clip's own phases below some frequency, wandering ones above it."""
    spectrum = transform(samples)
    magnitude = np.abs(spectrum)
    wanted = rebuilt(magnitude, random) if random.random() < 0.7 else magnitude
    edge_hz, width_hz, amount = random.uniform(500, 4500), random.uniform(50, 500), random.uniform(0.4, 3.0)
    share = 1 / (1 + np.exp(-(BINS_HZ - edge_hz) / width_hz))
    error = random.standard_normal(spectrum.shape) * amount
    if random.random() < 0.5:
        error = np.cumsum(0.4 * error, 0)
    made = wanted * spectrum / (magnitude + 1e-9) * np.exp(1j * error * share)
    for _ in range(int(random.integers(0, 4))):
        found = transform(inverse(made.astype(np.complex64), len(samples)))[: len(wanted)]
        made = wanted * found / (np.abs(found) + 1e-9)
    return inverse(made.astype(np.complex64), len(samples))


def images(samples: Samples, random: np.random.Generator) -> Samples:
    """Faint copies of the lower band mirrored about the rates of a stack of up-sampling layers, and tones there."""
    from scipy.signal import butter, sosfilt

    made = samples
    if random.random() < 0.6:
        spectrum = transform(samples)
        magnitude = np.abs(spectrum)
        made = inverse((spectrum / (magnitude + 1e-9) * rebuilt(magnitude, random)).astype(np.complex64), len(samples))
    place = np.arange(len(made))
    out = made.astype(np.float64)
    for rate_hz in random.choice([1000, 2000, 4000, 8000], size=int(random.integers(1, 4)), replace=False):
        low = sosfilt(butter(4, min(rate_hz / 2, 3900.0), fs=SAMPLE_RATE_HZ, output="sos"), made)
        carrier = np.cos(2 * np.pi * rate_hz * place / SAMPLE_RATE_HZ + random.uniform(0, 2 * np.pi))
        out += 10 ** (-random.uniform(12, 34) / 20) * low * carrier
        if random.random() < 0.3:
            out += (
                10 ** (-random.uniform(24, 40) / 20) * np.convolve(np.abs(made), np.ones(400) / 400, "same") * carrier
            )
    return out.astype(np.float32)


def phase_vocoder(samples: Samples, random: np.random.Generator) -> Samples:
    """Another pitch and vocal tract, as a voice changer makes them: stretched in time, then played at another rate."""
    tenths = int(random.choice([8, 9, 11, 12, 13]))
    spectrum = transform(samples)
    place = np.arange(0, len(spectrum) - 1.001, 10 / tenths)
    low = place.astype(np.int64)
    share = (place - low)[:, None]
    magnitude = np.abs(spectrum)
    wanted = magnitude[low] * (1 - share) + magnitude[low + 1] * share
    advance = 2 * np.pi * np.arange(spectrum.shape[1]) * HOP_SAMPLES / FFT_SAMPLES
    turn = np.angle(spectrum[1:] * np.conj(spectrum[:-1])) - advance
    turn -= 2 * np.pi * np.round(turn / (2 * np.pi))
    phase = np.cumsum((turn + advance)[low], 0)
    stretched = inverse((wanted * np.exp(1j * phase)).astype(np.complex64), len(samples) * tenths // 10)
    return fitted(resampled(stretched, 10, tenths), len(samples))


IMITATORS: dict[str, Callable[[Samples, np.random.Generator], Samples]] = {
    "source-filter": source_filter,
    "split-phase": split_phase,
    "images": images,
    "phase-vocoder": phase_vocoder,
}
"""System → what imitates it."""
