"""Pairs of the same job: by rtemo.dsp, and by NumPy with the same streaming state."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.bands import LogBands
from rtemo.dsp.companding import decode_mulaw, encode_mulaw
from rtemo.dsp.fft import RealFft
from rtemo.dsp.finite import finite_rows
from rtemo.dsp.gains import apply_gains
from rtemo.dsp.level import LevelMeter
from rtemo.dsp.logmel import LogMel
from rtemo.dsp.order import sort_values
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


def noise(*shape: int) -> NDArray[np.float32]:
    """Make float32 noise [*shape] at -20 dBFS, always the same."""
    return (np.random.default_rng(0).standard_normal(shape) * 0.1).astype(np.float32)


def _fft(n: int) -> tuple[Run, Run]:
    frames = noise(n, 512)
    ours = RealFft(512)
    return lambda: ours.forward(frames), lambda: np.fft.rfft(frames)


def _mel_of(frames: NDArray[np.float32], window: NDArray[np.float32], dense: NDArray[np.float32]) -> Any:
    spectrum = np.fft.rfft(frames * window, 512)
    power = spectrum.real**2 + spectrum.imag**2
    return np.log(np.maximum(power @ dense, np.float32(1e-10)))


def _mel_tables(model: LogMel) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    window = np.hanning(401)[:400]
    return (window * 2 / window.sum()).astype(np.float32), np.ascontiguousarray(model.filterbank.dense().T)


def _logmel(n: int) -> tuple[Run, Run]:
    samples = noise(n, HOP)
    model = LogMel(n)
    window, dense = _mel_tables(model)
    frame = np.zeros((n, 400), np.float32)

    def by_numpy() -> Any:
        frame[:, :-HOP] = frame[:, HOP:]
        frame[:, -HOP:] = samples
        return _mel_of(frame, window, dense)

    return lambda: model.process(samples), by_numpy


def _logmel_offline(_: int) -> tuple[Run, Run]:
    samples = noise(3 * RATE_HZ)
    model = LogMel()
    window, dense = _mel_tables(model)

    def by_numpy() -> Any:
        padded = np.concatenate([np.zeros(240, np.float32), samples])
        return _mel_of(np.lib.stride_tricks.sliding_window_view(padded, 400)[::HOP], window, dense)

    return lambda: model.offline(samples), by_numpy


def _stft_round_trip(n: int) -> tuple[Run, Run]:
    samples = noise(n, HOP)
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


def _log_bands(n: int) -> tuple[Run, Run]:
    window = low_delay_windows(512, HOP, 320)[0]
    spectra = Stft(n, window).process(noise(n, HOP)).copy()
    model = LogBands(n, window)
    bins = np.zeros((n, 257), np.float32)
    dense = np.ascontiguousarray(model.filterbank.dense().T)
    scale, floor = np.float32((2.0 / window.sum()) ** 2), np.float32(1e-10)

    def by_numpy() -> Any:
        power = scale * (spectra.real**2 + spectra.imag**2)
        return np.log(np.maximum(power @ dense, floor)), np.log(np.maximum(power, floor))

    return lambda: model.process(spectra, bins=bins), by_numpy


def _gains(n: int) -> tuple[Run, Run]:
    spectra = Stft(n, low_delay_windows(512, HOP, 320)[0]).process(noise(n, HOP)).copy()
    given = np.ones((n, 257), np.float32)
    least, slope = np.float32(0.25), np.float32(0.75)

    def by_numpy() -> Any:
        np.multiply(spectra, least + slope * given, out=spectra)

    return lambda: apply_gains(spectra, given, 0.25), by_numpy


def _level(n: int) -> tuple[Run, Run]:
    samples = noise(n, HOP)
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


def _tilt(n: int) -> tuple[Run, Run]:
    model = LogMel(n)
    frames = model.process(noise(n, HOP)).copy()
    ours = SpectralTilt(n, model.filterbank)
    chosen = np.flatnonzero((model.filterbank.center_hz >= 300.0) & (model.filterbank.center_hz <= 3_400.0))
    octave = np.log2(model.filterbank.center_hz[chosen])

    def by_numpy() -> Any:
        return np.polyfit(octave, frames[:, chosen].T, 1)[0]

    return lambda: ours.process(frames), by_numpy


def _mulaw(n: int) -> tuple[Run, Run]:
    samples = noise(n, HOP)

    def by_numpy() -> Any:
        code = np.sign(samples) * np.log1p(255.0 * np.minimum(np.abs(samples), 1.0)) / np.log(256.0)
        level = np.rint(code * 127.0)
        return np.sign(level) * (np.power(256.0, np.abs(level) / 127.0) - 1.0) / 255.0

    return lambda: decode_mulaw(encode_mulaw(samples)), by_numpy


def _finite(n: int) -> tuple[Run, Run]:
    samples = noise(n, HOP)
    return lambda: finite_rows(samples), lambda: (np.abs(samples) <= 100.0).all()


def _order(_: int) -> tuple[Run, Run]:
    values = noise(1_000)

    def ours() -> Any:
        given = values.copy()
        sort_values(given)
        return given

    return ours, lambda: np.sort(values)


CASES = (
    Case("fft 512", "numpy.fft.rfft", _fft),
    Case("log-mel hop", "numpy", _logmel),
    Case("log-mel of 3 s", "numpy", _logmel_offline, (1,)),
    Case("STFT and back", "numpy", _stft_round_trip),
    Case("bands of a spectrum", "numpy", _log_bands),
    Case("gains on a spectrum", "numpy", _gains),
    Case("level and noise", "numpy", _level),
    Case("tilt", "numpy.polyfit", _tilt),
    Case("mu-law and back", "numpy", _mulaw),
    Case("are all samples finite", "numpy", _finite),
    Case("sort of 1,000 values", "numpy.sort", _order, (1,)),
)
