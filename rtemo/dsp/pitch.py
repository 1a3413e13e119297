"""PitchTracker: fundamental frequency and voicing confidence of every stream, one estimate per hop."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.fft import FftPlan, complex_fft, pack_spectrum, unpack_spectrum
from rtemo.dsp.filters import biquads_tile, butterworth_low_pass, section_table
from rtemo.dsp.frames import push_history
from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, fma, fms, gather_rows, gather_tile, largest, load, splat, store
from rtemo.dsp.rows import RowKernel, float32_rows

VOICED = 0.7
"""Voicing confidence from which a frame counts as voiced."""

_INNER_RATE_HZ = 8_000
_LOW_PASS_HZ = 1_000.0
_WINDOW_S = 0.025
_THRESHOLD = np.float32(0.15)
_MARGIN = np.float32(0.08)
_SILENT_POWER = np.float32(1e-9)


@dataclass(frozen=True)
class Pitch:
    """What `PitchTracker` found in the newest frame; the arrays are overwritten by the next call.

    Attributes:
        hz: float32 [n], most probable fundamental frequency; 0 in silence. Means something only when voiced.
        voicing: float32 [n], 0..1: 1 - d' at the period, 1 for a frame that repeats exactly; 0 in silence.
    """

    hz: NDArray[np.float32]
    voicing: NDArray[np.float32]

    @property
    def is_voiced(self) -> NDArray[np.bool_]:
        """Which streams are voiced, bool [n]."""
        return np.asarray(self.voicing >= VOICED)


@kernel
def _correlate(a: Any, b: Any, y: Any, spectrum_a: Any, spectrum_b: Any, tables: Any) -> Any:
    """Give the cross-correlation of frames `a` and `b`, times half their size, in an array of swapped pairs."""
    stages, twiddle, unpack = tables
    unpack_spectrum(complex_fft(a, y, stages, twiddle), unpack, spectrum_a)
    unpack_spectrum(complex_fft(b, y, stages, twiddle), unpack, spectrum_b)
    for k in range(0, spectrum_a.shape[0], 2):
        ar, ai = load(spectrum_a, k), load(spectrum_a, k + 1)
        br, bi = load(spectrum_b, k), load(spectrum_b, k + 1)
        store(spectrum_a, k, fma(ar, br, ai * bi))
        store(spectrum_a, k + 1, fms(ar, bi, ai * br))
    pack_spectrum(spectrum_a, unpack, a)
    return complex_fft(a, y, stages, twiddle)


@kernel
def _normalised_difference(frame: Any, swapped: Any, window: int, difference: Any, power: Any) -> None:
    """Fill `difference` [lags, LANES] with YIN's d' and register 0 of `power` with the mean square of the frame."""
    lags = difference.shape[0]
    scale = splat(np.float32(-4.0 / swapped.shape[0]))  # -2 for the difference, 2 / size for the transform
    zero = splat(np.float32(0.0))
    first = zero
    for i in range(window):
        x = load(frame, i)
        first = fma(x, x, first)
    store(power, 0, first * splat(np.float32(1.0 / window)))
    store(difference, 0, splat(np.float32(1.0)))
    shifted = first
    cumulated = splat(np.float32(1e-12))
    for lag in range(1, lags):
        leaving, entering = load(frame, lag - 1), load(frame, lag + window - 1)
        shifted = fma(entering, entering, shifted) - leaving * leaving
        d = largest(fma(scale, load(swapped, lag ^ 1), first + shifted), zero)
        cumulated = cumulated + d
        store(difference, lag, d * splat(np.float32(lag)) / cumulated)


@kernel
def _best_lag(difference: Any, lane: int, lowest: int) -> Any:
    """Give the lag of the first dip in one lane that is deep enough, and its depth d', between samples."""
    lags = difference.shape[0]
    least = difference[lowest, lane]
    for lag in range(lowest + 1, lags - 1):
        least = min(least, difference[lag, lane])
    threshold = max(_THRESHOLD, least + _MARGIN)
    best = lowest
    while best < lags - 2 and (
        difference[best, lane] >= threshold or difference[best + 1, lane] < difference[best, lane]
    ):
        best += 1
    before, here, after = difference[best - 1, lane], difference[best, lane], difference[best + 1, lane]
    curvature = before - np.float32(2.0) * here + after
    if curvature <= np.float32(0.0):
        return np.float32(best), here
    offset = np.float32(0.5) * (before - after) / curvature
    offset = min(max(offset, np.float32(-0.5)), np.float32(0.5))
    return np.float32(best) + offset, here - np.float32(0.25) * (before - after) * offset


