"""Noise that makes what tells corpora unreliable, and touches nothing else."""

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")

from rtemo_models.systems.gem.data.clips import SpoofClip  # noqa: E402
from rtemo_models.systems.gem.data.corpus_noise import CorpusNoise  # noqa: E402

pytestmark = pytest.mark.unit


def test_noise_lies_along_what_tells_corpora_and_is_the_same_for_both_of_a_pair() -> None:
    clip = SpoofClip("a", "a.wav", "", "", "", "nemo", "nemo-1", "sad", "train")
    clips = [replace(clip, corpus=corpus) for corpus in ("nemo", "ased") for _ in range(9)]
    clips += [replace(clip, system="X", corpus="luo")] * 9
    statistics = np.random.default_rng(0).normal(size=(2, 27, 5)).astype(np.float16)
    statistics[:, :9, 1] += 8  # the two corpora differ in the second value, and synthetic speech in the third
    statistics[:, 18:, 2] += 30
    batch = torch.zeros(400, 5)
    noise = CorpusNoise(clips, statistics, range(27), 2.0)(batch, 50, 7)
    assert noise[:, 1].std() == pytest.approx(2.0 * 4.0, rel=0.15)
    assert noise[:, [0, 2, 3, 4]].std() < 1.5
    assert torch.equal(noise[:50], noise[50:100])
    assert not torch.equal(noise[:50], noise[100:150])
    assert CorpusNoise(clips, statistics, range(27), 0.0)(batch, 50, 7) is batch
    assert CorpusNoise(clips, statistics, range(9), 2.0)(batch, 50, 7) is batch  # one corpus has no directions
