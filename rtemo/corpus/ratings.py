"""Ratings: what each rater says of each turn, one line each, appended as it is given."""

from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from rtemo.corpus.ledger import Entry, Ledger

PRIMARY = ("Angry", "Sad", "Happy", "Surprise", "Fear", "Disgust", "Contempt", "Neutral", "Other")
"""Primary emotions as MSP-Podcast names them."""
LETTERS = dict(zip(PRIMARY, "ASHUFDCNO", strict=True))
"""Primary emotion → the letter that stands for it in a consensus."""
NO_AGREEMENT = "X"
SECONDARY = (
    *("Amused", "Angry", "Annoyed", "Concerned", "Confused", "Contempt", "Depressed", "Disappointed"),
    *("Disgust", "Excited", "Fear", "Frustrated", "Happy", "Neutral", "Sad", "Surprise"),
)
"""Secondary emotions: any of these."""
DIMENSIONS = ("valence", "arousal", "dominance")

Scale = Annotated[int, Meta(ge=1, le=7)]


class Rating(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one rater says of one turn.

    Attributes:
        clip: The turn.
        primary: One of `PRIMARY`.
        secondary: Any of `SECONDARY`.
        valence: 1 unpleasant to 7 pleasant.
        arousal: 1 calm to 7 active.
        dominance: 1 weak to 7 strong.
        spent_s: From the first sound to the answer.
        played: How often it was played.
    """

    clip: Annotated[str, Meta(max_length=64)]
    primary: str
    secondary: tuple[str, ...] = ()
    valence: Scale
    arousal: Scale
    dominance: Scale
    spent_s: Annotated[float, Meta(ge=0, le=86_400)] = 0.0
    played: Annotated[int, Meta(ge=0, le=10_000)] = 0

    def fault(self) -> str:
        """Say what is wrong with it; empty when nothing is."""
        if self.primary not in PRIMARY:
            return f"the primary emotion is {self.primary[:40]!r}, expected one of {', '.join(PRIMARY)}"
        strange = [name for name in self.secondary if name not in SECONDARY]
        if strange or len(set(self.secondary)) < len(self.secondary):
            return f"the secondary emotions are {', '.join(self.secondary)[:80]!r}, expected each of the list once"
        return ""


class Rated(Entry, frozen=True, kw_only=True):
    """A rating as it is kept: `unit` is rater and turn, the last of one unit counts.

    Attributes:
        rater: Who rated.
        rating: What was said.
        at: When, as ISO 8601 in UTC.
    """

    rater: str
    rating: Rating
    at: str = ""


def ratings_of(folder: Path) -> Ledger[Rated]:
    """The ratings of a corpus."""
    return Ledger(folder / "ratings.jsonl", Rated)


def rated_unit(rater: str, clip: str) -> str:
    """Name a rating."""
    return f"{rater}/{clip}"
