"""Pairs of the same job: by rtemo.dsp, and by numpy or scipy with the same streaming state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from rtemo.dsp.bands import LogBands
from rtemo.dsp.companding import decode_mulaw, encode_mulaw
from rtemo.dsp.fft import RealFft
from rtemo.dsp.filters import Biquads, Section, butterworth_low_pass
from rtemo.dsp.gains import apply_gains
from rtemo.dsp.level import LevelMeter
from rtemo.dsp.logmel import LogMel
from rtemo.dsp.pitch import PitchTracker
from rtemo.dsp.rate import SpeechRate
from rtemo.dsp.resample import PolyphaseResampler, design_prototype, resample
from rtemo.dsp.stft import Istft, Stft, low_delay_windows
from rtemo.dsp.tilt import SpectralTilt

Run = Callable[[], Any]
HOP = 160
RATE_HZ = 16_000


@dataclass(frozen=True)
class Case:
    """One job for n rows: `make(n)` gives our run and the reference's."""

    name: str
    reference: str
    make: Callable[[int], tuple[Run, Run]]
    row_counts: tuple[int, ...] = (1, 64)


def _noise(*shape: int) -> NDArray[np.float32]:
    return (np.random.default_rng(0).standard_normal(shape) * 0.1).astype(np.float32)


def fft(n: int) -> tuple[Run, Run]:
    frames = _noise(n, 512)
    ours = RealFft(512)
    return lambda: ours.forward(frames), lambda: np.fft.rfft(frames)


def _mel_of(frames: NDArray[np.float32], window: NDArray[np.float32], dense: NDArray[np.float32]) -> Any:
    spectrum = np.fft.rfft(frames * window, 512)
    power = spectrum.real**2 + spectrum.imag**2
    return np.log(np.maximum(power @ dense, np.float32(1e-10)))


def _mel_tables(model: LogMel) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    window = np.hanning(401)[:400]
    return (window * 2 / window.sum()).astype(np.float32), np.ascontiguousarray(model.filterbank.dense().T)


def logmel(n: int) -> tuple[Run, Run]:
    samples = _noise(n, HOP)
    model = LogMel(n)
    window, dense = _mel_tables(model)
    frame = np.zeros((n, 400), np.float32)

    def by_numpy() -> Any:
        frame[:, :-HOP] = frame[:, HOP:]
        frame[:, -HOP:] = samples
        return _mel_of(frame, window, dense)

    return lambda: model.process(samples), by_numpy


def logmel_offline(_: int) -> tuple[Run, Run]:
    samples = _noise(3 * RATE_HZ)
    model = LogMel()
    window, dense = _mel_tables(model)

    def by_numpy() -> Any:
        padded = np.concatenate([np.zeros(240, np.float32), samples])
        return _mel_of(np.lib.stride_tricks.sliding_window_view(padded, 400)[::HOP], window, dense)

    return lambda: model.offline(samples), by_numpy


def stft_round_trip(n: int) -> tuple[Run, Run]:
    samples = _noise(n, HOP)
    windows = low_delay_windows(512, HOP, 320)
    stft = Stft(n, windows[0])
    istft = Istft(n, windows[1], frame_samples=512)
    analysis, synthesis = (window.astype(np.float32) for window in windows)
    frame = np.zeros((n, 512), np.float32)
    overlap = np.zeros((n, 320), np.float32)

    def by_numpy() -> Any:
        frame[:, :-HOP] = frame[:, HOP:]
        frame[:, -HOP:] = samples
        back = np.fft.irfft(np.fft.rfft(frame * analysis), 512)
        overlap[:] += back[:, -320:] * synthesis
        out = overlap[:, :HOP].copy()
        overlap[:, :-HOP] = overlap[:, HOP:]
        overlap[:, -HOP:] = 0.0
        return out

    return lambda: istft.process(stft.process(samples)), by_numpy


def log_bands(n: int) -> tuple[Run, Run]:
    window = low_delay_windows(512, HOP, 320)[0]
    spectra = Stft(n, window).process(_noise(n, HOP)).copy()
    model = LogBands(n, window)
    bins = np.zeros((n, 257), np.float32)
    dense = np.ascontiguousarray(model.filterbank.dense().T)
    scale, floor = np.float32((2.0 / window.sum()) ** 2), np.float32(1e-10)

    def by_numpy() -> Any:
        power = scale * (spectra.real**2 + spectra.imag**2)
        return np.log(np.maximum(power @ dense, floor)), np.log(np.maximum(power, floor))

    return lambda: model.process(spectra, bins=bins), by_numpy


