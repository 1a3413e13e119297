"""Line: what is known of the voices on one stream, and what was told of whom."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Party
from rtemo.dsp.voice_path import best_path, frame_scores
from rtemo_plugins.parties.clusters import Array, Split, likeness, mean, refine, split, unit
from rtemo_plugins.parties.tuning import TUNING, Tuning

FRAME_S = 0.1
WINDOW_S = 1.6
MOST_WINDOWS = 32
"""A turn of more is told in parts."""
KEPT_WINDOWS = 160
"""What was told of turns older than these windows stands, and is not corrected."""


class Heard(NamedTuple):
    """A window of a turn, in samples, and its embedding, float32 [width] of length 1."""

    start: int
    end: int
    vector: Array


class Piece(NamedTuple):
    """A stretch of one voice; `party` is None where it cannot be told."""

    start: int
    end: int
    party: int | None
    confidence: float


class Saying(NamedTuple):
    """What is to be said of samples [start, end) of the stream."""

    start: int
    end: int
    data: Party


class Spoken:
    """A turn, or a part of a long one."""

    __slots__ = ("end", "key", "number", "shown", "start", "told", "unit_s", "units", "windows")

    def __init__(self, number: int, key: int, start: int) -> None:
        self.number = number
        self.key = key
        self.start = start
        self.end = start
        self.windows: list[Heard] = []
        self.told: list[Piece] = []
        self.shown: int | None = None
        self.units: Array = np.zeros((0, 0), np.float32)
        self.unit_s: NDArray[np.float64] = np.zeros(0)

    def wipe(self) -> None:
        """Overwrite what tells the voice."""
        for window in self.windows:
            window.vector.fill(0.0)
        self.units.fill(0.0)
        self.windows = []


class Line:
    """The parties of one stream.

    The voices are found anew at the end of every turn, from all that is remembered: average linkage, as the offline
    diarisation has it, while there are fewer than there may be, then k-means from where they were. A voice becomes a
    party when it has spoken for some seconds and lies far enough from those that are known; who is one stays one, and
    keeps its number. What was told of a turn before is corrected where the voices, as they are known now, say
    otherwise.

    Args:
        most: Parties at most.
        rate_hz: Of the stream.
        unsure_below: Confidence below which it is not said who spoke.
        tuning: Thresholds.

    Attributes:
        is_wiped: Whether all is forgotten, since the stream is no more; nothing is said then.
    """

    def __init__(self, most: int, rate_hz: int, unsure_below: float, tuning: Tuning = TUNING) -> None:
        self._most = most
        self._rate_hz = rate_hz
        self._unsure_below = unsure_below
        self._tuning = tuning
        self.is_wiped = False
        self._turn: Spoken | None = None
        self._turns: list[Spoken] = []
        self._count = 0
        self._voices: Array = np.zeros((0, 0), np.float32)
        self._anchors: Array = np.zeros((0, 0), np.float32)
        self._settled = np.zeros(most + 1)  # samples told of each party, and of nobody, in turns that are forgotten

    @property
    def voices(self) -> Array:
        """float32 [parties, width], the mean embedding of each."""
        return self._voices

    def hear(self, turn_start: int, window: Heard) -> list[Saying]:
        """Take a window of a turn that goes on; say who speaks as soon as that can be told, and when it changes."""
        turn = self._at(turn_start)
        turn.windows.append(window)
        turn.end = window.end
        if len(turn.windows) >= MOST_WINDOWS:
            return self._tell(turn, "span")
        piece = self._whole(turn.windows[-1].start, window.end, turn.windows[-2:])
        if piece.party is None or piece.party == turn.shown or not len(self._voices):
            return []
        trigger = "first" if turn.shown is None else "change"
        start = turn.start if turn.shown is None else piece.start
        turn.shown = piece.party
        return [self._saying(turn, piece._replace(start=start), trigger, is_final=False)]

    def close(self, turn_start: int, end: int, window: Heard | None, is_last: bool) -> list[Saying]:
        """Take the end of a turn, and its last window if there is one; say who spoke, and what is to be corrected."""
        turn = self._at(turn_start)
        if end <= turn.start:  # all of it was told in parts
            turn.wipe()
            self._turn = None
            return []
        if window is not None:
            turn.windows.append(window)
        turn.end = end
        said = self._tell(turn, "stream_end" if is_last else "turn_end")
        self._turn = None
        return said

    def wipe(self) -> None:
        """Overwrite all embeddings, and forget them."""
        for turn in [*self._turns, *filter(None, [self._turn])]:
            turn.wipe()
        for kept in (self._voices, self._anchors):
            kept.fill(0.0)
        self._voices = self._anchors = np.zeros((0, 0), np.float32)
        self._turns, self._turn = [], None
        self.is_wiped = True

    def _at(self, turn_start: int) -> Spoken:
        if self._turn is None or self._turn.key != turn_start:
            if self._turn is not None:  # its end was never heard
                self._turn.wipe()
            self._count += 1
            self._turn = Spoken(self._count, turn_start, turn_start)
        return self._turn

    def _tell(self, turn: Spoken, trigger: str) -> list[Saying]:
        """Learn from a turn, say who spoke in it, and correct what was said of others before."""
        before = self._voices
        turn.units, turn.unit_s = group(turn.windows, self._rate_hz)
        self._turns.append(turn)
        self._forget()
        self._learn()
        turn.told = self._decode(turn)
        said = [self._saying(turn, piece, trigger, is_final=True, pieces=len(turn.told)) for piece in turn.told]
        if self._has_moved(before):
            for other in self._turns[:-1]:
                said += self._corrected(other)
        if trigger == "span":
            rest = Spoken(turn.number, turn.key, turn.end)
            rest.shown = turn.shown
            self._turn = rest
        return said

    def _learn(self) -> None:
        """Find the voices anew."""
        vectors, seconds = self._heard()
        if not len(vectors):
            return
        tuning, known = self._tuning, len(self._voices)
        total_s = float(seconds.sum())
        if not known:
            if total_s >= tuning.first_s:
                self._voices = mean(vectors, seconds)[None]
            return
        found: Split | None = None
        if known < self._most and total_s >= 2 * tuning.party_s:
            found = split(vectors, seconds, known + 1)
            if found is not None and self._is_convincing(found):
                self._voices = _named(found.voices, self._voices)
                return
        if known == 1:
            near = likeness(vectors, self._voices)[:, 0] >= tuning.own_like
            if near.any():
                self._voices = mean(vectors[near], seconds[near])[None]
            return
        self._voices = refine(vectors, seconds, self._voices, tuning.rounds, tuning.clear).voices

    def _is_convincing(self, found: Split) -> bool:
        alike = likeness(found.voices, found.voices)
        np.fill_diagonal(alike, -1.0)
        return bool(found.seconds.min() >= self._tuning.party_s and alike.max() <= self._tuning.apart)

    def _heard(self) -> tuple[Array, NDArray[np.float64]]:
        """All that is remembered, oldest first: unit vectors and their seconds; forgotten speech is one for a party."""
        length = np.sqrt(np.einsum("ki,ki->k", self._anchors, self._anchors)) if len(self._anchors) else np.zeros(0)
        there = length > 0
        vectors = [unit(self._anchors[there])] if there.any() else []
        seconds = [np.minimum(length[there], self._tuning.anchor_s).astype(np.float64)] if there.any() else []
        vectors += [turn.units for turn in self._turns if len(turn.units)]
        seconds += [turn.unit_s for turn in self._turns if len(turn.units)]
        if not vectors:
            return np.zeros((0, 0), np.float32), np.zeros(0)
        return np.concatenate(vectors), np.concatenate(seconds)

    def _forget(self) -> None:
        """Let the oldest turns go when there are too many windows; their voices stay as one vector for each party."""
        while sum(len(turn.windows) for turn in self._turns) > KEPT_WINDOWS and len(self._turns) > 1:
            turn = self._turns.pop(0)
            for piece in turn.told:
                self._settled[self._most if piece.party is None else piece.party] += piece.end - piece.start
            if len(self._voices) and len(turn.units):
                if len(self._anchors) < len(self._voices):
                    more = np.zeros((len(self._voices) - len(self._anchors), turn.units.shape[1]), np.float32)
                    self._anchors = np.concatenate([self._anchors, more]) if len(self._anchors) else more
                nearest = likeness(turn.units, self._voices).argmax(axis=1)
                np.add.at(self._anchors, nearest, turn.units * turn.unit_s[:, None].astype(np.float32))
            turn.wipe()

    def _has_moved(self, before: Array) -> bool:
        if len(before) != len(self._voices):
            return len(before) > 0
        if not len(before):
            return False
        return bool(np.einsum("ki,ki->k", before, self._voices).min() < self._tuning.still)

    def _decode(self, turn: Spoken) -> list[Piece]:
        """Cut a turn into pieces of one voice each."""
        if len(self._voices) < 2 or len(turn.windows) < 2:
            return [self._whole(turn.start, turn.end, turn.windows)]
        frame = round(FRAME_S * self._rate_hz)
        count = max(1, (turn.end - turn.start) // frame)
        centres = turn.start + (np.arange(count) + 0.5) * frame
        middles = np.array([(window.start + window.end) / 2 for window in turn.windows])
        alike = likeness(np.stack([window.vector for window in turn.windows]), self._voices)
        scores = frame_scores(centres, middles, alike, round(WINDOW_S * self._rate_hz))
        path = best_path(scores, self._tuning.switch_cost)
        edges = [0, *(np.flatnonzero(np.diff(path)) + 1).tolist(), count]
        pieces = []
        for begin, end in itertools.pairwise(edges):
            start = turn.start + begin * frame
            stop = turn.end if end == count else turn.start + end * frame
            pieces.append(self._judged(start, stop, scores[begin:end].mean(axis=0)))
        return pieces

    def _whole(self, start: int, end: int, windows: Sequence[Heard]) -> Piece:
        """Judge a stretch as one voice."""
        if not windows or not len(self._voices):
            return Piece(start, end, None, 0.0)
        vector = unit(np.sum([window.vector for window in windows], axis=0))
        return self._judged(start, end, likeness(vector[None], self._voices)[0])

    def _judged(self, start: int, end: int, alike: NDArray[np.float64]) -> Piece:
        """Judge a stretch by how like it is to each voice, float64 [parties]."""
        tuning, best = self._tuning, int(alike.argmax())
        if len(alike) == 1:
            odds = tuning.own_slope * (float(alike[0]) - tuning.own_middle)
        else:
            odds = tuning.margin_slope * float(alike[best] - np.delete(alike, best).max())
        confidence = float(1.0 / (1.0 + np.exp(-odds)))
        return Piece(start, end, best if confidence >= self._unsure_below else None, confidence)

    def _corrected(self, turn: Spoken) -> list[Saying]:
        """Judge a turn anew; say what is to be taken back. A name is changed only by one that is surer still."""
        told, said = turn.told, []
        turn.told = []
        for piece in self._decode(turn):
            was = _told_of(told, piece)
            least = self._unsure_below if was is None else max(self._unsure_below, self._tuning.sure)
            is_new = piece.party is not None and piece.party != was and piece.confidence >= least
            turn.told.append(piece if is_new else piece._replace(party=was))
            if is_new:
                said.append((piece, was))
        return [
            self._saying(turn, piece, "correction", is_final=True, pieces=len(turn.told), was=was)
            for piece, was in said
        ]

    def _saying(
        self, turn: Spoken, piece: Piece, trigger: str, is_final: bool, pieces: int = 1, was: int | None = None
    ) -> Saying:
        known = self._settled.copy()
        for one in self._turns:
            for told in one.told:
                known[self._most if told.party is None else told.party] += told.end - told.start
        known_s = (known / self._rate_hz).round(3).tolist()
        data = Party(
            party=piece.party,
            confidence=round(piece.confidence, 4),
            turn=turn.number,
            pieces=pieces,
            speech_s=round((piece.end - piece.start) / self._rate_hz, 3),
            known_s=tuple(known_s[: len(self._voices)]),
            unsure_s=known_s[self._most],
            was=was,
            trigger=trigger,
            is_final=is_final,
        )
        return Saying(piece.start, piece.end, data)


def group(windows: Sequence[Heard], rate_hz: int) -> tuple[Array, NDArray[np.float64]]:
    """Join windows that lie side by side to some two seconds, which are steadier than each alone.

    Returns:
        float32 [groups, width] of length 1, and float64 [groups], the seconds of each.
    """
    if not windows:
        return np.zeros((0, 0), np.float32), np.zeros(0)
    parts = np.array_split(np.arange(len(windows)), max(1, round(len(windows) / 2)))
    vectors = unit(np.stack([np.sum([windows[row].vector for row in part], axis=0) for part in parts]))
    return vectors, np.array([(windows[part[-1]].end - windows[part[0]].start) / rate_hz for part in parts])


def _named(found: Array, old: Array) -> Array:
    """Put voices that were found anew in the order of the names that they have; new ones come last.

    Where one name was known the voice that is heard first has it, since what was told of it may be of both.
    """
    if len(old) < 2:
        return found
    alike = likeness(old, found)
    order = [-1] * len(old)
    for _ in range(len(old)):
        name, voice = divmod(int(alike.argmax()), len(found))
        order[name] = voice
        alike[name], alike[:, voice] = -np.inf, -np.inf
    return found[[*order, *(voice for voice in range(len(found)) if voice not in order)]]


def _told_of(told: Sequence[Piece], piece: Piece) -> int | None:
    """Who was told for the larger part of a stretch."""
    shares: dict[int | None, int] = {}
    for one in told:
        shares[one.party] = shares.get(one.party, 0) + max(0, min(one.end, piece.end) - max(one.start, piece.start))
    return max(shares, key=lambda party: shares[party]) if shares else None
