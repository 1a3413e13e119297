"""Turn: all that is known of one turn of speech when words are to be found for it."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rtemo.api.vocabulary import Cue, Word

STANDS_OUT = 1.0
"""Deviations from which a cue is worth a word."""
VERY = 2.0
"""And from which it is worth a stronger one."""
UNSURE = "unsure"

_POSITIVE = frozenset({"happy"})
_NEGATIVE = frozenset({"sad", "angry", "fear", "disgust"})


class Reading(NamedTuple):
    """What the words of a turn express by themselves."""

    label: str
    """An emotion, `neutral`, or empty where there are no words."""
    words: tuple[Word, ...] = ()
    """Those that tell so."""


class Turn(NamedTuple):
    """One turn of one stream."""

    start_sample: int
    end_sample: int
    cues: tuple[Cue, ...] = ()
    label: str = ""
    """How it sounds: an emotion, `unsure`, or empty."""
    probabilities: Mapping[str, float] = {}
    words: tuple[Word, ...] = ()
    """All that were said."""
    reading: Reading = Reading("")

    def ranked(self) -> list[str]:
        """Emotions, the most probable first."""
        return sorted(self.probabilities, key=self.probabilities.__getitem__, reverse=True)

    def cue(self, name: str) -> Cue | None:
        """What was measured of one cue."""
        return next((cue for cue in self.cues if cue.name == name), None)


def polarity(label: str) -> int:
    """Whether an emotion is a good one, 1, a bad one, -1, or neither.

    >>> polarity("happy"), polarity("fear"), polarity("surprise")
    (1, -1, 0)
    """
    return (label in _POSITIVE) - (label in _NEGATIVE)


def disagree(turn: Turn) -> bool:
    """Whether the words say the opposite of the voice, as in a "great" that sounds angry."""
    return polarity(turn.reading.label) * polarity(turn.label) < 0


def fit(turn: Turn) -> bool:
    """Whether the words express what the voice does."""
    told = turn.reading.label
    return bool(turn.reading.words) and (told == turn.label or polarity(told) * polarity(turn.label) > 0)


def direction(z: float) -> str:
    """`high`, `low`, or `usual`.

    >>> direction(1.2), direction(-0.4)
    ('high', 'usual')
    """
    return "usual" if abs(z) < STANDS_OUT else "high" if z > 0 else "low"


def words_of(text: str, words: Sequence[Word], start_sample: int, end_sample: int) -> tuple[Word, ...]:
    """The words of a transcript; where it has no times, each of them may stand anywhere in the turn."""
    if words:
        return tuple(words)
    return tuple(Word(text=word, start_sample=start_sample, end_sample=end_sample) for word in text.split())
