"""SpeechFinder: where somebody speaks in a recording, by the network for voice activity that ships."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelHandle
from rtemo.corpus.settings import RATE_HZ

WINDOW_SAMPLES = 512
_CONTEXT_SAMPLES, _MIRRORED_SAMPLES = 64, 64
_FRAME_SAMPLES, _FRAMES = 256, 4
_CHUNK_WINDOWS = 1875  # 60 s
_LEAD_WINDOWS = 62  # 2 s that a row of the batch hears before its own minute
_ROWS = 16
_TARGET_DB, _MOST_GAIN_DB = -26.0, 30.0
_ON, _OFF = 0.5, 0.35
_LEAST_SPEECH_S = 0.15
_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME_SAMPLES) / _FRAME_SAMPLES)).astype(np.float32)


class Stretch(NamedTuple):
    """A stretch of a recording, in samples at `RATE_HZ`."""

    start: int
    end: int

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return (self.end - self.start) / RATE_HZ


class SpeechFinder:
    """Judges windows of 512 samples as the published network does (Silero team, version 6), minutes side by side.

    Each minute is amplified to the level of near speech and begins with 2 s of what was before it, so that what is
    found hardly depends on where the cuts are.

    Args:
        model: A bundle for `voice activity`.
    """

    def __init__(self, model: ModelHandle) -> None:
        self._model = model

    def probability(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Tell how likely it is that somebody speaks, float32 [k] → float32 [k // 512]."""
        count = len(samples) // WINDOW_SAMPLES
        found = np.zeros(count, np.float32)
        starts = list(range(0, count, _CHUNK_WINDOWS))
        for first in range(0, len(starts), _ROWS):
            self._judge(samples, starts[first : first + _ROWS], found)
        return found

    def find(self, samples: NDArray[np.float32], pause_s: float) -> list[Stretch]:
        """Find stretches of speech with no pause of `pause_s` in them, float32 [k]."""
        return stretches(self.probability(samples), pause_s)

    def _judge(self, samples: NDArray[np.float32], starts: list[int], found: NDArray[np.float32]) -> None:
        rows = len(starts)
        state = self._model.new_state(rows)
        steps = min(_CHUNK_WINDOWS, len(found) - starts[0]) + _LEAD_WINDOWS
        heard = np.zeros((rows, steps * WINDOW_SAMPLES + _CONTEXT_SAMPLES), np.float32)
        for row, start in enumerate(starts):
            begin = (start - _LEAD_WINDOWS) * WINDOW_SAMPLES - _CONTEXT_SAMPLES
            piece = samples[max(begin, 0) : min(begin + heard.shape[1], len(samples))]
            at = max(-begin, 0)
            heard[row, at : at + len(piece)] = piece * _gain(piece)
        for step in range(steps):
            at = step * WINDOW_SAMPLES
            window = heard[:, at : at + _CONTEXT_SAMPLES + WINDOW_SAMPLES]
            spectrum = _spectrum(window)
            said = self._model.run({"spectrum": spectrum}, state, rows)["probability"][:, 0]
            if step >= _LEAD_WINDOWS:
                for row, start in enumerate(starts):
                    place = start + step - _LEAD_WINDOWS
                    if place < len(found):
                        found[place] = said[row]


def stretches(probability: NDArray[np.float32], pause_s: float) -> list[Stretch]:
    """Make stretches of speech: begun at .5, ended below .35, joined over pauses shorter than `pause_s`."""
    found: list[Stretch] = []
    start = -1
    pause = round(pause_s * RATE_HZ)
    for index, value in enumerate([*probability.tolist(), 0.0]):
        if start < 0 and value >= _ON:
            start = index
        elif start >= 0 and value < _OFF:
            one = Stretch(start * WINDOW_SAMPLES, index * WINDOW_SAMPLES)
            if found and one.start - found[-1].end < pause:
                one = Stretch(found.pop().start, one.end)
            found.append(one)
            start = -1
    return [one for one in found if one.duration_s >= _LEAST_SPEECH_S]


def _gain(piece: NDArray[np.float32]) -> np.float32:
    """Bring the loudest tenth of the windows to the level of near speech; amplifies only."""
    count = len(piece) // WINDOW_SAMPLES
    if not count:
        return np.float32(1.0)
    power = (piece[: count * WINDOW_SAMPLES].reshape(count, WINDOW_SAMPLES).astype(np.float64) ** 2).mean(axis=1)
    level_db = 10.0 * np.log10(max(float(np.percentile(power, 95)), 1e-12))
    return np.float32(10.0 ** (min(max(_TARGET_DB - level_db, 0.0), _MOST_GAIN_DB) / 20.0))


def _spectrum(window: NDArray[np.float32]) -> NDArray[np.float32]:
    """Magnitudes of four frames, half overlapping, the end mirrored: float32 [rows, 576] → [rows, 516]."""
    mirrored = window[:, -2 : -_MIRRORED_SAMPLES - 2 : -1]
    padded = np.concatenate([window, mirrored], axis=1)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME_SAMPLES, axis=1)[:, :: _FRAME_SAMPLES // 2]
    magnitude = np.abs(np.fft.rfft(frames[:, :_FRAMES] * _HANN, axis=2))
    return magnitude.reshape(len(window), -1).astype(np.float32)
