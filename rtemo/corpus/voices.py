"""Voices: whether one person speaks in a turn, how high a voice is, and which voices of two recordings are one."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.corpus.diarisation import STEP_SAMPLES, WINDOW_SAMPLES
from rtemo.corpus.settings import RATE_HZ
from rtemo.dsp.cepstra import cosine_basis
from rtemo.dsp.pitch import VOICED, PitchTracker
from rtemo.dsp.speaker_mel import MEL_COUNT, levelled, speaker_mel
from rtemo.voice.speaker import SpeakerEmbedder

Array = NDArray[np.float32]

HIGHEST_MALE_HZ, LOWEST_FEMALE_HZ = 145.0, 165.0
"""Lower ends of pitch between which a guess would be hardly better than chance."""

_ROW_SAMPLES = RATE_HZ
_ROWS = 16
_HOP_SAMPLES = 160
_WARM_HOPS = 8
_LEAST_VOICED = 20

_CEPSTRA = 16
_LEAST_POWER, _RIDGE = 1e-8, 1e-2
_QUIET_NEPERS = 6.9  # 30 dB of power
_LEAST_SIDE_FRAMES, _CUT_STEP_FRAMES = 100, 10  # 1 s, .1 s
_COSINES = np.sqrt(2.0 / MEL_COUNT) * cosine_basis(np.arange(1, _CEPSTRA + 1), MEL_COUNT).T
"""Cepstra from mel bands, float64 [40, 16]: the discrete cosine transform without its constant, which is loudness."""


def distance_of_halves(samples: Array, embedder: SpeakerEmbedder) -> float:
    """Tell how unlike the voices before and after the most telling place of a turn are, 0 to 2.

    Args:
        samples: The turn, float32 [k] at `RATE_HZ`.
        embedder: Of voices.
    """
    last = len(samples) - WINDOW_SAMPLES
    if last < 2 * STEP_SAMPLES:
        return 0.0
    starts = [*range(0, last, STEP_SAMPLES), last]
    vectors = embedder.embed_stretches([samples[start : start + WINDOW_SAMPLES] for start in starts])
    sums = np.concatenate([np.zeros((1, vectors.shape[1])), np.cumsum(vectors, axis=0, dtype=np.float64)])
    splits = range(2, len(vectors) - 1)  # two windows at least on either side
    return max((1.0 - _cosine(sums[split], sums[-1] - sums[split]) for split in splits), default=0.0)


def change_of_sound(samples: Array) -> float:
    """Tell how much better two Gaussians describe the cepstra of a turn than one, cut at the most telling place.

    The Bayesian information criterion (Chen and Gopalakrishnan 1998, "Speaker, environment and channel change detection
    and clustering via the Bayesian information criterion"). It hears what embeddings of 1.6 s hardly do: another mouth
    and room for a second or so.

    Args:
        samples: The turn, float32 [k] at `RATE_HZ`.

    Returns:
        The factor of the criterion's penalty up to which there is a change; 0 where there is too little sound.
    """
    mel = np.log(speaker_mel(levelled(samples)).astype(np.float64) + _LEAST_POWER)
    peaks = mel.max(axis=1)
    loud = mel[peaks > np.percentile(peaks, 95) - _QUIET_NEPERS]
    count, width = len(loud), _CEPSTRA
    cuts = np.arange(_LEAST_SIDE_FRAMES, count - _LEAST_SIDE_FRAMES, _CUT_STEP_FRAMES)
    if not len(cuts):
        return 0.0
    x = loud @ _COSINES
    sums = np.cumsum(x, axis=0)
    squares = np.cumsum(x[:, :, None] * x[:, None, :], axis=0)
    whole = count * _log_volume(squares[-1:], sums[-1:], np.array([count]))[0]
    before = cuts * _log_volume(squares[cuts - 1], sums[cuts - 1], cuts)
    after = (count - cuts) * _log_volume(squares[-1] - squares[cuts - 1], sums[-1] - sums[cuts - 1], count - cuts)
    parameters = width + width * (width + 1) / 2
    return float((whole - before - after).max() / (parameters * np.log(count)))


def _log_volume(
    squares: NDArray[np.float64], sums: NDArray[np.float64], counts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Logarithms of the determinants of covariances, of sums of products [n, w, w] and sums [n, w], float64 [n]."""
    centred = squares - sums[:, :, None] * sums[:, None, :] / counts[:, None, None]
    covariance = centred / (counts - 1)[:, None, None] + _RIDGE * np.eye(sums.shape[1])
    return np.asarray(np.linalg.slogdet(covariance)[1], np.float64)


def low_pitch_hz(samples: Array, percent: float = 5.0) -> float:
    """Give the lower end of a voice: a quantile of its pitch, which moods move less than the median.

    Args:
        samples: Speech, float32 [k] at `RATE_HZ`.
        percent: Which quantile.

    Returns:
        Hz; 0 where hardly any frame is voiced.
    """
    count = len(samples) // _ROW_SAMPLES
    if not count:
        return 0.0
    rows = samples[: count * _ROW_SAMPLES].reshape(count, _ROW_SAMPLES)
    found = []
    for first in range(0, count, _ROWS):
        some = np.ascontiguousarray(rows[first : first + _ROWS])
        tracker = PitchTracker(len(some))
        for row in range(len(some)):
            tracker.admit(row)
        for hop in range(_ROW_SAMPLES // _HOP_SAMPLES):
            pitch = tracker.process(np.ascontiguousarray(some[:, hop * _HOP_SAMPLES : (hop + 1) * _HOP_SAMPLES]))
            if hop >= _WARM_HOPS:
                found.append(pitch.hz[: len(some)][pitch.voicing[: len(some)] >= VOICED].copy())
    voiced = np.concatenate(found)
    return float(np.percentile(voiced, percent)) if len(voiced) >= _LEAST_VOICED else 0.0


def gender_of(pitch_hz: float) -> str:
    """Guess from the lower end of a speaker's pitch: Male, Female or Unknown; for balance, no fact about a person.

    >>> [gender_of(pitch_hz) for pitch_hz in (90.0, 155.0, 190.0, 0.0)]
    ['Male', 'Unknown', 'Female', 'Unknown']
    """
    if 0.0 < pitch_hz <= HIGHEST_MALE_HZ:
        return "Male"
    return "Female" if pitch_hz >= LOWEST_FEMALE_HZ else "Unknown"


class KnownSpeakers:
    """Speakers of all recordings so far, to find those of the next among them.

    Args:
        same_speaker: Cosine from which on two voices are one speaker. Too low a value joins two people, which costs
            variety; too high a one lets a person into two splits, which spoils the test, so it is set low.
    """

    def __init__(self, same_speaker: float) -> None:
        self._same_speaker = same_speaker
        self._sums: list[NDArray[np.float64]] = []

    def place(self, voices: Array, seconds: Sequence[float], numbers: Sequence[int] | None = None) -> list[int]:
        """Give the speaker of each voice of one recording, from 1; new ones get the next numbers.

        Args:
            voices: float32 [k, width] of length 1.
            seconds: How long each spoke.
            numbers: What was found for them before, to be believed.
        """
        found: list[int] = []
        taken: set[int] = set()
        for row, voice in enumerate(voices):
            number = numbers[row] if numbers is not None else self._nearest(voice, taken)
            while len(self._sums) < number:
                self._sums.append(np.zeros(voices.shape[1]))
            self._sums[number - 1] += seconds[row] * voice
            taken.add(number)
            found.append(number)
        return found

    def _nearest(self, voice: Array, taken: set[int]) -> int:
        likeness = [
            _cosine(total, voice) if number not in taken else -1.0 for number, total in enumerate(self._sums, 1)
        ]
        if likeness and max(likeness) >= self._same_speaker:
            return int(np.argmax(likeness)) + 1
        return len(self._sums) + 1


def _cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    return float(np.dot(a, b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))
