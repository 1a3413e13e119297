"""Raters: gold turns that tell who listens, and how well each rater agrees with the others."""

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from statistics import median

import msgspec
import numpy as np

from rtemo.corpus.ratings import DIMENSIONS, Rated

LEAST_GOLD = 5
"""Gold turns that a rater has answered before anything is concluded from them."""
LEAST_RIGHT = 0.6
"""Share of them that must be right."""
MOST_OFF = 1.5
"""How far valence and arousal of a gold turn may lie from those of who is trusted, on average; who guesses gets a
third of the gold turns right by this and the emotion, and people who listen agree far more often."""
GOLD_EVERY = 8
"""Every so many turns one is gold, as long as there are some."""


class RaterQuality(msgspec.Struct, frozen=True, kw_only=True):
    """How well one rater does.

    Attributes:
        rater: Who.
        ratings: How many.
        gold: Gold turns answered.
        gold_right: Share of them that were right; None before there are any.
        is_screened_out: Whether the ratings do not count.
        plurality: Share of the turns where the primary emotion is that which most of the others gave; None where no
            turn has two others.
        correlation: Dimension → correlation with the mean of the others; None where it cannot be told.
        median_s: Median of the time spent on a turn.
        monotony: Share of the commonest answer to all questions at once: one who presses the same keys has 1.
    """

    rater: str
    ratings: int
    gold: int
    gold_right: float | None
    is_screened_out: bool
    plurality: float | None
    correlation: dict[str, float | None]
    median_s: float
    monotony: float


def gold_of(ratings: Iterable[Rated], trusted: Collection[str]) -> dict[str, list[Rated]]:
    """Turn → what raters who are trusted said of it: those turns are gold."""
    found: dict[str, list[Rated]] = {}
    for one in ratings:
        if one.rater in trusted:
            found.setdefault(one.rating.clip, []).append(one)
    return found


def is_right(answer: Rated, gold: Sequence[Rated]) -> bool:
    """Whether an answer fits a gold turn: an emotion that somebody trusted gave, or dimensions that are not far off."""
    emotions = {name for one in gold for name in (one.rating.primary, *one.rating.secondary)}
    off = [
        abs(getattr(answer.rating, name) - sum(getattr(one.rating, name) for one in gold) / len(gold))
        for name in ("valence", "arousal")
    ]
    return answer.rating.primary in emotions or sum(off) / len(off) <= MOST_OFF


def screened_out(ratings: Iterable[Rated], trusted: Collection[str]) -> list[str]:
    """Name the raters whose answers to gold turns were wrong too often; their ratings do not count."""
    listed = list(ratings)
    gold = gold_of(listed, trusted)
    answers: dict[str, list[bool]] = {}
    for one in listed:
        if one.rater not in trusted and one.rating.clip in gold:
            answers.setdefault(one.rater, []).append(is_right(one, gold[one.rating.clip]))
    return sorted(
        rater for rater, right in answers.items() if len(right) >= LEAST_GOLD and sum(right) / len(right) < LEAST_RIGHT
    )


def quality_of(ratings: Iterable[Rated], trusted: Collection[str]) -> list[RaterQuality]:
    """Tell how well every rater does, by name."""
    listed = list(ratings)
    gold = gold_of(listed, trusted)
    out = screened_out(listed, trusted)
    clips: dict[str, list[Rated]] = {}
    for one in listed:
        clips.setdefault(one.rating.clip, []).append(one)
    by_rater: dict[str, list[Rated]] = {}
    for one in listed:
        by_rater.setdefault(one.rater, []).append(one)
    return [_quality(rater, given, clips, gold, trusted, out) for rater, given in sorted(by_rater.items())]


def _quality(
    rater: str,
    given: Sequence[Rated],
    clips: dict[str, list[Rated]],
    gold: dict[str, list[Rated]],
    trusted: Collection[str],
    out: Collection[str],
) -> RaterQuality:
    right = [is_right(one, gold[one.rating.clip]) for one in given if rater not in trusted and one.rating.clip in gold]
    hits, pairs = [], []
    for one in given:
        others = [other for other in clips[one.rating.clip] if other.rater != rater and other.rater not in out]
        if len(others) < 2:
            continue
        (top, most), *more = Counter(other.rating.primary for other in others).most_common(2)
        if not more or more[0][1] < most:
            hits.append(one.rating.primary == top)
        mean = [sum(getattr(other.rating, name) for other in others) / len(others) for name in DIMENSIONS]
        pairs.append((tuple(getattr(one.rating, name) for name in DIMENSIONS), mean))
    commonest = Counter(
        (one.rating.primary, *(getattr(one.rating, name) for name in DIMENSIONS)) for one in given
    ).most_common(1)[0][1]
    return RaterQuality(
        rater=rater,
        ratings=len(given),
        gold=len(right),
        gold_right=sum(right) / len(right) if right else None,
        is_screened_out=rater in out,
        plurality=sum(hits) / len(hits) if hits else None,
        correlation={
            name: _correlation([mine[k] for mine, _ in pairs], [theirs[k] for _, theirs in pairs])
            for k, name in enumerate(DIMENSIONS)
        },
        median_s=float(median(one.rating.spent_s for one in given)),
        monotony=commonest / len(given),
    )


def _correlation(a: Sequence[float], b: Sequence[float]) -> float | None:
    if len(a) < 3 or np.std(a) == 0.0 or np.std(b) == 0.0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
