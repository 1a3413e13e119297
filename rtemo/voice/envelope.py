"""Envelopes: each sound of one voice given the spectral envelope that another voice gives to it.

Differential filtering without a vocoder (Kobayashi et al. 2014), with the difference of envelopes taken from the
nearest frames of a recording and its copy that dynamic time warping has paired, in place of a trained mixture.
"""

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.cepstra import cosine_basis
from rtemo.dsp.filterbank import triangular_filterbank
from rtemo.voice.align import warp_path

_RATE_HZ = 16_000
_FRAME_SAMPLES, _HOP_SAMPLES = 512, 80
_ANALYSIS_SAMPLES = 160  # pairs are looked for at the step of the warping
_WINDOW = np.hanning(_FRAME_SAMPLES + 1)[:-1]
_BANDS = 32
_CEPSTRA = 14
_NEAREST = 12
_LEAST_PAIRS = 30
_LOUD_DB = 35.0
_MOST_DB = 15.0
_SMOOTH_FRAMES = 15
_BANK = triangular_filterbank(
    _BANDS, rate_hz=_RATE_HZ, fft_samples=_FRAME_SAMPLES, low_hz=0.0, high_hz=_RATE_HZ / 2, area_normalised=True
)
_MATRIX = _BANK.dense().astype(np.float64)
_COSINES = cosine_basis(np.arange(_CEPSTRA), _BANDS)
_TRIANGLES = _MATRIX / _MATRIX.max(axis=1, keepdims=True)
_SPREAD = _TRIANGLES / np.maximum(_TRIANGLES.sum(axis=0, keepdims=True), 1e-9)


class EnvelopeMatcher:
    """Moves the envelope of each frame as the recording's lies from its copy's where nearly the same is said.

    Args:
        copy: What a voice makes of the text of the recording, float32 [k] at 16 kHz.
        recording: float32 [m] at 16 kHz.
        share: How far, 0 to 1; no band is moved by more than 15 dB.
    """

    def __init__(self, copy: NDArray[np.float32], recording: NDArray[np.float32], share: float = 1.0) -> None:
        self._share = share
        self._change_db, self._keys = np.zeros((0, _BANDS)), np.zeros((0, _CEPSTRA - 1))
        if min(len(copy), len(recording)) < _FRAME_SAMPLES:
            return
        own, other = _bands_db(copy, _ANALYSIS_SAMPLES), _bands_db(recording, _ANALYSIS_SAMPLES)
        path = warp_path(copy, recording)
        rows = np.arange(min(len(path), len(own)))
        paired = np.minimum(path[rows], len(other) - 1)
        own, other = own[rows], other[paired]
        loud = (own.mean(axis=1) > own.mean(axis=1).max() - _LOUD_DB) & (
            other.mean(axis=1) > other.mean(axis=1).max() - _LOUD_DB
        )
        own, other = own[loud], other[loud]
        change = other - own
        # How loud somebody was at a place belongs to that place, not to the sound: the shape alone is moved.
        self._change_db = change - change.mean(axis=1, keepdims=True)
        self._keys = _cepstra(own)

    def matched(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Move what the voice of the copy says to the envelopes of the recording, float32 [k] at 16 kHz, as long."""
        if len(self._keys) < _LEAST_PAIRS or len(samples) < _FRAME_SAMPLES:
            return samples
        found = _cepstra(_bands_db(samples, _HOP_SAMPLES))
        distance = ((found[:, None, :] - self._keys[None]) ** 2).sum(axis=2)
        near = np.argpartition(distance, _NEAREST, axis=1)[:, :_NEAREST]
        least = np.take_along_axis(distance, near, axis=1)
        weights = np.exp(-(least - least.min(axis=1, keepdims=True)) / (2.0 * np.median(least) + 1e-9))
        weights /= weights.sum(axis=1, keepdims=True)
        change_db = (weights[:, :, None] * self._change_db[near]).sum(axis=1)
        padded = np.pad(change_db, ((_SMOOTH_FRAMES // 2, _SMOOTH_FRAMES // 2), (0, 0)), mode="edge")
        kernel = np.hanning(_SMOOTH_FRAMES + 2)[1:-1]
        smooth = np.stack([np.convolve(band, kernel / kernel.sum(), mode="valid") for band in padded.T], axis=1)
        return _filtered(samples, np.clip(self._share * smooth, -_MOST_DB, _MOST_DB))


def _filtered(samples: NDArray[np.float32], change_db: NDArray[np.float64]) -> NDArray[np.float32]:
    """Filter each frame by gains in bands, float64 [frames, bands]; the level of each frame stays."""
    frames = len(change_db)
    power = np.abs(spectra := np.fft.rfft(_frames(samples, _HOP_SAMPLES) * _WINDOW, axis=1)) ** 2
    gains = 10.0 ** (change_db @ _SPREAD / 20.0)
    before, after = power.sum(axis=1), (power * gains**2).sum(axis=1)
    gains *= np.sqrt((before + 1e-12) / (after + 1e-12))[:, None]
    made = np.fft.irfft(spectra * gains, axis=1) * _WINDOW
    out = np.zeros((frames - 1) * _HOP_SAMPLES + _FRAME_SAMPLES)
    weight = np.zeros_like(out)
    for frame in range(frames):
        at = slice(frame * _HOP_SAMPLES, frame * _HOP_SAMPLES + _FRAME_SAMPLES)
        out[at] += made[frame]
        weight[at] += _WINDOW**2
    lead = _FRAME_SAMPLES // 2
    kept = slice(lead, lead + len(samples))
    return np.asarray(out[kept] / np.maximum(weight[kept], 1e-3), np.float32)


def _frames(samples: NDArray[np.float32], hop_samples: int) -> NDArray[np.float64]:
    """Frames around every hop, float64 [ceil(k / hop) + 1, 512]."""
    hops = -(-len(samples) // hop_samples)
    padded = np.pad(samples.astype(np.float64), (_FRAME_SAMPLES // 2, _FRAME_SAMPLES // 2 + hops * hop_samples))
    return np.lib.stride_tricks.sliding_window_view(padded, _FRAME_SAMPLES)[::hop_samples][: hops + 1]


def _bands_db(samples: NDArray[np.float32], hop_samples: int) -> NDArray[np.float64]:
    power = np.abs(np.fft.rfft(_frames(samples, hop_samples) * _WINDOW, axis=1)) ** 2
    return np.asarray(10.0 * np.log10(power @ _MATRIX.T + 1e-9), np.float64)


def _cepstra(bands_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shape of the envelope without its level, float64 [frames, 13]."""
    return np.asarray((bands_db @ _COSINES.T)[:, 1:] / _BANDS, np.float64)
