"""Diarisation: which voice speaks when, of one recording."""

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.corpus.settings import RATE_HZ
from rtemo.corpus.speech import Stretch
from rtemo.dsp.voice_path import best_path, frame_scores
from rtemo.voice.speaker import SpeakerEmbedder

WINDOW_SAMPLES = round(1.6 * RATE_HZ)
_STEP_S, _GROUP_S = 0.4, 1.0
STEP_SAMPLES = round(_STEP_S * RATE_HZ)
_FRAME_SAMPLES = round(0.1 * RATE_HZ)
_MOST_CLUSTERED = 3000
_LEAST_SPEAKER_S = 4.0
_SWITCH_COST = 1.5
_MOST_LIKENESS, _LIKENESS_STEP = 0.9, 0.05
_ROUNDS = 5

Array = NDArray[np.float32]


class Piece(NamedTuple):
    """A stretch of one voice between pauses or changes of the speaker, in samples."""

    start: int
    end: int
    speaker: int


class Diarisation(NamedTuple):
    """Who speaks when.

    Attributes:
        pieces: In order.
        voices: float32 [speakers, width], the mean embedding of each voice, of length 1.
        margins: How much nearer each piece is to its voice than to the next one, as a difference of cosines; 0 where
            there is one voice.
    """

    pieces: list[Piece]
    voices: Array
    margins: list[float]


class Diariser:
    """Tells voices of a recording apart without knowing how many there are.

    Embeddings of windows of 1.6 s every .4 s, a second of them together, are joined by average linkage of their cosines
    (as Sell and Garcia-Romero 2014 do with other embeddings); every .1 s then goes to the voice that the windows around
    it are most like, with a price on each change (Viterbi), so that turns are not cut to pieces. Voices that speak at
    once are not told apart: such a stretch goes to one of them.

    Args:
        embedder: Of voices.
        same_voice: Cosine from which on two groups of windows are one voice.
        count_voices: How many there are, where that is known; the largest groups are they.
    """

    def __init__(self, embedder: SpeakerEmbedder, same_voice: float, count_voices: int | None = None) -> None:
        self._embedder = embedder
        self._same_voice = same_voice
        self._count_voices = count_voices

    def tell(self, samples: Array, speech: list[Stretch]) -> Diarisation:
        """Tell who speaks in stretches of speech of a recording, float32 [k] at `RATE_HZ`."""
        if not speech:
            return Diarisation([], np.zeros((0, 0), np.float32), [])
        windows = [window for index, stretch in enumerate(speech) for window in _windows(index, stretch)]
        embedded = self._embedder.embed_stretches([samples[start:end] for _, start, end in windows])
        at = _rows_by_stretch(windows)
        voices = _voices(embedded, list(at.values()), self._same_voice, self._count_voices)
        likeness = embedded @ voices.T
        pieces: list[Piece] = []
        margins: list[float] = []
        for index, stretch in enumerate(speech):
            rows = at[index]
            middles = np.array([(windows[row][1] + windows[row][2]) / 2 for row in rows])
            for piece, margin in _pieces(stretch, middles, likeness[rows]):
                pieces.append(piece)
                margins.append(margin)
        return Diarisation(*_renumbered(pieces, voices), margins)


def _windows(index: int, stretch: Stretch) -> list[tuple[int, int, int]]:
    last = stretch.end - WINDOW_SAMPLES
    if last <= stretch.start:
        return [(index, stretch.start, stretch.end)]
    starts = [*range(stretch.start, last, STEP_SAMPLES), last]
    return [(index, start, start + WINDOW_SAMPLES) for start in starts]


