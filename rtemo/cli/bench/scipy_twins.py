"""Pairs of the same job: by rtemo.dsp, and by SciPy with the same streaming state. Importing it needs SciPy."""

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import signal

from rtemo.cli.bench.twins import HOP, RATE_HZ, Case, Run, noise
from rtemo.dsp.filters import Biquads, Section, butterworth_low_pass
from rtemo.dsp.pitch import PitchTracker
from rtemo.dsp.rate import SpeechRate
from rtemo.dsp.resample import PolyphaseResampler, design_prototype, resample


def _biquads(n: int) -> tuple[Run, Run]:
    samples = noise(n, HOP)
    sections = (Section.dc_blocker(20.0, RATE_HZ), Section.high_shelf(3_000.0, RATE_HZ, 3.0))
    ours = Biquads(n, sections)
    sos = np.array([section.sos() for section in sections])
    state = np.zeros((2, n, 2))

    def by_scipy() -> Any:
        nonlocal state
        out, state = signal.sosfilt(sos, samples.astype(np.float64), axis=1, zi=state)
        return out.astype(np.float32)

    return lambda: ours.process(samples), by_scipy


def _pitch(n: int) -> tuple[Run, Run]:
    samples = noise(n, HOP)
    tracker = PitchTracker(n)
    sos = np.array([section.sos() for section in butterworth_low_pass(4, 1_000.0, RATE_HZ)])
    state = np.zeros((2, n, 2))
    history = np.zeros((n, 336), np.float32)
    lags = np.arange(136, dtype=np.float32)
    rows = np.arange(n)

    def by_numpy() -> Any:
        nonlocal state
        low, state = signal.sosfilt(sos, samples.astype(np.float64), axis=1, zi=state)
        history[:, :-80] = history[:, 80:]
        history[:, -80:] = low[:, ::2]
        spectrum = np.fft.rfft(history, 360)
        correlation = np.fft.irfft(np.conj(np.fft.rfft(history[:, :200], 360)) * spectrum, 360)[:, :136]
        energy = np.cumsum(np.square(history, dtype=np.float64), axis=1)
        shifted = energy[:, 199:335].copy()
        shifted[:, 1:] -= energy[:, :135]
        difference = np.maximum(shifted[:, :1] + shifted - 2.0 * correlation, 0.0)
        normal = difference * lags / (np.cumsum(difference, axis=1) + 1e-12)
        inside = normal[:, 15:135]
        threshold = np.maximum(0.15, inside.min(axis=1) + 0.08)[:, None]
        dips = (inside < threshold) & (normal[:, 16:136] >= inside)
        best = 15 + np.argmax(dips, axis=1)
        a, b, c = normal[rows, best - 1], normal[rows, best], normal[rows, best + 1]
        offset = 0.5 * (a - c) / np.maximum(a - 2 * b + c, 1e-9)
        return 8_000.0 / (best + offset), 1.0 - b

    return lambda: tracker.process(samples), by_numpy


def _rate(n: int) -> tuple[Run, Run]:
    samples = noise(n, HOP)
    ours = SpeechRate(n)
    sos = signal.butter(2, [300.0, 3_400.0], "bandpass", fs=RATE_HZ, output="sos")
    state = np.zeros((2, n, 2))
    recent = np.zeros((n, 7))
    weights = np.hanning(9)[1:-1] / 4.0
    low, high, loudest = np.full(n, 1e-9), np.full(n, 1e-9), np.full(n, 1e-9)
    rises = np.zeros(n, bool)

    def by_scipy() -> Any:
        nonlocal state
        band, state = signal.sosfilt(sos, samples.astype(np.float64), axis=1, zi=state)
        recent[:, :-1] = recent[:, 1:]
        recent[:, -1] = np.mean(np.square(band), axis=1)
        energy = recent @ weights
        np.maximum(energy, loudest * 0.995, out=loudest)
        falls = rises & (energy < high * 0.63)
        peaks = falls & (high > loudest * 0.003)
        starts = ~rises & (energy * 0.63 > low)
        high[:] = np.where(starts | (rises & (energy > high)), energy, high)
        low[:] = np.where(falls | (~rises & (energy < low)), energy, low)
        rises[:] = (rises & ~falls) | starts
        return peaks

    return lambda: ours.process(samples), by_scipy


def _resampler(from_hz: int) -> Callable[[int], tuple[Run, Run]]:
    def make(n: int) -> tuple[Run, Run]:
        samples = noise(n, from_hz // 100)
        ours = PolyphaseResampler(from_hz, RATE_HZ, channels=n)
        common = np.gcd(from_hz, RATE_HZ)
        up, down = int(RATE_HZ // common), int(from_hz // common)
        taps = design_prototype(up, down).astype(np.float32)
        line = np.zeros((n, -(-taps.size // up) + samples.shape[1]), np.float32)

        def by_scipy() -> Any:
            line[:, : -samples.shape[1]] = line[:, samples.shape[1] :]
            line[:, -samples.shape[1] :] = samples
            return signal.upfirdn(taps, line, up, down, axis=1)[:, -HOP:]

        return lambda: ours.process(samples), by_scipy

    return make


def _resample_file(_: int) -> tuple[Run, Run]:
    samples = noise(10 * 48_000)
    taps = design_prototype(1, 3).astype(np.float32)
    return (
        lambda: resample(samples, 48_000, RATE_HZ),
        lambda: signal.resample_poly(samples, 1, 3, window=taps),
    )


CASES = (
    Case("2 biquads", "scipy.signal.sosfilt", _biquads),
    Case("pitch", "numpy and sosfilt", _pitch),
    Case("speech rate", "numpy and sosfilt", _rate),
    Case("8 to 16 kHz, 10 ms", "scipy.signal.upfirdn", _resampler(8_000)),
    Case("48 to 16 kHz, 10 ms", "scipy.signal.upfirdn", _resampler(48_000)),
    Case("48 to 16 kHz, 10 s", "scipy.signal.resample_poly", _resample_file, (1,)),
)
