"""Raters that are made up, to see whether the agreement that made their ratings is got back."""

import numpy as np

from rtemo.api import EMOTIONS
from rtemo.api.emotions import CIRCUMPLEX
from rtemo.corpus.consensus import agreement_of, by_clip
from rtemo.corpus.raters import screened_out
from rtemo.corpus.ratings import PRIMARY, Rated, Rating, rated_unit

TRUSTED = "trusted"
_WORD_OF = {
    "angry": "Angry",
    "sad": "Sad",
    "happy": "Happy",
    "surprise": "Surprise",
    "fear": "Fear",
    "disgust": "Disgust",
}


def rate(
    moods: dict[str, str], raters: int, spread: float, sure: float, seed: int, guessing: int = 0, gold: int = 0
) -> list[Rated]:
    """Have raters rate turns whose mood is known.

    Args:
        moods: Turn → emotion.
        raters: How many.
        spread: Deviation of each rating of a dimension around that of the mood, on the scale from 1 to 7.
        sure: Share of the answers that name the mood; the others are drawn.
        seed: Of every draw.
        guessing: How many of them answer by chance, without listening.
        gold: Turns that a trusted rater has rated too, rightly.
    """
    random = np.random.default_rng(seed)
    found = []
    for number in range(raters):
        for clip, mood in moods.items():
            found.append(_rated(f"rater{number}", clip, mood, spread, sure, random, number < guessing))
    return found + [_rated(TRUSTED, clip, moods[clip], 0.0, 1.0, random, False) for clip in list(moods)[:gold]]


def _rated(
    rater: str, clip: str, mood: str, spread: float, sure: float, random: np.random.Generator, is_guess: bool
) -> Rated:
    rating = rating_of(clip, mood, spread, sure, random, is_guess)
    return Rated(unit=rated_unit(rater, clip), rater=rater, rating=rating)


def rating_of(clip: str, mood: str, spread: float, sure: float, random: np.random.Generator, is_guess: bool) -> Rating:
    """Rate one turn of a known mood; see `rate`."""
    valence, arousal = CIRCUMPLEX[mood]
    primary = _WORD_OF.get(mood, "Neutral")
    if is_guess or random.random() > sure:
        primary = PRIMARY[int(random.integers(len(PRIMARY)))]
    means = [4.0 + 3.0 * valence, 4.0 + 3.0 * arousal, 4.0 + 2.0 * arousal]
    values = random.integers(1, 8, 3) if is_guess else np.clip(np.rint(random.normal(means, spread)), 1, 7)
    names = dict(zip(("valence", "arousal", "dominance"), (int(value) for value in values), strict=True))
    return Rating(clip=clip, primary=primary, **names)


def table(moods: dict[str, str], seed: int) -> list[str]:
    """Rows: what such raters have in the long run, what is got back of these turns, with guessers and without."""
    rows = []
    random = np.random.default_rng(seed)
    many = {f"{k}": str(mood) for k, mood in enumerate(random.choice(sorted(moods.values()), 4000))}
    for spread, sure in ((1.0, 0.7), (1.6, 0.5), (2.4, 0.3)):
        cells = []
        for turns, guessing in ((many, 0), (moods, 0), (moods, 2)):
            ratings = rate(turns, 5 + guessing, spread, sure, seed, guessing, gold=20)
            out = screened_out(ratings, [TRUSTED]) if guessing else []
            found = agreement_of(by_clip([one for one in ratings if one.rater != TRUSTED], out))
            cells.append(", ".join(map(_number, (found.kappa, found.alpha["valence"], found.alpha["arousal"]))))
        rows.append(f"| {spread}, {sure:.0%} | {' | '.join(cells)} | {len(out)} of 7 |")
    return rows


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


assert set(_WORD_OF) <= set(EMOTIONS)
