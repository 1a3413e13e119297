"""Batches of genuine and synthetic views, even over classes, systems, corpora and emotions, with pairs side by side."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.systems.gem.data.clips import FOLD_OF_SITE, SpoofClip
from rtemo_models.systems.gem.data.corpus_noise import CorpusNoise
from rtemo_models.systems.gem.data.gates import label_gate
from rtemo_models.systems.gem.data.views import Views


@dataclass(slots=True)
class SpoofBatch:
    """Views of clips; genuine clip and resynthesis of a pair stand `pairs` rows apart, first in the batch.

    Attributes:
        statistics: float32 [batch, statistics].
        gate: float32 [batch, 4].
        label: float32 [batch], 1 synthetic.
        pairs: How many pairs: rows 0 to pairs - 1 are genuine, the next as many their resyntheses.
        clip: int64 [batch].
    """

    statistics: Tensor
    gate: Tensor
    label: Tensor
    pairs: int
    clip: NDArray[np.int64]


class SpoofSampler:
    """Draws clips: pairs, other synthetic ones, other genuine ones.

    Args:
        clips: All clips.
        chosen: Numbers of those that may be trained on.
    """

    PAIRED = 0.35
    """Share of a batch that is pairs; the rest is synthetic and genuine others, half each."""

    SITE_SHARE = 0.35
    """Of genuine others, the share from the sites that synthetic ones are from: else the site would tell."""

    def __init__(self, clips: Sequence[SpoofClip], chosen: Sequence[int]) -> None:
        place = {clips[i].name: i for i in chosen}
        self.pairs: dict[Any, list[tuple[int, int]]] = defaultdict(list)
        self.synthetic: dict[Any, list[int]] = defaultdict(list)
        self.sites: dict[Any, list[int]] = defaultdict(list)
        self.human: dict[Any, list[int]] = defaultdict(list)
        for i in chosen:
            clip = clips[i]
            if clip.twin in place:
                self.pairs[clip.system, clip.emotion].append((place[clip.twin], i))
            elif clip.is_synthetic:
                self.synthetic[clip.system].append(i)
            elif clip.corpus in FOLD_OF_SITE:
                self.sites[clip.corpus].append(i)
            else:
                self.human[clip.corpus, clip.emotion].append(i)

    def draw(self, count: int, random: np.random.Generator) -> tuple[list[int], list[int], list[int]]:
        """Genuine sides of pairs, their resyntheses, and others."""
        pairs = drawn(self.pairs, int(count * self.PAIRED) // 2, random)
        others = (count - 2 * len(pairs)) // 2
        sites = int(others * self.SITE_SHARE) if self.sites else 0
        rest = [
            *drawn(self.synthetic, others, random),
            *drawn(self.sites, sites, random),
            *drawn(self.human, others - sites, random),
        ]
        return [a for a, _ in pairs], [b for _, b in pairs], rest


def drawn(groups: dict[Any, list[Any]], count: int, random: np.random.Generator) -> list[Any]:
    """Draw by the square root of each group's size: large ones do not dominate, small ones are not worn out."""
    members = list(groups.values())
    if not members:
        return []
    chance = np.sqrt([len(mine) for mine in members])
    which = random.choice(len(members), size=count, p=chance / chance.sum())
    return [members[k][int(random.integers(len(members[k])))] for k in which]


class SpoofBatches:
    """Makes the batch of any step, the same again for the same seed.

    Args:
        clips: All clips.
        views: Their views.
        chosen: Numbers of the clips to train on.
        seed: Seed of all draws.
        label_share: Share of clips with an emotion label whose gate is the label's.
        corpus_noise: Strength of the noise along what tells corpora, see `CorpusNoise`.
    """

    def __init__(
        self,
        clips: Sequence[SpoofClip],
        views: Views,
        chosen: Sequence[int],
        seed: int,
        label_share: float = 0.5,
        corpus_noise: float = 0.0,
    ) -> None:
        self.clips, self.views, self.chosen = clips, views, np.asarray(chosen)
        self.sampler = SpoofSampler(clips, chosen)
        self.noise = CorpusNoise(clips, views.statistics, chosen, corpus_noise)
        self.seed, self.label_share = seed, label_share

    def moments(self) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the statistics over the clips to train on."""
        seen = self.views.statistics[:, self.chosen].astype(np.float32).reshape(-1, self.views.statistics.shape[-1])
        return torch.from_numpy(seen.mean(0)), torch.from_numpy(seen.std(0) + 1e-4)

    def make(self, step: int, count: int) -> SpoofBatch:
        """Make the batch of a step: `count` clips."""
        random = np.random.default_rng((self.seed, 0, step))
        first, second, others = self.sampler.draw(count, random)
        rows = np.array([*first, *second, *others])
        view = random.integers(len(self.views.statistics), size=len(rows))
        view[len(first) : 2 * len(first)] = view[: len(first)]
        gate = self.views.gate[view, rows]
        for b in np.flatnonzero(random.random(len(rows)) < self.label_share):
            known = label_gate(self.clips[rows[b]].emotion)
            gate[b] = gate[b] if known is None else known
        label = np.array([self.clips[i].is_synthetic for i in rows], np.float32)
        statistics = torch.from_numpy(self.views.statistics[view, rows].astype(np.float32))
        statistics = self.noise(statistics, len(first), int(random.integers(1 << 62)))
        return SpoofBatch(statistics, torch.from_numpy(gate), torch.from_numpy(label), len(first), rows)
