"""Estimates: what another plugin tells of arousal and valence, taken into the scores while it is fresh."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.api import BlockEvent, Emotion, ModelCard, StateTable

_FADE_HOPS = 300.0  # of speech after which an estimate counts 1/e, as long as what is heard itself counts about
_MEMORY_S = 5.0  # of speech after which a turn counts 1/e among those that followed it


class Estimates:
    """Holds the newest estimate of each stream and mixes it with the network's own scores.

    A large network that hears seconds at once tells arousal and valence better than the scores do, but seldom,
    late, and not of every stream: so a score moves towards the estimate by a share that fades with the speech
    since. An estimate is of one turn; turns are averaged by their seconds, so that a word by itself does not
    outweigh what was said before. The card's `calibration` tells how an estimate becomes a score: for an attribute
    `estimate_<attribute>_gain`, `…_offset` and `…_share`, and `…_spread_share`, what is left of the spread at the
    full share. Attributes without them stay.

    Args:
        card: Of the network that scores.
        attributes: What is scored.
        plugins: Whose estimates are heard.
        capacity: Most streams.
    """

    def __init__(self, card: ModelCard, attributes: Sequence[str], plugins: Sequence[str], capacity: int) -> None:
        def constants(name: str, usual: float) -> NDArray[np.float32]:
            found = [card.calibration.get(f"estimate_{attribute}_{name}", usual) for attribute in attributes]
            return np.array(found, np.float32)

        self._names = tuple(attributes)
        self._gain, self._offset = constants("gain", 1.0), constants("offset", 0.0)
        self._share, self._spread_share = constants("share", 0.0), constants("spread_share", 1.0)
        self._plugins = frozenset(plugins)
        self._table = table = StateTable(capacity)
        self._told = table.add("told", (len(attributes),), np.float32)
        self._told_hops = table.add("told_hops", (), np.int64, -1)
        self._turn_start = table.add("turn_start", (), np.int64, -1)
        self._turn = table.add("turn", (len(attributes),), np.float32)
        self._turn_s = table.add("turn_s", (), np.float64)
        self._before = table.add("before", (len(attributes),), np.float32)  # mean over the turns before
        self._before_s = table.add("before_s", (), np.float64)
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset

    def hear(self, events: Sequence[BlockEvent], spoken_hops: NDArray[np.int64]) -> NDArray[np.int64]:
        """Take in what was said, and give the rows that it is about.

        Args:
            events: In order.
            spoken_hops: int64 [capacity], hops with voice of each stream so far.
        """
        rows = set[int]()
        for event in events:
            data = event.data
            if event.row is None or event.plugin not in self._plugins or not isinstance(data, Emotion):
                continue
            told = [getattr(data, name, 0.0) for name in self._names]
            if np.isfinite(told).all():
                self._add(
                    event.row, event.start_sample, self._gain * np.array(told, np.float32) + self._offset, data.speech_s
                )
                self._told_hops[event.row] = spoken_hops[event.row]
                rows.add(event.row)
        return np.array(sorted(rows), np.int64)

    def _add(self, row: int, start_sample: int, told: NDArray[np.float32], speech_s: float) -> None:
        """Take the newest estimate of a turn in the place of the one before, or begin another turn."""
        if start_sample != self._turn_start[row]:
            self._before[row], self._before_s[row] = self._averaged(row, self._turn[row], self._turn_s[row])
            self._turn_start[row] = start_sample
        self._turn[row], self._turn_s[row] = told, speech_s
        self._told[row], _ = self._averaged(row, told, speech_s)

    def _averaged(self, row: int, told: NDArray[np.float32], speech_s: float) -> tuple[NDArray[np.float32], float]:
        """Average the turns before and one more by their seconds; give the mean and how many seconds it rests on."""
        kept_s = float(self._before_s[row]) * math.exp(-speech_s / _MEMORY_S)
        rests_s = kept_s + speech_s
        if rests_s <= 0.0:
            return told, 0.0
        return self._before[row] + np.float32(speech_s / rests_s) * (told - self._before[row]), rests_s

    def mixed(
        self,
        rows: NDArray[np.int64],
        score: NDArray[np.float32],
        spread: NDArray[np.float32],
        spoken_hops: NDArray[np.int64],
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Move scores and spreads towards what was told, float32 [k, attributes] each.

        Args:
            rows: int64 [k].
            score: float32 [k, attributes], of the network.
            spread: float32 [k, attributes].
            spoken_hops: int64 [k], hops with voice of each row so far.
        """
        at = self._told_hops[rows]
        fresh = np.where(at >= 0, np.exp((at - spoken_hops) / _FADE_HOPS), 0.0).astype(np.float32)
        if not fresh.any():
            return score, spread
        share = fresh[:, None] * self._share
        left = 1.0 - fresh[:, None] * (1.0 - self._spread_share)
        return score + share * (self._told[rows] - score), spread * left
