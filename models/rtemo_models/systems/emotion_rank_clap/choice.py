"""Which clips are trained on, which are reported."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rtemo_models.kit.corpora.clip import Clip, read_manifest

CORPORA = ("ravdess", "nemo", "ased", "crema", "ketts", "rakshak", "tess")
"""Corpora with an emotion for every clip."""


def choose(data: Path, most_train: int, most_dev: int, seed: int = 0) -> list[Clip]:
    """Draw clips of every corpus, emotions alike, speakers apart by split as the manifest has them."""
    clips = [
        clip for clip in read_manifest(data / "emotion" / "manifest.csv") if clip.corpus in CORPORA and clip.emotion
    ]
    chosen: list[Clip] = []
    for corpus in CORPORA:
        for split, most in (("train", most_train), ("dev", most_dev)):
            of = [clip for clip in clips if (clip.corpus, clip.split) == (corpus, split)]
            chosen += _even(of, most, seed)
    return chosen


def _even(clips: Sequence[Clip], most: int, seed: int) -> list[Clip]:
    """At most so many, as many of each emotion as there are."""
    if not clips:
        return []
    random = np.random.default_rng(seed)
    labels = sorted({clip.emotion for clip in clips})
    of = {label: [clip for clip in clips if clip.emotion == label] for label in labels}
    each = max(1, most // len(labels))
    return [of[label][i] for label in labels for i in random.permutation(len(of[label]))[:each]]