def _rows_by_stretch(windows: list[tuple[int, int, int]]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = {}
    for row, (index, _, _) in enumerate(windows):
        rows.setdefault(index, []).append(row)
    return rows


def _voices(embedded: Array, stretches: list[list[int]], same_voice: float, count_voices: int | None) -> Array:
    """Group windows; give the mean of every group that speaks long enough, float32 [speakers, width].

    Where it is known how many voices there are, groups are kept apart until there are as many, the largest are taken,
    and every window is given to the nearest of them a few times over, which the means of all are made of (k-means).

    Windows that lie side by side in a stretch are joined to a second or so first: alone they are hardly steady enough.
    """
    parts = [part for rows in stretches for part in np.array_split(rows, max(1, round(len(rows) * _STEP_S / _GROUP_S)))]
    chosen = [parts[index] for index in np.linspace(0, len(parts) - 1, min(len(parts), _MOST_CLUSTERED)).astype(int)]
    sums = np.stack([embedded[part].sum(axis=0) for part in chosen])
    length_s = np.array([len(part) * _STEP_S * len(parts) / len(chosen) for part in chosen])
    labels = clusters(_unit(sums), same_voice)
    seconds = np.asarray(np.bincount(labels, length_s), np.float64)
    large = [label for label in range(len(seconds)) if seconds[label] >= _LEAST_SPEAKER_S]
    if count_voices is not None:
        if len(large) < count_voices:
            labels, seconds = _most_even(_unit(sums), length_s, same_voice, count_voices)
        large = np.argsort(-seconds, kind="stable")[:count_voices].tolist()
    large = large or [int(np.argmax(seconds))]
    voices = _unit(np.stack([sums[labels == label].sum(axis=0) for label in large]))
    for _ in range(_ROUNDS if count_voices is not None else 0):
        nearest = (_unit(sums) @ voices.T).argmax(axis=1)
        if len(np.unique(nearest)) < len(voices):
            break
        voices = _unit(np.stack([sums[nearest == voice].sum(axis=0) for voice in range(len(voices))]))
    return voices


def _most_even(
    vectors: Array, length_s: NDArray[np.float64], same_voice: float, count: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Group ever more finely, and give the grouping, with the seconds of each group, whose smallest of so many is most.

    Two alike voices are one group until it is asked for more likeness; beyond that every voice falls to pieces.
    """
    found = []
    for likeness in np.arange(same_voice, _MOST_LIKENESS, _LIKENESS_STEP):
        labels = clusters(vectors, float(likeness))
        seconds = np.asarray(np.bincount(labels, length_s), np.float64)
        found.append((np.sort(seconds)[-count] if len(seconds) >= count else 0.0, labels, seconds))
    _, labels, seconds = max(found, key=lambda one: one[0])
    return labels, seconds


def clusters(vectors: Array, least_likeness: float) -> NDArray[np.int64]:
    """Group unit vectors by average linkage until no two groups are as alike as that, int64 [n] from 0."""
    if len(vectors) < 2:
        return np.zeros(len(vectors), np.int64)
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = np.maximum(1.0 - vectors.astype(np.float64) @ vectors.T.astype(np.float64), 0.0)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average")
    return np.asarray(fcluster(tree, 1.0 - least_likeness, "distance"), np.int64) - 1


def _pieces(stretch: Stretch, middles: NDArray[np.float64], likeness: Array) -> list[tuple[Piece, float]]:
    frames = max(1, (stretch.end - stretch.start) // _FRAME_SAMPLES)
    centres = stretch.start + (np.arange(frames) + 0.5) * _FRAME_SAMPLES
    scores = frame_scores(centres, middles, likeness, WINDOW_SAMPLES)
    path = best_path(scores, _SWITCH_COST)
    changes = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), frames]
    found = []
    for begin, end in itertools.pairwise(changes):
        voice, mean = int(path[begin]), scores[begin:end].mean(axis=0)
        others = np.delete(mean, voice)
        piece = Piece(
            stretch.start + begin * _FRAME_SAMPLES,
            stretch.end if end == frames else stretch.start + end * _FRAME_SAMPLES,
            voice,
        )
        found.append((piece, float(mean[voice] - others.max()) if len(others) else 0.0))
    return found


def _renumbered(pieces: list[Piece], voices: Array) -> tuple[list[Piece], Array]:
    """Number the voices by when they are first heard; those that no piece went to are forgotten."""
    order = list(dict.fromkeys(piece.speaker for piece in pieces))
    number = {old: new for new, old in enumerate(order)}
    return [piece._replace(speaker=number[piece.speaker]) for piece in pieces], voices[order]


def _unit(vectors: Array) -> Array:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-9), np.float32)
