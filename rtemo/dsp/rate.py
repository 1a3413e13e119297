"""SpeechRate: a proxy for the rate of speech, peaks of the syllabic energy per second."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.filters import biquads_tile, butterworth_high_pass, butterworth_low_pass, section_table
from rtemo.dsp.frames import push_history
from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, fma, gather_tile, load, splat, store
from rtemo.dsp.rows import RowKernel, float32_rows

_LOW_HZ = 300.0
_HIGH_HZ = 3_400.0
_SMOOTHING_S = 0.07
_DIP = 10.0 ** (-2.0 / 10.0)
_RANGE = 10.0 ** (-25.0 / 10.0)
_FADE_DB_PER_S = 2.0
_LEAST_POWER = 1e-9
_MOST_POWER = 4.0


@dataclass(frozen=True)
class Rate:
    """What `SpeechRate` found; the arrays are overwritten by the next call.

    Attributes:
        peaks: uint8 [n], 1 where this hop confirmed a peak; the peak itself lies 50 to 150 ms back.
        per_s: float32 [n], peaks per second of speech over the last seconds; NaN until half a second of speech.
    """

    peaks: NDArray[np.uint8]
    per_s: NDArray[np.float32]


@kernel
def _band_power(registers: Any, power: Any) -> None:
    total = splat(0.0)
    for i in range(registers.shape[0]):
        x = load(registers, i)
        total = fma(x, x, total)
    store(power, 0, total * splat(1.0 / registers.shape[0]))


@kernel
def _pick(energy: float, is_speech: Any, fade: float, extremes: Any, rises: Any, was_speech: Any, row: int) -> Any:
    """Follow the envelope of one row and say whether it has just come down from a peak in speech.

    `extremes` [capacity, 3] holds the last turning point's level, the highest level since, and the fading maximum.
    """
    loudest = max(energy, extremes[row, 2] * fade)
    extremes[row, 2] = loudest
    if rises[row]:
        if energy >= extremes[row, 1]:
            extremes[row, 1] = energy
            was_speech[row] = is_speech
        elif energy < extremes[row, 1] * _DIP:
            is_peak = extremes[row, 1] > loudest * _RANGE and was_speech[row] != 0
            rises[row] = 0
            extremes[row, 0] = energy
            return is_peak
    elif energy < extremes[row, 0]:
        extremes[row, 0] = energy
    elif energy * _DIP > extremes[row, 0]:
        rises[row] = 1
        extremes[row, 1] = energy
        was_speech[row] = is_speech
    return False


@kernel
def _count(
    samples: Any,
    is_speech: Any,
    coefficients: Any,
    filter_state: Any,
    weights: Any,
    recent: Any,
    fade: float,
    picking: Any,
    memory: Any,
    hops_per_s: float,
    work: Any,
    peaks: Any,
    per_s: Any,
) -> None:
    extremes, rises, was_speech = picking
    past_peaks, past_speech, sums, heard = memory
    registers, carry, power, newest = work
    window_hops = past_peaks.shape[1]
    for tile in range(0, samples.shape[0], LANES):
        live = gather_tile(samples, tile, registers)
        biquads_tile(registers, coefficients, filter_state, tile, live, carry)
        _band_power(registers, power)
        for lane in range(live):
            row = tile + lane
            is_audio = power[0, lane] < _MOST_POWER  # NaN is not; it would never be forgotten
            newest[0] = _LEAST_POWER + (power[0, lane] if is_audio else 0.0)
            push_history(recent[row], newest)
            energy = 0.0
            for i in range(weights.size):
                energy += weights[i] * recent[row, i]
            is_peak = _pick(energy, is_speech[row], fade, extremes, rises, was_speech, row)
            slot = heard[row] % window_hops
            heard[row] += 1
            sums[row, 0] += np.int32(is_peak) - np.int32(past_peaks[row, slot])
            sums[row, 1] += np.int32(is_speech[row] != 0) - np.int32(past_speech[row, slot])
            past_peaks[row, slot] = is_peak
            past_speech[row, slot] = is_speech[row] != 0
            peaks[row] = is_peak
            if sums[row, 1] >= 0.5 * hops_per_s:
                per_s[row] = np.float32(sums[row, 0] * hops_per_s / sums[row, 1])
            else:
                per_s[row] = np.float32(np.nan)


class SpeechRate(RowKernel):
    """Counts the peaks of the energy envelope between 300 and 3400 Hz, which syllable nuclei make.

    The idea of De Jong & Wempe, "Praat script to detect syllable nuclei and measure speech rate automatically",
    Behavior Research Methods 41 (2009), made causal: the power of each hop is smoothed by a Hann window of 70 ms; a
    maximum counts when the envelope rose and fell by 2 dB around it and it lies within 25 dB of the loudest lately.
    It is a proxy: fluent fast speech merges syllables (about a tenth goes uncounted at double speed).

    Args:
        capacity: Streams that `process` can hold at once.
        hop_samples: Samples of each stream per call, about 10 ms.
        rate_hz: Sample rate, above 6800.
        window_s: How far back the rate looks.
    """

    def __init__(self, capacity: int, *, hop_samples: int = 160, rate_hz: int = 16_000, window_s: float = 3.0) -> None:
        super().__init__(capacity)
        self._hops_per_s = rate_hz / hop_samples
        sections = (*butterworth_high_pass(2, _LOW_HZ, rate_hz), *butterworth_low_pass(2, _HIGH_HZ, rate_hz))
        self._coefficients = section_table(sections)
        width = max(1, round(_SMOOTHING_S * self._hops_per_s))
        weights = np.hanning(width + 2)[1:-1]
        self._weights = weights / weights.sum()
        self._fade = float(10.0 ** (-_FADE_DB_PER_S / 10.0 / self._hops_per_s))
        window_hops = max(1, round(window_s * self._hops_per_s))
        state = self.state
        self._filter_state = state.add("filter", (len(sections), 2), np.float64)
        self._recent = state.add("recent", (width,), np.float64, fill=_LEAST_POWER)
        self._picking = (
            state.add("extremes", (3,), np.float64, fill=_LEAST_POWER),
            state.add("rises", (), np.uint8),
            state.add("was_speech", (), np.uint8),
        )
        self._memory = (
            state.add("past_peaks", (window_hops,), np.uint8),
            state.add("past_speech", (window_hops,), np.uint8),
            state.add("sums", (2,), np.int32),
            state.add("heard_hops", (), np.int64),
        )
        self._work = (np.zeros((hop_samples, LANES)), np.zeros((2, LANES)), np.zeros((1, LANES)), np.zeros(1))
        self._always = np.ones(capacity, np.uint8)
        self._peaks = np.zeros(capacity, np.uint8)
        self._per_s = np.zeros(capacity, np.float32)

    def process(self, samples: NDArray[np.float32], is_speech: NDArray[np.bool_] | None = None) -> Rate:
        """Take one hop of each stream.

        Args:
            samples: float32 [n, hop_samples].
            is_speech: bool [n], where speech is; peaks count and time runs there alone. Everywhere by default.
        """
        x = float32_rows(samples)
        n = x.shape[0]
        speech = self._always[:n] if is_speech is None else np.ascontiguousarray(is_speech, np.uint8)
        rate = Rate(self._peaks[:n], self._per_s[:n])
        _count(
            x,
            speech,
            self._coefficients,
            self._filter_state,
            self._weights,
            self._recent,
            self._fade,
            self._picking,
            self._memory,
            self._hops_per_s,
            self._work,
            rate.peaks,
            rate.per_s,
        )
        return rate
