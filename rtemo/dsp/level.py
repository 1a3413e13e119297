"""LevelMeter: power, peak, clipping and background noise of every stream, hop by hop."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, fma, load_unaligned, splat, total
from rtemo.dsp.rows import RowKernel, float32_rows

FULL_SCALE = 0.98
"""Magnitude from which a sample counts as clipped: the loudest mu-law code reads 0.980."""

SILENCE_DBFS = -120.0
"""What `power_to_dbfs` gives for silence."""

_WINDOWS = 8
_SMOOTHING = np.float32(0.6)  # falls 35 dB in the 160 ms of a short pause
_BIAS = np.float32(1.158)  # of the minimum for white noise, measured over 10 minutes


@dataclass(frozen=True)
class Level:
    """What `LevelMeter` measured in one hop; the arrays are overwritten by the next call.

    Attributes:
        power: float32 [n], mean of the squared samples; a full-scale sine has 0.5.
        peak: float32 [n], largest magnitude.
        clipped_samples: int32 [n], samples at full scale.
        noise_power: float32 [n], estimated power of the background; NaN until half a second was heard.
    """

    power: NDArray[np.float32]
    peak: NDArray[np.float32]
    clipped_samples: NDArray[np.int32]
    noise_power: NDArray[np.float32]


def power_to_dbfs(power: ArrayLike) -> NDArray[np.float64]:
    """Convert mean squares to dBFS, where 0 is a full-scale square wave and a full-scale sine reads -3.01.

    Silence reads `SILENCE_DBFS`; NaN stays NaN.
    """
    least = 10.0 ** (SILENCE_DBFS / 10.0)
    return np.asarray(10.0 * np.log10(np.maximum(np.asarray(power, np.float64), least)))


def amplitude_to_dbfs(amplitude: ArrayLike) -> NDArray[np.float64]:
    """Convert magnitudes to dBFS: 1.0 reads 0, silence `SILENCE_DBFS`."""
    return power_to_dbfs(np.square(np.asarray(amplitude, np.float64)))


@kernel
def _measure(samples: Any, full_scale: Any, power: Any, peak: Any, clipped: Any) -> None:
    """Read each row once; its sums are made in a fixed order."""
    n, hop = samples.shape
    whole = hop - hop % LANES
    flat = samples.reshape(-1)
    for row in range(n):
        begin = row * hop
        squares = splat(np.float32(0.0))
        for i in range(0, whole, LANES):
            x = load_unaligned(flat, begin + i)
            squares = fma(x, x, squares)
        energy = total(squares)
        highest = np.float32(0.0)
        count = 0
        for i in range(hop):
            size = abs(flat[begin + i])
            highest = max(highest, size)
            count += size >= full_scale
        for i in range(whole, hop):
            energy += flat[begin + i] * flat[begin + i]
        power[row] = energy / np.float32(hop)
        peak[row] = highest
        clipped[row] = count


@kernel
def _track_noise(
    power: Any, window_hops: int, settle_hops: int, smooth: Any, minima: Any, heard: Any, noise: Any
) -> None:
    """Follow the least smoothed power of the last `_WINDOWS` windows."""
    for row in range(power.size):
        if not power[row] < np.float32(np.inf):  # infinite or NaN, it would never be forgotten
            noise[row] = np.float32(np.nan)
            continue
        if heard[row] == 0:
            smooth[row] = power[row]
        else:
            smooth[row] = _SMOOTHING * smooth[row] + (np.float32(1.0) - _SMOOTHING) * power[row]
        window = heard[row] // window_hops % _WINDOWS
        if heard[row] % window_hops == 0:
            minima[row, window] = smooth[row]
        else:
            minima[row, window] = min(minima[row, window], smooth[row])
        heard[row] += 1
        if heard[row] < settle_hops:
            noise[row] = np.float32(np.nan)
        else:
            least = minima[row, 0]
            for k in range(1, _WINDOWS):
                least = min(least, minima[row, k])
            noise[row] = _BIAS * least


class LevelMeter(RowKernel):
    """Measures power, peak and clipping of every hop and follows the background noise.

    The noise is the least smoothed power of the last 1.5 s or so, raised by the mean bias of that minimum: the idea of
    Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics", IEEE
    Transactions on Speech and Audio Processing (2001), on the whole band with fixed smoothing. It follows a rise of the
    noise after at most that time, a fall at once; speech without a pause that long raises it.

    Args:
        capacity: Streams that `process` can hold at once.
        hop_samples: Samples of each stream per call.
        rate_hz: Sample rate.
        full_scale: Magnitude from which a sample counts as clipped.
        noise_window_s: How far back the minimum looks.
    """

    def __init__(
        self,
        capacity: int,
        *,
        hop_samples: int = 160,
        rate_hz: int = 16_000,
        full_scale: float = FULL_SCALE,
        noise_window_s: float = 1.6,
    ) -> None:
        super().__init__(capacity)
        hops_per_s = rate_hz / hop_samples
        self._window_hops = max(1, round(noise_window_s * hops_per_s / _WINDOWS))
        self._settle_hops = max(1, round(0.5 * hops_per_s))
        self._full_scale = np.float32(full_scale)
        self._smooth = self.state.add("smooth", (), np.float32)
        self._minima = self.state.add("minima", (_WINDOWS,), np.float32, fill=np.inf)
        self._heard = self.state.add("heard_hops", (), np.int64)
        self._power = np.zeros(capacity, np.float32)
        self._peak = np.zeros(capacity, np.float32)
        self._clipped = np.zeros(capacity, np.int32)
        self._noise = np.zeros(capacity, np.float32)

    def process(self, samples: NDArray[np.float32]) -> Level:
        """Measure one hop of each stream.

        Args:
            samples: float32 [n, hop_samples].
        """
        x = float32_rows(samples)
        n = x.shape[0]
        level = Level(self._power[:n], self._peak[:n], self._clipped[:n], self._noise[:n])
        _measure(x, self._full_scale, level.power, level.peak, level.clipped_samples)
        _track_noise(
            level.power,
            self._window_hops,
            self._settle_hops,
            self._smooth,
            self._minima,
            self._heard,
            level.noise_power,
        )
        return level