def gains(n: int) -> tuple[Run, Run]:
    spectra = Stft(n, low_delay_windows(512, HOP, 320)[0]).process(_noise(n, HOP)).copy()
    given = np.ones((n, 257), np.float32)
    least, slope = np.float32(0.25), np.float32(0.75)

    def by_numpy() -> Any:
        np.multiply(spectra, least + slope * given, out=spectra)

    return lambda: apply_gains(spectra, given, 0.25), by_numpy


def biquads(n: int) -> tuple[Run, Run]:
    samples = _noise(n, HOP)
    sections = (Section.dc_blocker(20.0, RATE_HZ), Section.high_shelf(3_000.0, RATE_HZ, 3.0))
    ours = Biquads(n, sections)
    sos = np.array([section.sos() for section in sections])
    state = np.zeros((2, n, 2))

    def by_scipy() -> Any:
        nonlocal state
        out, state = signal.sosfilt(sos, samples.astype(np.float64), axis=1, zi=state)
        return out.astype(np.float32)

    return lambda: ours.process(samples), by_scipy


def level(n: int) -> tuple[Run, Run]:
    samples = _noise(n, HOP)
    meter = LevelMeter(n)
    smooth = np.zeros(n, np.float32)
    minima = np.full((n, 8), np.inf, np.float32)

    def by_numpy() -> Any:
        power = np.mean(np.square(samples), axis=1)
        size = np.abs(samples)
        smooth[:] = 0.6 * smooth + 0.4 * power
        minima[:, 0] = np.minimum(minima[:, 0], smooth)
        return power, size.max(axis=1), np.count_nonzero(size >= 0.98, axis=1), minima.min(axis=1)

    return lambda: meter.process(samples), by_numpy


def pitch(n: int) -> tuple[Run, Run]:
    samples = _noise(n, HOP)
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


def rate(n: int) -> tuple[Run, Run]:
    samples = _noise(n, HOP)
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


def tilt(n: int) -> tuple[Run, Run]:
    model = LogMel(n)
    frames = model.process(_noise(n, HOP)).copy()
    ours = SpectralTilt(n, model.filterbank)
    chosen = np.flatnonzero((model.filterbank.center_hz >= 300.0) & (model.filterbank.center_hz <= 3_400.0))
    octave = np.log2(model.filterbank.center_hz[chosen])

    def by_numpy() -> Any:
        return np.polyfit(octave, frames[:, chosen].T, 1)[0]

    return lambda: ours.process(frames), by_numpy


def _resampler(from_hz: int) -> Callable[[int], tuple[Run, Run]]:
    def make(n: int) -> tuple[Run, Run]:
        samples = _noise(n, from_hz // 100)
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


def resample_file(_: int) -> tuple[Run, Run]:
    samples = _noise(10 * 48_000)
    taps = design_prototype(1, 3).astype(np.float32)
    return (
        lambda: resample(samples, 48_000, RATE_HZ),
        lambda: signal.resample_poly(samples, 1, 3, window=taps),
    )


def mulaw(n: int) -> tuple[Run, Run]:
    samples = _noise(n, HOP)

    def by_numpy() -> Any:
        code = np.sign(samples) * np.log1p(255.0 * np.minimum(np.abs(samples), 1.0)) / np.log(256.0)
        level = np.rint(code * 127.0)
        return np.sign(level) * (np.power(256.0, np.abs(level) / 127.0) - 1.0) / 255.0

    return lambda: decode_mulaw(encode_mulaw(samples)), by_numpy


CASES = (
    Case("fft 512", "numpy.fft.rfft", fft),
    Case("log-mel hop", "numpy", logmel),
    Case("log-mel of 3 s", "numpy", logmel_offline, (1,)),
    Case("STFT and back, 512/160/320", "numpy", stft_round_trip),
    Case("bands and bins of a spectrum", "numpy", log_bands),
    Case("gains on a spectrum", "numpy", gains),
    Case("2 biquads", "scipy.signal.sosfilt", biquads),
    Case("level and noise", "numpy", level),
    Case("pitch", "numpy and sosfilt", pitch),
    Case("speech rate", "numpy and sosfilt", rate),
    Case("tilt", "numpy.polyfit", tilt),
    Case("8 to 16 kHz, 10 ms", "scipy.signal.upfirdn", _resampler(8_000)),
    Case("48 to 16 kHz, 10 ms", "scipy.signal.upfirdn", _resampler(48_000)),
    Case("48 to 16 kHz, 10 s", "scipy.signal.resample_poly", resample_file, (1,)),
    Case("mu-law and back", "numpy formula", mulaw),
)
