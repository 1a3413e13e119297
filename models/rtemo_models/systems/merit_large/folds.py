"""Every speaker kept from training in one of four folds: whether dev speakers are harder than others."""

import sys
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.merit_large.train import Settings, Table, hear, train, uar

FOLDS = 4
_FEW = 10
"""Speakers of a corpus up to which each has a row of its own."""


def folds_of(clips: Sequence[Clip]) -> NDArray[np.int64]:
    """A fold for every clip: 0 for dev speakers, the others of each corpus dealt by name into 1 to 3."""
    number = np.zeros(len(clips), np.int64)
    dealt: dict[str, dict[str, int]] = {}
    for clip in sorted(clips, key=lambda clip: clip.speaker):
        if clip.split != "dev":
            of = dealt.setdefault(clip.corpus, {})
            of.setdefault(clip.speaker, 1 + len(of) % (FOLDS - 1))
    for i, clip in enumerate(clips):
        number[i] = dealt.get(clip.corpus, {}).get(clip.speaker, 0)
    return number


def print_folds(table: Table, settings: Settings) -> None:
    """Print UAR by fold, and by speaker where there are few.

    Args:
        table: All windows of all speakers, the undegraded copy first.
        settings: Of training.
    """
    fold = folds_of(table.clips)
    is_last = table.is_last & (table.copy == 0)
    logits = np.zeros((len(fold), table.mask.shape[1]), np.float32)
    for held in range(FOLDS):
        heads = [train(table, np.flatnonzero(fold != held), settings, held)]
        at = fold == held
        logits[at] = hear(heads, table)["logits"][at]
    sys.stdout.write("| corpus | dev speakers | folds 1-3 | by speaker, d for dev |\n|---|---|---|---|\n")
    speakers = np.array([clip.speaker for clip in table.clips])
    for corpus in sorted(set(table.corpus.tolist())):
        of = (table.corpus == corpus) & is_last & (table.label >= 0)

        def recall(rows: NDArray[np.bool_], of: NDArray[np.bool_] = of) -> float:
            return uar(table.label[of & rows], logits[of & rows])

        names = sorted(set(speakers[of].tolist()))
        each = [
            f"{name.split('-')[-1]}{'' if fold[speakers == name][0] else ' d'} {recall(speakers == name):.2f}"
            for name in names
        ]
        rest = np.mean([recall(fold == k) for k in range(1, FOLDS)])
        row = ", ".join(each) if len(names) <= _FEW else ""
        sys.stdout.write(f"| {corpus} | {recall(fold == 0):.3f} | {rest:.3f} | {row} |\n")
