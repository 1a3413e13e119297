"""Retrieval: which turns are worth the time of people, since most speech is neutral.

Every emotion, and either end of arousal and valence, is looked for by several criteria: each recogniser by itself,
each query, and the mean of their ranks. Emotions and genders take turns in choosing, and so do the criteria of an
emotion, so that no single recogniser decides what the corpus sounds like (Lotfian and Busso 2019, IEEE Trans.
Affective Computing).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from rtemo.corpus.splits import CONTROL, SPLITS
from rtemo.corpus.stages import Opinion

TARGETS = ("neutral", "happy", "sad", "angry", "fear", "disgust", "surprise", "contempt")
"""Emotions that are looked for."""
EXTREMES = {
    "excited": ("arousal", 1.0),
    "subdued": ("arousal", -1.0),
    "pleasant": ("valence", 1.0),
    "unpleasant": ("valence", -1.0),
}
"""Ends of the dimensions that are looked for: name → dimension and sign."""
FUSED = "fused"
DRAWN = "drawn"

QUERIES: Mapping[str, str] = {
    "happy": "happy, laughing | serious",
    "sad": "sad, close to tears | content",
    "angry": "angry, shouting | calm",
    "fear": "afraid, anxious | confident",
    "disgust": "disgusted | pleased",
    "surprise": "surprised, astonished | indifferent",
    "contempt": "contemptuous, sneering | respectful",
    "neutral": "matter-of-fact, neutral | emotional",
}
"""Target → the query that looks for it."""


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that may be chosen."""

    unit: str
    speaker: int
    gender: str
    split: str


class Pick(msgspec.Struct, frozen=True, kw_only=True):
    """A turn that was chosen, and why.

    Attributes:
        unit: The turn.
        speaker: Who speaks.
        gender: Male, Female or Unknown.
        split: Of its speaker.
        target: What was looked for; empty where it was drawn.
        criterion: By what; `drawn` in the control set.
    """

    unit: str
    speaker: int
    gender: str
    split: str
    target: str = ""
    criterion: str = DRAWN


Criteria = dict[str, dict[str, dict[str, float]]]
"""Target → criterion → unit → score, the higher the better."""


def criteria_of(opinions: Mapping[str, Mapping[str, Opinion]], units: Sequence[str]) -> Criteria:
    """Make scores of all criteria from what recognisers say: name → unit → opinion."""
    found: Criteria = {}
    for name, said in opinions.items():
        for unit in units:
            opinion = said.get(unit)
            if opinion is None or opinion.dropped:
                continue
            for target, probability in opinion.probabilities.items():
                if target in TARGETS:
                    found.setdefault(target, {}).setdefault(name, {})[unit] = probability
            if opinion.probabilities:
                for target, (dimension, sign) in EXTREMES.items():
                    value = sign * getattr(opinion, dimension)
                    found.setdefault(target, {}).setdefault(name, {})[unit] = value
            for target, query in QUERIES.items():
                if query in opinion.queries:
                    found.setdefault(target, {}).setdefault(f"{name}: {query}", {})[unit] = opinion.queries[query]
    for scores in found.values():
        if len(scores) > 1:
            scores[FUSED] = _mean_ranks(scores)
    return found


def retrieve(
    candidates: Sequence[Candidate],
    opinions: Mapping[str, Mapping[str, Opinion]],
    wanted: int,
    shares: Sequence[float],
    seed: int,
    before: Sequence[Pick] = (),
) -> list[Pick]:
    """Choose turns.

    Args:
        candidates: Turns that passed the gates.
        opinions: Recogniser → unit → what it says.
        wanted: How many turns; all that there are, where there are fewer.
        shares: Of the splits, in the order of `SPLITS`.
        seed: Of what is drawn.
        before: What was chosen earlier; it stays and counts.

    Returns:
        What was chosen earlier, then the new.
    """
    picks = list(before)
    chosen = {pick.unit for pick in picks}
    edges = [round(wanted * float(edge)) for edge in np.cumsum([0.0, *shares])]
    for split, quota in zip(SPLITS, np.diff(edges).tolist(), strict=True):
        left = [one for one in candidates if one.split == split and one.unit not in chosen]
        had = [pick for pick in picks if pick.split == split]
        count = min(quota - len(had), len(left))
        if count <= 0:
            continue
        if split == CONTROL or not any(opinions.values()):
            order = np.random.default_rng(seed).permutation(len(left))[:count]
            picks += [_pick(left[index]) for index in sorted(order.tolist())]
        else:
            picks += _balanced(left, criteria_of(opinions, [one.unit for one in left]), count, had)
    return picks


def _balanced(candidates: Sequence[Candidate], criteria: Criteria, count: int, had: Sequence[Pick]) -> list[Pick]:
    """Let targets and genders take turns, those first that have least."""
    by_unit = {one.unit: one for one in candidates}
    lists = {
        (target, gender, criterion): [
            unit for unit in sorted(scores, key=lambda unit: (-scores[unit], unit)) if by_unit[unit].gender == gender
        ][::-1]
        for target, all_scores in criteria.items()
        for criterion, scores in all_scores.items()
        for gender in {one.gender for one in candidates}
    }
    cells = Counter({(target, gender): 0 for target, gender, _ in lists})
    cells.update((pick.target, pick.gender) for pick in had if (pick.target, pick.gender) in cells)
    per_speaker = Counter(pick.speaker for pick in had)
    speakers = len({one.speaker for one in candidates} | set(per_speaker))
    most = max(5, math.ceil(2 * (count + len(had)) / max(speakers, 1)))
    turn: Counter[tuple[str, str]] = Counter()
    found: list[Pick] = []
    taken: set[str] = set()
    while len(found) < count and cells:
        cell = min(cells, key=lambda one: (cells[one], one))
        names = [name for target, gender, name in lists if (target, gender) == cell]
        names = names[turn[cell] % len(names) :] + names[: turn[cell] % len(names)]
        turn[cell] += 1
        for name in names:
            unit = _next(lists[*cell, name], taken, per_speaker, by_unit, most)
            if unit:
                break
        else:  # nobody is left for it, but perhaps those of a speaker who has had enough
            if all(unit in taken for name in names for unit in lists[*cell, name]):
                del cells[cell]
            else:
                most += 1
            continue
        taken.add(unit)
        cells[cell] += 1
        per_speaker[by_unit[unit].speaker] += 1
        found.append(_pick(by_unit[unit], cell[0], name))
    return found


def _next(
    units: list[str], taken: set[str], per_speaker: Counter[int], by_unit: Mapping[str, Candidate], most: int
) -> str:
    """Take the best of a list, which is turned round, that is free; those of speakers who have enough stay in it."""
    for place in range(len(units) - 1, -1, -1):
        unit = units[place]
        if unit in taken:
            del units[place]
        elif per_speaker[by_unit[unit].speaker] < most:
            del units[place]
            return unit
    return ""


def _mean_ranks(scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
    """Mean over the criteria of the rank of each unit, 0 to 1."""
    sums: dict[str, list[float]] = {}
    for said in scores.values():
        ordered = sorted(said, key=lambda unit: (said[unit], unit))
        for rank, unit in enumerate(ordered):
            sums.setdefault(unit, []).append(rank / max(len(ordered) - 1, 1))
    return {unit: sum(ranks) / len(ranks) for unit, ranks in sums.items()}


def _pick(one: Candidate, target: str = "", criterion: str = DRAWN) -> Pick:
    return Pick(
        unit=one.unit, speaker=one.speaker, gender=one.gender, split=one.split, target=target, criterion=criterion
    )