@kernel
def _track(
    samples: Any,
    coefficients: Any,
    filter_state: Any,
    history: Any,
    decimation: int,
    window: int,
    lowest: int,
    inner_rate_hz: float,
    tables: Any,
    filter_work: Any,
    work: Any,
    hz: Any,
    voicing: Any,
) -> None:
    registers, carry = filter_work
    frame, a, b, y, spectrum_a, spectrum_b, difference, power, fresh = work
    for tile in range(0, samples.shape[0], LANES):
        live = gather_tile(samples, tile, registers)
        biquads_tile(registers, coefficients, filter_state, tile, live, carry)
        for lane in range(live):
            row = tile + lane
            for i in range(fresh.size):
                fresh[i] = np.float32(registers[i * decimation, lane])
            push_history(history[row], fresh)
        gather_rows(history, tile, live, frame, 0)
        for i in range(frame.shape[0]):
            x = load(frame, i)
            store(b, i, x)
            store(a, i, x if i < window else splat(np.float32(0.0)))
        swapped = _correlate(a, b, y, spectrum_a, spectrum_b, tables)
        _normalised_difference(frame, swapped, window, difference, power)
        for lane in range(live):
            row = tile + lane
            if power[0, lane] < _SILENT_POWER:
                hz[row], voicing[row] = np.float32(0.0), np.float32(0.0)
            else:
                lag, dip = _best_lag(difference, lane, lowest)
                hz[row] = np.float32(inner_rate_hz) / lag
                voicing[row] = min(max(np.float32(1.0) - dip, np.float32(0.0)), np.float32(1.0))


class PitchTracker(RowKernel):
    """Estimates pitch by YIN on the band below 1 kHz at 8 kHz or so.

    De Cheveigné & Kawahara, "YIN, a fundamental frequency estimator for speech and music", JASA 111 (2002), steps 2
    to 5: difference function over a window of 25 ms (through the cross-correlation of the frame with its beginning),
    cumulative mean normalisation, absolute threshold 0.15, parabolic interpolation. Two things differ: the low-pass
    filter keeps noise and high formants out of the difference, and where no dip passes the threshold the first within
    0.08 of the deepest is taken, since in noise the deepest is often a multiple of the period (gross errors of vowels
    at 0 dB fall from 12 % to below 1 %). The work is the same at every hop.

    The estimate speaks of the frame that ends with the hop, 42 ms with the defaults; its centre lies 21 ms back.

    Args:
        capacity: Streams that `process` can hold at once.
        hop_samples: Samples of each stream per call; a multiple of rate_hz // 8000.
        rate_hz: Sample rate, at least 8000.
        low_hz: Lowest pitch.
        high_hz: Highest pitch.
    """

    def __init__(
        self,
        capacity: int,
        *,
        hop_samples: int = 160,
        rate_hz: int = 16_000,
        low_hz: float = 60.0,
        high_hz: float = 500.0,
    ) -> None:
        super().__init__(capacity)
        self._decimation = rate_hz // _INNER_RATE_HZ
        if self._decimation < 1 or hop_samples % self._decimation:
            raise ValueError(
                f"a hop of {hop_samples} samples at {rate_hz} Hz was given; expected at least {_INNER_RATE_HZ} Hz "
                f"and a hop that is a multiple of {max(self._decimation, 1)}"
            )
        self._inner_rate_hz = rate_hz / self._decimation
        if not 0.0 < low_hz < high_hz <= _LOW_PASS_HZ:
            raise ValueError(f"pitch from {low_hz} to {high_hz} Hz was asked for; expected 0 < low < high <= 1000 Hz")
        self._window = round(_WINDOW_S * self._inner_rate_hz)
        self._lowest = max(2, int(self._inner_rate_hz / high_hz) - 1)
        lags = int(np.ceil(self._inner_rate_hz / low_hz)) + 2
        span = self._window + lags
        plan = _smallest_plan(span)
        self._tables = (plan.stages, plan.twiddle, plan.unpack)
        self._coefficients = section_table(butterworth_low_pass(4, _LOW_PASS_HZ, rate_hz))
        self._filter_state = self.state.add("filter", (len(self._coefficients), 2), np.float64)
        self._history = self.state.add("history", (span,), np.float32)
        self._filter_work = (np.zeros((hop_samples, LANES)), np.zeros((2, LANES)))
        size = plan.size
        self._work = (
            *(np.zeros((size, LANES), np.float32) for _ in range(4)),
            *(np.zeros((size + 2, LANES), np.float32) for _ in range(2)),
            np.zeros((lags, LANES), np.float32),
            np.zeros((1, LANES), np.float32),
            np.zeros(hop_samples // self._decimation, np.float32),
        )
        self._hz = np.zeros(capacity, np.float32)
        self._voicing = np.zeros(capacity, np.float32)

    def process(self, samples: NDArray[np.float32]) -> Pitch:
        """Take one hop of each stream and give the pitch of its newest frame.

        Args:
            samples: float32 [n, hop_samples].
        """
        x = float32_rows(samples)
        pitch = Pitch(self._hz[: x.shape[0]], self._voicing[: x.shape[0]])
        _track(
            x,
            self._coefficients,
            self._filter_state,
            self._history,
            self._decimation,
            self._window,
            self._lowest,
            self._inner_rate_hz,
            self._tables,
            self._filter_work,
            self._work,
            pitch.hz,
            pitch.voicing,
        )
        return pitch


def _smallest_plan(samples: int) -> FftPlan:
    """Give the shortest transform of at least `samples`."""
    size = samples + samples % 2
    while True:
        try:
            return FftPlan(size)
        except ValueError:
            size += 2
