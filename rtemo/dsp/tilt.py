"""SpectralTilt: how fast the spectrum falls, in dB per octave, from log-mel frames."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.filterbank import Filterbank
from rtemo.dsp.kernel import kernel
from rtemo.dsp.rows import check_out, float32_rows

_DB_PER_NEPER_POWER = 10.0 / np.log(10.0)


@kernel
def _project(frames: Any, weights: Any, first: int, offset: Any, out: Any) -> None:
    for row in range(frames.shape[0]):
        slope = offset
        for k in range(weights.size):
            slope += weights[k] * frames[row, first + k]
        out[row] = slope


class SpectralTilt:
    """Slope of the regression of level on octaves over the bands between two frequencies.

    The power of each band is divided by the band's width first, so white noise has tilt 0 and pink noise -3 dB per
    octave. A tense or loud voice is flatter than a relaxed one. The default range is that of the telephone (300 to
    3400 Hz), so that a call and a microphone compare. Has no state: the tilt belongs to the frame that it is given.

    Args:
        capacity: Rows that `process` can take at once.
        bank: The filterbank the frames come from, `LogMel.filterbank`.
        rate_hz: Sample rate the bank was made for.
        low_hz: Lowest band centre.
        high_hz: Highest band centre.

    Raises:
        ValueError: If fewer than three bands lie in the range.
    """

    def __init__(
        self,
        capacity: int,
        bank: Filterbank,
        *,
        rate_hz: int = 16_000,
        low_hz: float = 300.0,
        high_hz: float = 3_400.0,
    ) -> None:
        chosen = np.flatnonzero((bank.center_hz >= low_hz) & (bank.center_hz <= high_hz))
        if chosen.size < 3:
            raise ValueError(f"{chosen.size} bands lie between {low_hz} and {high_hz} Hz; expected at least 3")
        octave = np.log2(bank.center_hz[chosen])
        octave -= octave.mean()
        weights = _DB_PER_NEPER_POWER * octave / np.sum(octave**2)
        bin_hz = rate_hz / (2 * (bank.spectrum_bins - 1))
        width_hz = bank.dense()[chosen].sum(axis=1, dtype=np.float64) * bin_hz
        self._first = int(chosen[0])
        self._weights = weights.astype(np.float32)
        self._offset = np.float32(-np.sum(weights * np.log(width_hz)))
        self._out = np.zeros(capacity, np.float32)

    def process(self, frames: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Give the tilt of each frame, float32 [n] in dB per octave; negative when high frequencies are weaker.

        Args:
            frames: float32 [n, band_count], natural logarithms of band power as `LogMel` gives them.
            out: float32 [n] to write into; without it an array that the next call overwrites.
        """
        x = float32_rows(frames)
        if out is not None:
            check_out(out, (x.shape[0],), np.float32)
        result = self._out[: x.shape[0]] if out is None else out
        _project(x, self._weights, self._first, self._offset, result)
        return result
