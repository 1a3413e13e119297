"""Words of the dev clips under every listening condition, computed once, and what rankers make of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from bench.quality.emotion.conditions import CONDITIONS, Conditions, speech_weights
from rtemo_models.data.caches import open_caches
from rtemo_models.data.corpus import NEUTRAL_CORPORA, Clip
from rtemo_models.data.rank_statistics import moment_steps
from rtemo_models.data.words import Ear, WordCache, open_words
from rtemo_models.nets.ranker import ATTRIBUTES, Ranker
from rtemo_models.train.ranker import MOMENTS_S, open_statistics


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
    caches = open_caches(data_dir, work / "cache", variants=())
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
    lengths = np.array([len(words.clip(i)[0]) for i in rows])
    found = np.zeros((len(rows), len(moments_s) + 1, len(ATTRIBUTES)), np.float32)
    speech = np.zeros(found.shape[:2], np.float32)
    order = np.argsort(lengths)
    for begin in range(0, len(order), 128):
        some = order[begin : begin + 128]
        longest = int(lengths[some[-1]])
        x = np.zeros((len(some), longest, words.width), np.float32)
        w = np.zeros((len(some), longest), np.float32)
        ends = np.zeros((len(some), len(moments_s) + 1), np.int64)
        for k, row in enumerate(some):
            said, shares = words.clip(rows[row])
            x[k, : len(said)], w[k, : len(said)] = said, shares
            ends[k] = moment_steps(shares, moments_s)
        statistics, speech_steps = net.pool(
            net.embedded(torch.from_numpy(x)), torch.from_numpy(w), torch.from_numpy(ends)
        )
        found[some] = (net.scores(statistics) * speech_steps.clamp_max(1.0)[..., None]).numpy()
        speech[some] = speech_steps.numpy()
    return found, speech
