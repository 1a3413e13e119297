"""Words of the dev clips under every listening condition, computed once, and what rankers make of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.quality.emotion.conditions import CONDITIONS, Conditions, speech_weights
from rtemo_models.kit.corpora.caches import open_caches
from rtemo_models.kit.corpora.clip import NEUTRAL_CORPORA, Clip
from rtemo_models.systems.ranker.data.words import Ear, WordCache, open_words
from rtemo_models.systems.ranker.net import Ranker
from rtemo_models.systems.ranker.train.run import MOMENTS_S, open_statistics, pooled


@dataclass(frozen=True, slots=True)
class Dev:
    """Dev clips and their words."""

    clips: list[Clip]
    rows: list[int]
    """Numbers of the clips in the caches."""
    words: dict[str, WordCache]
    statistics: dict[str, NDArray[np.float32]]
    """What a pool without attention makes of them, float32 [all clips, moments + 1, 2 · width]."""


def open_dev(data_dir: Path, work: Path, conditions: Sequence[str] = CONDITIONS) -> Dev:
    """Hear the dev clips with emotion or level under the conditions, or open what was heard."""
    caches = open_caches(data_dir, work / "cache")
    rows = [i for i, c in enumerate(caches.clips) if c.split == "dev" and c.corpus not in NEUTRAL_CORPORA]
    maker, ear = Conditions(data_dir, caches.noise_audio, caches.noise_split), Ear()

    def hearing(condition: str) -> WordCache:
        def hear(i: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
            bands = ear.bands(maker.apply(caches.audio.samples(i), condition, i))
            return bands, speech_weights(maker.apply(caches.audio.samples(i), condition, i), len(bands))

        return open_words(work / "cache" / f"words-dev-{condition}", ear, len(caches.clips), rows, hear)

    words = {c: hearing(c) for c in conditions}
    plain = {c: open_statistics(work / "cache" / f"plain-dev-{c}", words[c]) for c in conditions}
    return Dev([caches.clips[i] for i in rows], rows, words, plain)


@torch.no_grad()
def scores_at(net: Ranker, dev: Dev, condition: str) -> NDArray[np.float32]:
    """Scores at the moments 1, 2, 4 s of speech and at the end, float32 [clips, 4, 3]."""
    if not (net.config.attention or net.config.embedding):
        return net.scores(torch.from_numpy(dev.statistics[condition][dev.rows])).numpy()
    return scores_and_speech(net, dev.words[condition], dev.rows, MOMENTS_S)[0]


@torch.no_grad()
def scores_and_speech(
    net: Ranker, words: WordCache, rows: Sequence[int], moments_s: Sequence[float]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Scores float32 [clips, moments + 1, 3] and faded steps of speech float32 [clips, moments + 1]."""
    statistics, speech = pooled(net, words, rows, moments_s)
    scores = net.scores(torch.from_numpy(statistics)) * torch.from_numpy(speech).clamp_max(1.0)[..., None]
    return scores.numpy(), speech
