"""Batches of genuine and synthetic crops, even over classes, systems, corpora and emotions, with pairs side by side."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.data.augment import active_frames
from rtemo_models.data.spoof.cache import BandCache
from rtemo_models.data.spoof.channel import Channel
from rtemo_models.data.spoof.clips import FOLD_OF_SITE
from rtemo_models.data.spoof.gates import label_gate

HOPS = 4


@dataclass(slots=True)
class SpoofBatch:
    """Crops of one length; genuine clip and resynthesis of a pair stand `pairs` rows apart, first in the batch.

    Attributes:
        bands: float32 [batch, steps, hops, band_count].
        weight: float32 [batch, steps, hops].
        gate: float32 [batch, ends, 4].
        label: float32 [batch], 1 synthetic.
        ends: Steps to score at.
        pairs: How many pairs: rows 0 to pairs - 1 are genuine, the next as many their resyntheses.
        clip: int64 [batch].
    """

    bands: Tensor
    weight: Tensor
    gate: Tensor
    label: Tensor
    ends: list[int]
    pairs: int
    clip: NDArray[np.int64]


class SpoofSampler:
    """Draws clips: pairs, other synthetic ones, other genuine ones.

    Args:
        corpus: The clips.
        chosen: Those that may be trained on.
    """

    PAIRED, OTHER = 0.5, 0.25
    """Shares of a batch: pairs, and of synthetic and of genuine others each."""

    SITE_SHARE = 0.35
    """Of genuine others, the share from the sites that synthetic ones are from: else the site would tell."""

    def __init__(self, corpus: BandCache, chosen: Sequence[int]) -> None:
        clips = corpus.clips
        place = {clips[i].name: i for i in chosen}
        self.pairs: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
        self.synthetic: dict[str, list[int]] = defaultdict(list)
        self.sites: dict[str, list[int]] = defaultdict(list)
        self.human: dict[tuple[str, str], list[int]] = defaultdict(list)
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
        self._chance = {
            "synthetic": rooted(self.synthetic),
            "pairs": rooted(self.pairs),
            "sites": rooted(self.sites),
            "human": rooted(self.human),
        }

    def draw(self, count: int, random: np.random.Generator) -> tuple[list[int], list[int], list[int]]:
        """Genuine sides of pairs, their resyntheses, and others."""
        pairs = [self._one("pairs", self.pairs, random) for _ in range(int(count * self.PAIRED) // 2)]
        others = []
        for _ in range((count - 2 * len(pairs)) // 2):
            others.append(self._one("synthetic", self.synthetic, random))
            is_site = self.sites and random.random() < self.SITE_SHARE
            others.append(self._one("sites", self.sites, random) if is_site else self._one("human", self.human, random))
        return [a for a, _ in pairs], [b for _, b in pairs], others

    def _one(self, name: str, groups: dict, random: np.random.Generator):  # type: ignore[no-untyped-def, type-arg]
        keys = list(groups)
        mine = groups[keys[random.choice(len(keys), p=self._chance[name])]]
        return mine[int(random.integers(len(mine)))]


def rooted(groups: dict) -> NDArray[np.float64]:  # type: ignore[type-arg]
    """Chances by the square root of each group's size: large ones do not dominate, small ones are not worn out."""
    sizes = np.sqrt([len(mine) for mine in groups.values()])
    return np.asarray(sizes / sizes.sum())


class SpoofBatches:
    """Makes the batch of any step, the same again for the same seed.

    Args:
        corpus: The clips.
        gates: Gate after each step of each clip.
        chosen: Clips to train on.
        channel: What they go through.
        seed: Seed of all draws.
        label_share: Share of clips with a label whose gate is the label's.
    """

    def __init__(
        self,
        corpus: BandCache,
        gates: Sequence[NDArray[np.float32]],
        chosen: Sequence[int],
        channel: Channel,
        seed: int,
        label_share: float = 0.5,
    ) -> None:
        self.corpus, self.gates, self.channel = corpus, gates, channel
        self.sampler = SpoofSampler(corpus, chosen)
        self.seed, self.label_share = seed, label_share

    def make(self, step: int, count: int, steps: int) -> SpoofBatch:
        """Make the batch of a step: `count` crops of `steps`."""
        random = np.random.default_rng((self.seed, 0, step))
        first, second, others = self.sampler.draw(count, random)
        rows = [*first, *second, *others]
        hops = HOPS * steps
        place = [random.random() for _ in rows]
        channel_seed = [int(v) for v in random.integers(1 << 62, size=len(rows))]
        for k in range(len(first)):
            place[len(first) + k], channel_seed[len(first) + k] = place[k], channel_seed[k]
        ends = [int(random.integers(steps // 3, steps - 1)), steps - 1]
        clean = np.empty((len(rows), hops, self.corpus.bands(rows[0]).shape[1]), np.float32)
        gate = np.empty((len(rows), len(ends), 4), np.float32)
        for b, i in enumerate(rows):
            source = self.corpus.bands(i)
            begin = int(place[b] * max(1, len(source) - hops) / HOPS) * HOPS
            at = (begin + np.arange(hops)) % len(source)
            clean[b] = source[at]
            known = label_gate(self.corpus.clips[i].emotion)
            is_told = known is not None and random.random() < self.label_share
            gate[b] = known if is_told else self.gates[i][at[[HOPS * e for e in ends]] // HOPS]
        active = active_frames(torch.from_numpy(clean))
        heard = np.stack(
            [
                self.channel(clean[b], active[b].numpy() > 0, np.random.default_rng(channel_seed[b]))
                for b in range(len(rows))
            ]
        )
        label = np.array([self.corpus.clips[i].is_synthetic for i in rows], np.float32)
        return SpoofBatch(
            torch.from_numpy(heard.astype(np.float32)).unflatten(1, (steps, HOPS)),
            self._weights(active, random).unflatten(1, (steps, HOPS)),
            torch.from_numpy(gate),
            torch.from_numpy(label),
            ends,
            len(first),
            np.array(rows),
        )

    @staticmethod
    def _weights(active: Tensor, random: np.random.Generator) -> Tensor:
        """Speech as a detector finds it: late by up to 0.1 s at onsets."""
        late = torch.from_numpy(random.integers(0, 11, len(active)))
        padded = torch.nn.functional.pad(active, (10, 0))
        at = torch.arange(active.shape[1])[None] + 10 - late[:, None]
        return torch.minimum(active, padded.gather(1, at))
