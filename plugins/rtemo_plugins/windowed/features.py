"""Features: what a graph is fed with, made of the audio of one window."""

import math

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.finite import finite_rows
from rtemo.dsp.logmel import LogMel
from rtemo_plugins.windowed.facts import Facts

_LEAST_DEVIATION = 1e-7


class Features:
    """Makes the input of a graph, padded to its size.

    Args:
        facts: Of the model.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._front_end = front = facts.front_end
        self._log_mel = None
        if front.kind == "logmel":
            self._log_mel = LogMel(
                rate_hz=facts.card.sample_rate_hz,
                hop_samples=front.frame_hop_samples,
                frame_samples=front.frame_samples,
                fft_samples=front.fft_samples,
                mel_count=front.mel_count,
                low_hz=front.low_hz,
                high_hz=front.high_hz,
                floor=front.floor,
            )

    def fill(self, samples: NDArray[np.float32], out: NDArray[np.float32]) -> int:
        """Write the features of one window; give how many samples or frames of them are no padding.

        Args:
            samples: float32 [k].
            out: float32 of the shape of the input.
        """
        facts, front = self._facts, self._front_end
        samples = finite_rows(np.ascontiguousarray(samples[None]))[0]
        found = samples if self._log_mel is None else self._log_mel.offline(samples)
        found = found[-facts.steps :]
        found = self._normalised(found.astype(np.float32))
        count = len(found)
        if front.pad == "repeat" and 0 < count < facts.steps:
            found = np.concatenate([found] * math.ceil(facts.steps / count))[: facts.steps]
        view = out.reshape(self._sizes(out))
        view = view if facts.is_time_first else view.T
        view[: len(found)] = found
        view[len(found) :] = self._silence
        return count

    def _sizes(self, out: NDArray[np.float32]) -> tuple[int, ...]:
        return tuple(size for size in out.shape if size != 1)

    def _normalised(self, found: NDArray[np.float32]) -> NDArray[np.float32]:
        front = self._front_end
        if front.normalise == "none" or not len(found):
            return found
        if front.normalise == "fixed":
            return np.asarray((found - front.mean) / front.deviation, np.float32)
        axis = 0 if front.normalise == "bands" else None
        exact = found.astype(np.float64)
        deviation = np.maximum(exact.std(axis), _LEAST_DEVIATION)
        return np.asarray((exact - exact.mean(axis)) / deviation, np.float32)

    @property
    def _silence(self) -> float:
        """What silence reads; 0 where it depends on the window."""
        front = self._front_end
        silence = 0.0 if front.kind == "waveform" else math.log(front.floor)
        if front.normalise == "fixed":
            return (silence - front.mean) / front.deviation
        return silence if front.normalise == "none" else 0.0
