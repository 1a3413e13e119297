"""Consensus: what the raters of a turn say together, and how far they agree."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import msgspec
import numpy as np

from rtemo.corpus.ratings import DIMENSIONS, LETTERS, NO_AGREEMENT, PRIMARY, Rated
from rtemo.scoring.agreement import fleiss_kappa, krippendorff_alpha


class Consensus(msgspec.Struct, frozen=True, kw_only=True):
    """What the raters of one turn say.

    Attributes:
        letter: Of the emotion that most gave; `X` where several were given as often.
        shares: Emotion → share of the raters, in the order of `PRIMARY`.
        means: Mean of valence, arousal and dominance, 1 to 7.
        raters: How many.
    """

    letter: str
    shares: dict[str, float]
    means: dict[str, float]
    raters: int


class Agreement(msgspec.Struct, frozen=True, kw_only=True):
    """How far raters agree over many turns; None where nothing can be said.

    Attributes:
        turns: How many had two raters at least.
        ratings: How many there are.
        kappa: Fleiss' kappa of the primary emotion.
        alpha_primary: Krippendorff's alpha of it, nominal.
        alpha: Krippendorff's alpha of each dimension, interval.
        no_agreement: Share of the turns without a plurality.
    """

    turns: int
    ratings: int
    kappa: float | None
    alpha_primary: float | None
    alpha: dict[str, float | None]
    no_agreement: float | None


def by_clip(ratings: Iterable[Rated], left_out: Sequence[str] = ()) -> dict[str, list[Rated]]:
    """Turn → its ratings, without those of some raters."""
    found: dict[str, list[Rated]] = {}
    for one in ratings:
        if one.rater not in left_out:
            found.setdefault(one.rating.clip, []).append(one)
    return found


def consensus_of(ratings: Sequence[Rated]) -> Consensus:
    """Join the ratings of one turn: plurality of the primary emotion, means of the dimensions, shares of the votes."""
    votes = Counter(one.rating.primary for one in ratings)
    (top, most), *others = votes.most_common(2)
    tied = bool(others) and others[0][1] == most
    return Consensus(
        letter=NO_AGREEMENT if tied else LETTERS[top],
        shares={name: votes[name] / len(ratings) for name in PRIMARY},
        means={name: sum(getattr(one.rating, name) for one in ratings) / len(ratings) for name in DIMENSIONS},
        raters=len(ratings),
    )


def agreement_of(clips: Mapping[str, Sequence[Rated]]) -> Agreement:
    """Measure how far the raters of several turns agree."""
    several = {clip: ratings for clip, ratings in clips.items() if len(ratings) >= 2}
    raters = {name: column for column, name in enumerate(sorted({r.rater for rs in several.values() for r in rs}))}
    counts = np.zeros((len(several), len(PRIMARY)), np.int64)
    tables = {name: np.full((len(several), len(raters)), np.nan) for name in ("primary", *DIMENSIONS)}
    for row, ratings in enumerate(several.values()):
        for one in ratings:
            emotion = PRIMARY.index(one.rating.primary)
            counts[row, emotion] += 1
            tables["primary"][row, raters[one.rater]] = emotion
            for name in DIMENSIONS:
                tables[name][row, raters[one.rater]] = getattr(one.rating, name)
    undecided = [consensus_of(ratings).letter == NO_AGREEMENT for ratings in several.values()]
    return Agreement(
        turns=len(several),
        ratings=int(counts.sum()),
        kappa=_known(fleiss_kappa(counts)) if several else None,
        alpha_primary=_known(krippendorff_alpha(tables["primary"], "nominal")) if several else None,
        alpha={name: _known(krippendorff_alpha(tables[name])) if several else None for name in DIMENSIONS},
        no_agreement=sum(undecided) / len(undecided) if undecided else None,
    )


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 4)
