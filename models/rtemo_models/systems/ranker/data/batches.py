"""Batches of lists for the ranker: words of clips in mixed versions, cut at an early moment and at the end."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.systems.ranker.data.labels import ListSampler, RankLabels
from rtemo_models.systems.ranker.data.words import WordCache


@dataclass(frozen=True, slots=True)
class RankBatch:
    """Lists of all attributes, one below the other: A · L lists of n clips, B = A · L · n."""

    words: Tensor
    """float32 [B, steps, width]."""
    weight: Tensor
    """float32 [B, steps], share of speech."""
    ends: Tensor
    """int64 [B, 2]: an early step, the same in a whole list, and the last."""
    labels: Tensor
    """float32 [A, L, n], NaN where a list has no further clip."""


@dataclass(frozen=True, slots=True)
class StatisticsBatch:
    """The same with the statistics of a pool without attention in place of words."""

    statistics: Tensor
    """float32 [B, 2, 2 · width], at an early moment, the same in a whole list, and at the end."""
    labels: Tensor
    """float32 [A, L, n], NaN where a list has no further clip."""


class ListDraws:
    """Draws the lists of a step for all attributes; the same seed and step always give the same.

    Args:
        labels: Labels of all clips.
        sampler: Draws lists.
        variant_shares: Variant → how often a clip is heard so. Versions are mixed within a list: whoever orders it
            cannot go by the microphone.
        lists: Lists per attribute.
        moments: How many early moments there are; one is drawn for each list.
        seed: Seed.
    """

    def __init__(
        self,
        labels: RankLabels,
        sampler: ListSampler,
        variant_shares: Mapping[str, float],
        lists: int,
        moments: int,
        seed: int,
    ) -> None:
        self._labels, self._sampler = labels, sampler
        self.variants = [name for name, share in variant_shares.items() if share > 0]
        wanted = np.array([variant_shares[name] for name in self.variants])
        self._shares = wanted / wanted.sum()
        self._lists, self._moments, self._seed = lists, moments, seed

    def draw(self, step: int) -> "Draw":
        """Draw the lists of a training step."""
        random = np.random.default_rng((self._seed, step))
        count = len(self._labels.groups)
        drawn = np.stack([self._sampler.draw(a, self._lists, random) for a in range(count)])
        values = np.stack([self._labels.values[drawn[a], a] for a in range(count)])
        values[drawn < 0] = np.nan
        moment = np.repeat(random.integers(self._moments, size=drawn.shape[:2]), drawn.shape[2])
        variant = random.choice(len(self.variants), drawn.size, p=self._shares)
        return Draw(drawn.ravel(), variant, moment, torch.from_numpy(values), random)


class Draw(NamedTuple):
    """The lists of a step, clips one below the other."""

    clip: NDArray[np.int64]
    """int64 [B], -1 where a list has no further clip."""
    variant: NDArray[np.int64]
    moment: NDArray[np.int64]
    labels: Tensor
    random: np.random.Generator


class RankBatches:
    """Makes the batch of a step; the same seed and step always give the same batch.

    Args:
        draws: Draws the lists.
        words: Variant → words of all clips.
        early_steps: The early moments; a shorter clip is taken at its end.
        most_steps: Steps kept of a clip.
    """

    def __init__(
        self, draws: ListDraws, words: Mapping[str, WordCache], early_steps: Sequence[int], most_steps: int
    ) -> None:
        self._draws, self._words = draws, words
        self._early, self._most = np.array(early_steps), most_steps

    def make(self, step: int) -> RankBatch:
        """Make the batch of a training step."""
        flat, variants, moment, labels, random = self._draws.draw(step)
        width = next(iter(self._words.values())).width
        words = np.zeros((len(flat), self._most, width), np.float32)
        weight = np.zeros((len(flat), self._most), np.float32)
        last = np.zeros(len(flat), np.int64)
        for row in np.flatnonzero(flat >= 0):
            said, speech = self._words[self._draws.variants[variants[row]]].clip(int(flat[row]))
            start = self._start(len(said), random)
            stop = min(len(said), start + self._most)
            words[row, : stop - start] = said[start:stop]
            weight[row, : stop - start] = self._heard(speech[start:stop], random)
            last[row] = max(0, stop - start - 1)
        ends = np.stack([np.minimum(self._early[moment] - 1, last), last], 1)
        longest = int(last.max()) + 1
        return RankBatch(
            torch.from_numpy(words[:, :longest]),
            torch.from_numpy(weight[:, :longest]),
            torch.from_numpy(ends),
            labels,
        )

    def _start(self, steps: int, random: np.random.Generator) -> int:
        """Where a clip is taken up: mostly at its beginning, else such that two seconds are left."""
        late = random.random() < 0.3
        return int(random.integers(max(1, steps - 50))) if late else 0

    @staticmethod
    def _heard(speech: NDArray[np.float16], random: np.random.Generator) -> NDArray[np.float32]:
        """Shares of speech as a detector gives them: up to two steps late, or, for a third of the clips, all ones."""
        if random.random() < 0.33 or not speech.any():
            return np.ones(len(speech), np.float32)
        late = int(random.integers(3))
        shares = speech.astype(np.float32)
        return np.minimum(shares, np.concatenate([np.zeros(late, np.float32), shares])[: len(shares)])


class StatisticsBatches:
    """Batches of statistics that were pooled once, a hundred times faster: for networks without attention.

    Args:
        draws: Draws the lists.
        statistics: Variant → float32 [clips, early moments + 1, 2 · width].
    """

    def __init__(self, draws: ListDraws, statistics: Mapping[str, NDArray[np.float32]]) -> None:
        self._draws, self._statistics = draws, statistics

    def make(self, step: int) -> StatisticsBatch:
        """Make the batch of a training step."""
        clip, variant, moment, labels, _ = self._draws.draw(step)
        shape = next(iter(self._statistics.values())).shape
        found = np.zeros((len(clip), 2, shape[2]), np.float32)
        for k, name in enumerate(self._draws.variants):
            rows = np.flatnonzero((variant == k) & (clip >= 0))
            found[rows, 0] = self._statistics[name][clip[rows], moment[rows]]
            found[rows, 1] = self._statistics[name][clip[rows], -1]
        return StatisticsBatch(torch.from_numpy(found), labels)
