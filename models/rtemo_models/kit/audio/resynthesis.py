"""Resynthesis of recordings: the words and the voice stay, the wave is made anew from a model of it.

What a vocoder loses is what all synthesis behind it shares, so clip and copy side by side teach the traces of synthesis
and not words, speakers or rooms. WORLD takes a voice apart into pitch, envelope and aperiodicity (Morise et al. 2016);
Griffin-Lim finds phases for magnitudes (1984); linear prediction is excitation and a filter (Atal and Hanauer 1971).
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.filterbank import mel_filterbank
from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.codecs import fitted
from rtemo_models.kit.audio.pitch import load_pyworld, pitch_of

Samples = NDArray[np.float32]

WAYS = {
    "world": ("copy", "pitch", "formant", "mood"),
    "griffin-lim": ("copy",),
    "mel-phase": ("copy",),
    "lpc": ("copy", "flat"),
}
"""System → ways it makes a clip anew."""

FFT_SAMPLES, HOP_SAMPLES = 512, 128
ITERATIONS = 20


def resynthesise(samples: Samples, system: str, way: str, random: np.random.Generator) -> Samples:
    """Make a clip anew.

    Args:
        samples: float32 [samples] at 16 kHz.
        system: A key of `WAYS`.
        way: One of its ways.
        random: Where shifts and excitation are drawn from.
    """
    return MAKERS[system](samples, way, random)


def world(samples: Samples, way: str, random: np.random.Generator) -> Samples:
    """WORLD: a copy, another pitch, another vocal tract, or the pitch, rate and loudness of another mood.

    Raises:
        RtemoError: pyworld is not installed.
    """
    pyworld = load_pyworld()
    wave = samples.astype(np.float64)
    pitch_hz, time_s = pitch_of(samples)
    envelope = pyworld.cheaptrick(wave, pitch_hz, time_s, SAMPLE_RATE_HZ)
    breath = pyworld.d4c(wave, pitch_hz, time_s, SAMPLE_RATE_HZ)
    period_ms = 5.0
    if way in ("pitch", "mood"):
        pitch_hz = moved_pitch(pitch_hz, random.uniform(-5, 5), random.uniform(0.5, 1.8))
    if way in ("formant", "mood"):
        envelope = stretched(envelope, random.uniform(0.86, 1.18) if way == "formant" else random.uniform(0.96, 1.04))
    if way == "mood":
        period_ms *= random.uniform(0.8, 1.25)
        envelope = envelope * 10 ** (np.linspace(0, random.uniform(-0.9, 0.9), envelope.shape[1]))  # spectral tilt
    return np.asarray(pyworld.synthesize(pitch_hz, envelope, breath, SAMPLE_RATE_HZ, period_ms), np.float32)


def moved_pitch(pitch_hz: NDArray[np.float64], semitones: float, wider: float) -> NDArray[np.float64]:
    """A pitch contour moved and its range widened about the mean, both in logarithm; unvoiced frames stay 0."""
    voiced = pitch_hz > 0
    if not voiced.any():
        return pitch_hz
    log = np.log(pitch_hz[voiced])
    moved = pitch_hz.copy()
    moved[voiced] = np.clip(np.exp(log.mean() + wider * (log - log.mean()) + semitones * np.log(2) / 12), 60, 700)
    return moved


def stretched(envelope: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """A spectral envelope [frames, bins] as a vocal tract that is shorter by `factor` gives it."""
    bins = np.arange(envelope.shape[1])
    where = np.minimum(bins / factor, bins[-1])
    low = np.minimum(where.astype(np.int64), len(bins) - 2)
    share = where - low
    log = np.log(envelope + 1e-16)
    return np.ascontiguousarray(np.exp((1 - share) * log[:, low] + share * log[:, low + 1]))


def griffin_lim(samples: Samples, way: str, random: np.random.Generator) -> Samples:
    """Phases found anew for magnitudes that were rebuilt from 64 mel bands; with momentum (Perraudin et al. 2013)."""
    spectrum = transform(samples)
    magnitude = from_mel(np.abs(spectrum))
    angles = np.exp(2j * np.pi * random.random(spectrum.shape)).astype(np.complex64)
    before = np.zeros_like(spectrum)
    for _ in range(ITERATIONS):
        consistent = transform(inverse(magnitude * angles, len(samples)))[: len(magnitude)]
        angles = consistent - np.float32(0.99 / 1.99) * before
        angles /= np.abs(angles) + 1e-9
        before = consistent
    return inverse(magnitude * angles, len(samples))


def mel_phase(samples: Samples, way: str, random: np.random.Generator) -> Samples:
    """Magnitudes rebuilt from 64 mel bands under the phases that were: the best a vocoder of mel bands could do."""
    spectrum = transform(samples)
    magnitude = np.abs(spectrum)
    return inverse(spectrum / (magnitude + 1e-9) * from_mel(magnitude), len(samples))


def lpc(samples: Samples, way: str, random: np.random.Generator) -> Samples:
    """Linear prediction of order 18, excited by pulses where the voice is periodic and by noise where it is not.

    `flat` holds the pitch at its median, as a monotonous machine does.
    """
    from scipy.linalg import solve_toeplitz
    from scipy.signal import lfilter

    frame, hop, order = 480, 160, 18
    window = np.hanning(frame)
    padded = np.pad(samples.astype(np.float64), (frame, frame))
    padded[1:] -= 0.9 * padded[:-1]
    count = (len(padded) - frame) // hop
    frames = np.lib.stride_tricks.sliding_window_view(padded, frame)[::hop][:count] * window
    spectra = np.abs(np.fft.rfft(frames, 1024)) ** 2
    correlation = np.fft.irfft(spectra)[:, :400]
    energy = correlation[:, 0] + 1e-9
    lags = slice(40, 267)  # 400 to 60 Hz
    period = 40 + np.argmax(correlation[:, lags], 1)
    voiced = correlation[np.arange(count), period] > 0.4 * energy
    if way == "flat" and voiced.any():
        period[:] = int(np.median(period[voiced]))
    out = np.zeros(count * hop)
    state, due = np.zeros(order), 0.0
    for k in range(count):
        white = correlation[k, : order + 1].copy()
        white[0] = white[0] * 1.0005 + 1e-9
        filter_ = np.concatenate([[1.0], -solve_toeplitz(white[:-1], white[1:])])
        residual = max(float(filter_ @ white), 1e-12) / frame
        excitation = np.zeros(hop) if voiced[k] else random.standard_normal(hop)
        while voiced[k] and due < hop:
            excitation[int(due)] = np.sqrt(period[k])
            due += float(period[k])
        due = max(0.0, due - hop)
        out[k * hop : (k + 1) * hop], state = lfilter([1.0], filter_, excitation * np.sqrt(residual), zi=state)
    loud = lfilter([1.0], [1.0, -0.9], out)
    return fitted(loud[frame : frame + len(samples)].astype(np.float32), len(samples))


def transform(samples: Samples) -> NDArray[np.complex64]:
    """Spectra of Hann frames, complex64 [frames, bins]."""
    padded = np.pad(samples, (FFT_SAMPLES, FFT_SAMPLES))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FFT_SAMPLES)[::HOP_SAMPLES]
    return np.fft.rfft(frames * window_of()).astype(np.complex64)


def inverse(spectra: NDArray[np.complex64], count: int) -> Samples:
    """Overlap-add of spectra, float32 [count]."""
    frames = np.fft.irfft(spectra).astype(np.float32) * window_of()
    ratio = FFT_SAMPLES // HOP_SAMPLES
    sums = np.zeros((len(frames) + ratio - 1, HOP_SAMPLES), np.float32)
    for part in range(ratio):  # each frame in pieces of a hop
        sums[part : part + len(frames)] += frames[:, part * HOP_SAMPLES : (part + 1) * HOP_SAMPLES]
    return fitted(sums.reshape(-1)[FFT_SAMPLES:] / np.float32(1.5), count)  # four squared Hann windows add up to 1.5


@cache
def window_of() -> Samples:
    """A periodic Hann window."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT_SAMPLES) / FFT_SAMPLES)).astype(np.float32)


@cache
def mel_matrices(count: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bins → mel bands [bins, count] and their pseudo-inverse [count, bins]."""
    bank = mel_filterbank(count, rate_hz=SAMPLE_RATE_HZ, fft_samples=FFT_SAMPLES, low_hz=0.0).dense().T
    return bank.astype(np.float32), np.linalg.pinv(bank).astype(np.float32)


def from_mel(
    magnitude: NDArray[np.float32],
    count: int = 64,
    edit: Callable[[NDArray[np.float32]], NDArray[np.float32]] | None = None,
) -> NDArray[np.float32]:
    """Magnitudes as `count` mel bands tell them, after an edit of the bands if wanted; never negative."""
    forth, back = mel_matrices(count)
    mel = magnitude @ forth
    return np.maximum((mel if edit is None else edit(mel)) @ back, 1e-5).astype(np.float32)


MAKERS: dict[str, Callable[[Samples, str, np.random.Generator], Samples]] = {
    "world": world,
    "griffin-lim": griffin_lim,
    "mel-phase": mel_phase,
    "lpc": lpc,
}
"""System → what makes a clip anew."""
