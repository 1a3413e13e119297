"""What may be ranked: three attributes of every clip, and the groups within which clips may be compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.corpora.clip import Clip

STRENGTH_OF_LEVEL = {"normal": 0.6, "strong": 1.0, "0": 0.0, "1": 0.5, "2": 1.0}
"""How strongly a clip expresses, from what the corpora call its level: RAVDESS's two and BAVED's three.

BAVED's levels are low, neutral and high expression; they also order arousal (`corpus.AROUSAL_OF_LEVEL`).
"""

STRENGTH_OF_EMOTION = 0.8
"""An emotion of which no level is known; neutral is 0. Calm is neither, and left out."""


def strength(clip: Clip) -> float:
    """Intensity of a clip, 0 to 1; NaN where nothing is known."""
    if clip.corpus == "baved":
        return STRENGTH_OF_LEVEL[clip.level]
    if clip.emotion == "neutral":
        return 0.0
    if clip.level in STRENGTH_OF_LEVEL:
        return STRENGTH_OF_LEVEL[clip.level]
    return STRENGTH_OF_EMOTION if clip.emotion not in ("", "calm") else float("nan")


@dataclass(frozen=True, slots=True)
class RankLabels:
    """Labels and groups of some clips.

    Speakers differ in voice and corpora in microphone, so a list never crosses either: what differs within a list is
    how something was said. Where a corpus gives the strength of an emotion, intensity is compared within the emotion
    and against the same speaker's neutral clips: strong sadness need not be more intense than normal anger.
    """

    values: NDArray[np.float32]
    """float32 [clips, 3]: arousal and valence in [-1, 1], intensity in [0, 1]; NaN where unknown."""
    groups: tuple[tuple[NDArray[np.int64], ...], ...]
    """Per attribute the groups, each the numbers of at least two clips with labels that are not all the same."""
    corpora: tuple[tuple[str, ...], ...]
    """Per attribute the corpus of each group."""

    @classmethod
    def of(cls, clips: Sequence[Clip], chosen: Sequence[int]) -> "RankLabels":
        """Labels of all clips and groups of the chosen ones."""
        values = np.full((len(clips), 3), np.nan, np.float32)
        for i, clip in enumerate(clips):
            valence, arousal = clip.valence_arousal
            values[i] = arousal, valence, strength(clip)
        groups, corpora = [], []
        for attribute in range(3):
            found: dict[tuple[str, str, str], list[int]] = {}
            for i in chosen:
                if not np.isnan(values[i, attribute]):
                    for part in parts_of(clips[i], attribute):
                        found.setdefault((clips[i].corpus, clips[i].speaker, part), []).append(i)
            kept = {k: v for k, v in found.items() if np.ptp(values[v, attribute]) > 0}
            groups.append(tuple(np.array(members) for members in kept.values()))
            corpora.append(tuple(corpus for corpus, _, _ in kept))
        return cls(values, tuple(groups), tuple(corpora))

    def by_label(self, group: NDArray[np.int64], attribute: int) -> list[NDArray[np.int64]]:
        """The clips of a group, label by label."""
        values = self.values[group, attribute]
        return [group[values == value] for value in np.unique(values)]


def parts_of(clip: Clip, attribute: int) -> tuple[str, ...]:
    """The parts of a speaker's clips in which this one is compared; neutral clips stand in all of intensity's."""
    if attribute < 2 or clip.corpus != "ravdess":
        return ("",)
    return GRADED if clip.emotion == "neutral" else (clip.emotion,)


GRADED = ("happy", "sad", "angry", "fear", "disgust", "surprise")
"""Emotions of which neutral is the absence; calm is compared with itself only."""


class ListSampler:
    """Draws lists: a corpus by its share, a group of it evenly, then labels evenly and a clip of each.

    Args:
        labels: Labels and groups.
        shares: Corpus → its share of the lists; corpora without one share what `other` says.
        length: Items of a list; a small group gives a shorter one.
        other: Share of a corpus that is not named.
    """

    def __init__(self, labels: RankLabels, shares: dict[str, float], length: int, other: float = 0.1) -> None:
        self._length = length
        self._by_corpus: list[list[list[list[NDArray[np.int64]]]]] = []  # attribute, corpus, group, label
        self._shares = []
        for attribute, (groups, corpora) in enumerate(zip(labels.groups, labels.corpora, strict=True)):
            names = sorted(set(corpora))
            by_label = [labels.by_label(group, attribute) for group in groups]
            self._by_corpus.append([[g for g, c in zip(by_label, corpora, strict=True) if c == name] for name in names])
            wanted = np.array([shares.get(name, other) for name in names])
            self._shares.append(wanted / wanted.sum() if len(names) else wanted)

    def draw(self, attribute: int, lists: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Draw lists of clips, int64 [lists, length]; -1 where a list is shorter."""
        drawn = np.full((lists, self._length), -1, np.int64)
        corpora = self._by_corpus[attribute]
        if not corpora:
            return drawn
        for row, corpus in enumerate(random.choice(len(corpora), lists, p=self._shares[attribute])):
            groups = corpora[corpus]
            some = self._items(groups[random.integers(len(groups))], random)
            drawn[row, : len(some)] = some
        return drawn

    def _items(self, group: list[NDArray[np.int64]], random: np.random.Generator) -> NDArray[np.int64]:
        """Up to `length` clips of a group: one of each label in turn, until there are enough or none is left."""
        sizes = np.array([len(members) for members in group])
        taken = np.zeros(len(group), np.int64)
        left = min(self._length, int(sizes.sum()))
        while left:
            open_labels = np.flatnonzero(taken < sizes)
            some = random.permutation(open_labels)[:left]
            taken[some] += 1
            left -= len(some)
        picked = [
            members[random.choice(len(members), count, replace=False)]
            for members, count in zip(group, taken.tolist(), strict=True)
            if count
        ]
        return np.concatenate(picked)
