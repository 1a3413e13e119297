"""RateConversion: from a source's own rate to the engine's, without letting one bad sample spoil its neighbours."""

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.resample import PolyphaseResampler


class RateConversion:
    """Converts blocks of any size; equal rates pass through untouched.

    A filter would smear a NaN over all samples it touches, so a bad sample goes in as zero and is marked as NaN
    again where it comes out: the writer then flags that one place.

    Args:
        from_hz: Rate of the source.
        to_hz: Rate of the engine.
        channels: Channels converted side by side.

    Raises:
        AudioInputError: The two rates cannot be converted into each other.
    """

    def __init__(self, from_hz: int, to_hz: int, channels: int) -> None:
        self.from_hz = from_hz
        self.to_hz = to_hz
        self.channels = channels
        self._resampler = None if from_hz == to_hz else PolyphaseResampler(from_hz, to_hz, channels=channels)
        self._heard_samples = 0
        self._given_samples = 0
        self._bad: list[tuple[int, int]] = []

    @property
    def latency_s(self) -> float:
        """How long a sample is held back: audio that comes out now was heard this long ago."""
        return self._resampler.latency_samples / self.to_hz if self._resampler else 0.0

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert a block, float32 [channels, k], to float32 [channels, m]."""
        if self._resampler is None:
            return samples
        finite = np.isfinite(samples)
        if not finite.all():
            for channel, index in np.argwhere(~finite):
                self._bad.append((int(channel), (self._heard_samples + int(index)) * self.to_hz // self.from_hz))
            samples = np.where(finite, samples, np.float32(0.0))
        self._heard_samples += samples.shape[1]
        return self._mark(self._resampler.process(samples))

    def flush(self) -> NDArray[np.float32]:
        """Give what was held back, float32 [channels, m], and start anew."""
        if self._resampler is None:
            return np.empty((self.channels, 0), np.float32)
        rest = self._mark(self._resampler.flush())
        self._heard_samples = self._given_samples = 0
        self._bad.clear()
        return rest

    def _mark(self, converted: NDArray[np.float32]) -> NDArray[np.float32]:
        start = self._given_samples
        self._given_samples += converted.shape[1]
        if self._bad:
            for channel, index in self._bad:
                if index < self._given_samples:
                    converted[channel, index - start] = np.nan
            self._bad = [(channel, index) for channel, index in self._bad if index >= self._given_samples]
        return converted
