"""Fingerprints: whether two turns are the same recording, however loud, coded or cut.

Haitsma and Kalker 2002, "A highly robust audio fingerprinting system": frames of .37 s, of each the energies of 33
bands from 300 to 2000 Hz; a word of 32 bits tells whether the differences of neighbouring bands grow with time.
"""

from collections import Counter, defaultdict

import numpy as np
from numpy.typing import NDArray

from rtemo.corpus.settings import RATE_HZ

Words = NDArray[np.uint32]

_FRAME_SAMPLES = 5920
_HOP_SAMPLES = 320
_LOW_HZ, _HIGH_HZ, _BANDS = 300.0, 2000.0, 33
_MOST_ERRORS = 0.3
_LEAST_WORDS = 50  # 1 s
_TRIES = 3
_COMMON = 64
_HANN = np.hanning(_FRAME_SAMPLES).astype(np.float32)
_FFT_SAMPLES = 8192
_EDGES = np.round(np.geomspace(_LOW_HZ, _HIGH_HZ, _BANDS + 1) / RATE_HZ * _FFT_SAMPLES).astype(np.int64)


def fingerprint(samples: NDArray[np.float32]) -> Words:
    """Make the words of a turn, float32 [k] → uint32 [frames - 1], 50 of them a second."""
    padded = np.pad(samples, _FRAME_SAMPLES // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, _FRAME_SAMPLES)[::_HOP_SAMPLES]
    energy = np.empty((len(frames), _BANDS))
    for first in range(0, len(frames), 256):
        power = np.abs(np.fft.rfft(frames[first : first + 256] * _HANN, _FFT_SAMPLES, axis=1)) ** 2
        energy[first : first + 256] = np.add.reduceat(power[:, : _EDGES[-1]], _EDGES[:-1], axis=1)
    bits = np.diff(energy[:, :-1] - energy[:, 1:], axis=0) > 0
    return np.asarray(np.packbits(bits, axis=1).view(">u4")[:, 0], np.uint32)


def error_rate(a: Words, b: Words) -> float:
    """Share of bits that differ between words that lie side by side."""
    return float(np.bitwise_count(a ^ b).mean() / 32.0)


class Fingerprints:
    """The words of all turns so far, to find one that is the same."""

    def __init__(self) -> None:
        self._words: dict[str, Words] = {}
        self._places: defaultdict[int, list[tuple[str, int]]] = defaultdict(list)

    def add(self, unit: str, words: Words) -> None:
        """Remember a turn."""
        self._words[unit] = words
        for place, word in enumerate(words.tolist()):
            self._places[word].append((unit, place))

    def twin_of(self, words: Words) -> str:
        """Name a turn that sounds the same over most of the shorter of the two; empty when there is none."""
        votes: Counter[tuple[str, int]] = Counter()
        for place, word in enumerate(words.tolist()):
            found = self._places.get(word, ())
            if len(found) <= _COMMON:  # words of silence or hum, which are everywhere, tell nothing
                votes.update((unit, there - place) for unit, there in found)
        for (unit, offset), _ in votes.most_common(_TRIES):
            other = self._words[unit]
            mine = words[max(0, -offset) :]
            theirs = other[max(0, offset) :]
            shared = min(len(mine), len(theirs))
            is_long = shared >= max(_LEAST_WORDS, 0.5 * min(len(words), len(other)))
            if is_long and error_rate(mine[:shared], theirs[:shared]) <= _MOST_ERRORS:
                return unit
        return ""
