"""Statistics of a pool without attention, of whole corpora: what an untrained network would hear, and arms train on."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo_models.systems.ranker.data.words import WordCache


def moment_steps(speech: NDArray[np.float16], moments_s: Sequence[float]) -> NDArray[np.int64]:
    """The steps at which that many seconds of speech were heard, or the last; and the last, int64 [moments + 1]."""
    total_s = np.cumsum(speech.astype(np.float64)) * 0.04
    steps = np.append(np.searchsorted(total_s, np.array(moments_s) - 1e-6), len(speech) - 1)
    return np.minimum(steps, len(speech) - 1)


def plain_statistics(
    words: WordCache, chosen: Sequence[int], moments_s: Sequence[float], memory_steps: float
) -> NDArray[np.float32]:
    """Mean and deviation of the words of speech so far, which fades, at each moment and at the end.

    The same as `nets.ranker.FadingPool` without attention.

    Returns:
        float32 [all clips, moments + 1, 2 · width], zero for clips that were not chosen.
    """
    found = np.zeros((len(words), len(moments_s) + 1, 2 * words.width), np.float32)
    for i in chosen:
        said, speech = words.clip(int(i))
        if not len(said):
            continue
        ends = moment_steps(speech, moments_s)
        heard = np.cumsum(speech.astype(np.float64)) / memory_steps
        age = heard[ends][:, None] - heard[None]
        share = np.where(np.arange(len(said)) <= ends[:, None], speech * np.exp(-np.maximum(age, 0)), 0)
        share = (share / np.maximum(share.sum(1, keepdims=True), 1e-20)).astype(np.float32)
        x = said.astype(np.float32)
        mean = share @ x
        found[i] = np.concatenate([mean, np.sqrt(np.maximum(share @ (x * x) - mean * mean, 1e-5))], 1)
    return found
