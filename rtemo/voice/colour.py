"""Colour: the long-term spectrum of one voice and room given to another."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_FRAME_SAMPLES, _HOP_SAMPLES = 512, 128
_WINDOW = np.hanning(_FRAME_SAMPLES + 1)[:-1]
_LOUD_SHARE = 0.5
_MOST_DB = 15.0
_OCTAVES = 1.0 / 3.0
_RATE_HZ = 16_000
_TAPS = 256


def spectrum_of(samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean power of the louder half of the frames in each bin, float64 [257], smoothed over thirds of an octave."""
    if len(samples) < _FRAME_SAMPLES:
        return np.ones(_FRAME_SAMPLES // 2 + 1)
    frames = np.lib.stride_tricks.sliding_window_view(samples.astype(np.float64), _FRAME_SAMPLES)[::_HOP_SAMPLES]
    power = np.abs(np.fft.rfft(frames * _WINDOW, axis=1)) ** 2
    level = power.sum(axis=1)
    loud = power[level >= np.quantile(level, 1.0 - _LOUD_SHARE)].mean(axis=0) + 1e-9
    hz = np.arange(len(loud)) * _RATE_HZ / _FRAME_SAMPLES
    log = np.log(loud)
    smooth = np.empty_like(log)
    for place, centre_hz in enumerate(hz):
        width_hz = max(centre_hz * (2.0 ** (_OCTAVES / 2) - 2.0 ** (-_OCTAVES / 2)), 120.0)
        near = np.abs(hz - centre_hz) <= width_hz / 2
        smooth[place] = log[near].mean()
    return np.asarray(np.exp(smooth), np.float64)


def colour_between(own: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.float64]:
    """Tell what makes one long-term spectrum of another, float64 [257] in dB; the level stays, 15 dB are the most."""
    log_db = 10.0 * np.log10(wanted / own)
    weight = own / own.sum()
    log_db = log_db - float((weight * log_db).sum())
    return np.asarray(np.clip(log_db, -_MOST_DB, _MOST_DB), np.float64)


class ColourFilter:
    """Gives a colour to sound that comes in parts: a filter of linear phase whose delay is taken out.

    Args:
        colour_db: Gain at bins evenly spaced from 0 to 8 kHz.
    """

    def __init__(self, colour_db: Sequence[float]) -> None:
        gains = 10.0 ** (np.asarray(colour_db, np.float64) / 20.0)
        bins = np.interp(np.linspace(0, len(gains) - 1, _TAPS // 2 + 1), np.arange(len(gains)), gains)
        self._taps = np.fft.fftshift(np.fft.irfft(bins, _TAPS)) * np.hanning(_TAPS + 1)[:-1]
        self._delay = _TAPS // 2
        self._line = np.zeros(_TAPS - 1)
        self._skip = self._delay

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take float32 [k] at 16 kHz and give what is ready."""
        line = np.concatenate([self._line, samples])
        self._line = line[len(line) - (_TAPS - 1) :]
        if len(line) < _TAPS:
            return np.zeros(0, np.float32)
        made = np.convolve(line, self._taps, mode="valid")
        skipped = min(self._skip, len(made))
        self._skip -= skipped
        return made[skipped:].astype(np.float32)

    def flush(self) -> NDArray[np.float32]:
        """End it: give the samples that were held back."""
        return self.process(np.zeros(self._delay, np.float32))


def coloured(
    samples: NDArray[np.float32], own: NDArray[np.float64], wanted: NDArray[np.float64], share: float = 1.0
) -> NDArray[np.float32]:
    """Filter a sound so that one long-term spectrum becomes another; its level stays.

    Args:
        samples: float32 [k] at 16 kHz.
        own: Spectrum of the voice that made it, as `spectrum_of` gives it.
        wanted: Spectrum that it is to have.
        share: 0 leaves it, 1 goes all the way; no bin is changed by more than 15 dB.
    """
    if not len(samples):
        return samples
    gains = 10.0 ** (share * colour_between(own, wanted) / 20.0)
    lead = _FRAME_SAMPLES
    frames = -(-(len(samples) + 2 * lead) // _HOP_SAMPLES)
    padded = np.zeros(frames * _HOP_SAMPLES + _FRAME_SAMPLES)
    padded[lead : lead + len(samples)] = samples
    view = np.lib.stride_tricks.sliding_window_view(padded, _FRAME_SAMPLES)[::_HOP_SAMPLES][:frames]
    made = np.fft.irfft(np.fft.rfft(view * _WINDOW, axis=1) * gains, axis=1) * _WINDOW
    out = np.zeros_like(padded)
    for frame in range(frames):
        out[frame * _HOP_SAMPLES : frame * _HOP_SAMPLES + _FRAME_SAMPLES] += made[frame]
    out = out[lead : lead + len(samples)] / (_WINDOW**2).reshape(-1, _HOP_SAMPLES).sum(axis=0).mean()
    before, after = np.sqrt(np.mean(samples.astype(np.float64) ** 2)), np.sqrt(np.mean(out**2))
    return np.asarray(out * (before / after if after > 1e-9 else 1.0), np.float32)
