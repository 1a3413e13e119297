"""Clips as vectors: what the large listener pools of each, what is said in it, and who is kept apart from whom."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo.api import EMOTIONS
from rtemo_models.kit.corpora.clip import classes_of, read_manifest

FEATURES, TEXTS = "mi_augment/features.npz", "mi_augment/texts.npz"
CLOSED = -1e4
"""Added to the logits of classes that a corpus does not have."""


class Table(NamedTuple):
    """Clips whose emotion is known.

    Attributes:
        audio: float32 [n, 2048], standardised.
        text: float32 [n, 384], zeros where nothing is known of the words.
        has_text: bool [n].
        label: int64 [n], of `EMOTIONS`.
        corpus: int64 [n], of `corpora`.
        mask: float32 [n, 8], `CLOSED` for classes that the corpus does not have, else 0.
        speaker: Of each clip, with its corpus.
        corpora: Their names.
    """

    audio: Tensor
    text: Tensor
    has_text: Tensor
    label: Tensor
    corpus: Tensor
    mask: Tensor
    speaker: NDArray[np.str_]
    corpora: tuple[str, ...]

    def standardised(self, rows: NDArray[np.int64]) -> "Table":
        """The same, mean 0 and deviation 1 over some rows, those that are trained on."""
        of = self.audio[torch.from_numpy(rows)]
        return self._replace(audio=(self.audio - of.mean(0)) / of.std(0).clamp_min(1e-4))

    def draw_weights(self, rows: NDArray[np.int64]) -> Tensor:
        """By what rows are drawn, float64 [rows]: classes of a corpus alike, corpora by the root of their size."""
        key = self.corpus[rows] * len(EMOTIONS) + self.label[rows]
        _, inverse, count = key.unique(return_inverse=True, return_counts=True)
        corpus = self.corpus[rows]
        size = torch.bincount(corpus, minlength=len(self.corpora)).double().clamp_min(1)
        classes = torch.zeros(len(self.corpora), dtype=torch.float64).index_add_(0, corpus, 1 / count[inverse].double())
        weight = size[corpus].sqrt() / count[inverse] / classes[corpus].clamp_min(1)
        return weight / weight.sum()


def read_table(data: Path, work: Path) -> Table:
    """Read what the step `features` wrote of the clips in the manifest."""
    clips = [clip for clip in read_manifest(data / "emotion" / "manifest.csv") if clip.emotion]
    with np.load(work / FEATURES) as kept:
        rows = {path: row for row, path in enumerate(kept["paths"].tolist())}
        audio = kept["pooled"]
    audio = audio[[rows[clip.path] for clip in clips]].astype(np.float32)
    text = np.zeros((len(clips), 384), np.float32)
    has_text = np.zeros(len(clips), bool)
    if (work / TEXTS).exists():
        with np.load(work / TEXTS) as kept:
            known = dict(zip(json.loads(str(kept["texts"])), kept["vectors"], strict=True))
        for row, clip in enumerate(clips):
            if clip.text in known:
                text[row], has_text[row] = known[clip.text], True
    corpora = tuple(sorted({clip.corpus for clip in clips}))
    classes = classes_of(clips)
    mask = np.full((len(clips), len(EMOTIONS)), CLOSED, np.float32)
    for row, clip in enumerate(clips):
        mask[row, list(classes[clip.corpus])] = 0.0
    return Table(
        torch.from_numpy(audio),
        torch.from_numpy(text),
        torch.from_numpy(has_text),
        torch.tensor([clip.label for clip in clips]),
        torch.tensor([corpora.index(clip.corpus) for clip in clips]),
        torch.from_numpy(mask),
        np.array([f"{clip.corpus}/{clip.speaker}" for clip in clips]),
        corpora,
    )


def folds_of(speakers: Sequence[str], folds: int) -> NDArray[np.int64]:
    """A fold for every clip; no speaker is in two, and those of a corpus are dealt out as evenly as they can be."""
    dealt: dict[str, dict[str, int]] = {}
    for speaker in sorted(set(speakers), key=lambda name: hashlib.sha256(name.encode()).digest()):
        of = dealt.setdefault(speaker.partition("/")[0], {})
        of[speaker] = len(of) % folds
    return np.array([dealt[name.partition("/")[0]][name] for name in speakers])
