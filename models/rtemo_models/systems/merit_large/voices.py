"""Other voices for training: what a speaker's windows have in common is moved to where another speaker's lies."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.systems.merit_large.heads import Heads

if TYPE_CHECKING:
    from rtemo_models.systems.merit_large.train import Table

_FEW = 8.0
"""Windows with which half of a speaker's distance to its corpus is believed."""


class Voices:
    """Means of speakers in each copy, moods weighing the same, as far as they are known from few windows.

    A corpus of five speakers is heard as one of many, and no mood goes along with a voice, room or line.

    Args:
        table: Windows.
        rows: Those that are trained on.
        heads: Their scale is settled.
        far: Share of draws from speakers of all corpora; the others are of the same one.
    """

    def __init__(self, table: "Table", rows: NDArray[np.int64], heads: Heads, far: float) -> None:
        self._far = far
        self._number = np.full(len(table.clips), -1)
        means: list[Tensor] = []
        corpora: list[int] = []
        names = sorted(set(table.corpus[rows].tolist()))
        degraded = table.copy > 0
        for c, corpus in enumerate(names):
            for is_degraded in (False, True):
                of = rows[(table.corpus[rows] == corpus) & (degraded[rows] == is_degraded)]
                if not len(of):
                    continue
                whole = _balanced(table, of, heads)
                speakers = np.array([table.clips[i].speaker for i in of])
                for speaker in sorted(set(speakers.tolist())):
                    own = of[speakers == speaker]
                    trust = len(own) / (len(own) + _FEW)
                    self._number[own] = len(means)
                    means.append(whole + trust * (_balanced(table, own, heads) - whole))
                    corpora.append(2 * c + is_degraded)
        self._means = torch.stack(means)
        kinds = np.array(corpora)
        self._mates = {int(kind): np.flatnonzero(kinds == kind) for kind in set(corpora)}
        self._all = {line: np.flatnonzero(kinds % 2 == line) for line in (0, 1)}
        self._kind = kinds

    def offsets(self, items: NDArray[np.int64], share: float, random: np.random.Generator) -> Tensor:
        """What is added to the standardised values of windows [n, width]; nothing to most but `share` of them."""
        own = self._number[items]
        other = own.copy()
        for b in np.flatnonzero(random.random(len(items)) < share).tolist():
            kind = int(self._kind[own[b]])
            pool = self._all[kind % 2] if random.random() < self._far else self._mates[kind]
            other[b] = pool[random.integers(len(pool))]
        moved = torch.from_numpy(random.random(len(items)).astype(np.float32))[:, None]
        return moved * (self._means[other] - self._means[own])


def _balanced(table: "Table", rows: NDArray[np.int64], heads: Heads) -> Tensor:
    """Mean of standardised values, the moods weighing the same."""
    labels = table.label[rows]
    each = [heads.standardised(table.window(rows[labels == label])).mean(0) for label in np.unique(labels)]
    return torch.stack(each).mean(0)
