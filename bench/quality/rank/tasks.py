"""The four tasks: what is ordered, within which groups, by which score."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.quality.rank.metrics import Order, order_of
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.ranker.net import ATTRIBUTES

CLEAR_GAP = 1 / 3
"""More than one point on the 1-7 scale of listeners, in [-1, 1]: the rule by which pairs of MSP-Podcast are built."""


@dataclass(frozen=True, slots=True)
class Task:
    """One thing to be ordered.

    Attributes:
        attribute: The score that orders.
        corpora: Where it is known.
        label: Label of a clip, NaN for none.
        part: Clips of a speaker are compared within a part.
        gap: Pairs whose labels are no further apart are not compared.
    """

    name: str
    attribute: str
    corpora: tuple[str, ...]
    label: Callable[[Clip], float]
    part: Callable[[Clip], str] = lambda clip: ""
    gap: float = 0.0

    def speakers(
        self, clips: Sequence[Clip], scores: NDArray[np.float32], corpus: str, gap: float | None = None
    ) -> dict[str, Order]:
        """How each speaker of a corpus was ordered, scores float32 [clips, 3]; the mean over the speaker's parts."""
        groups: dict[tuple[str, str], list[int]] = {}
        labels = np.array([self.label(c) if c.corpus == corpus else np.nan for c in clips])
        for i in np.flatnonzero(~np.isnan(labels)):
            groups.setdefault((clips[i].speaker, self.part(clips[i])), []).append(int(i))
        column = scores[:, ATTRIBUTES.index(self.attribute)].astype(np.float64)
        found: dict[str, list[Order]] = {}
        for (speaker, _), rows in groups.items():
            order = order_of(column[rows], labels[rows], self.gap if gap is None else gap)
            if order is not None:
                found.setdefault(speaker, []).append(order)
        return {speaker: _mean(orders) for speaker, orders in found.items()}


def _mean(orders: list[Order]) -> Order:
    clips = np.array([o.clips for o in orders], float)
    share = clips / clips.sum()
    return Order(int(clips.sum()), float(share @ [o.tau for o in orders]), float(share @ [o.accuracy for o in orders]))


def _level(clip: Clip) -> float:
    return {"normal": 0.0, "strong": 1.0}.get(clip.level, np.nan) if clip.emotion != "neutral" else np.nan


_ACTED = ("ravdess", "nemo", "ased", "rakshak")

TASKS = (
    Task("BAVED level", "arousal", ("baved",), lambda clip: float(clip.level)),
    Task("RAVDESS intensity", "intensity", ("ravdess",), _level, lambda clip: clip.emotion),
    Task("arousal order", "arousal", _ACTED, lambda clip: clip.valence_arousal[1], gap=0.25),
    Task("valence order", "valence", _ACTED, lambda clip: clip.valence_arousal[0], gap=0.25),
)
