"""Words: what the transcript of a turn says about whether it is over."""

import re

from rtemo.api import Transcript

_SIGNS = """mhm mm mmhm hm hmm uh-huh uhhuh aha ah oh ok okay yeah yes yep right sure ja genau oui d'accord sí si claro
tak dobrze"""
"""Words that, alone, are a sign of listening in most uses (English, German, French, Spanish, Polish)."""
_OPEN = """and or but because so if when that which the a an to of in on at for with my your his her is are was um uh er
erm und oder aber weil dass wenn der die das ein eine zu von mit äh ähm"""
"""Words after which a speaker goes on (English, German)."""
_SIGNS_OF_LISTENING, _GOES_ON = frozenset(_SIGNS.split()), frozenset(_OPEN.split())
_ENDS_SENTENCE, _GOES_ON_ODDS = 2.0, 0.25
"""Odds by which a closed sentence, or one that cannot end so, changes the probability. They were set, not fitted: no
corpus at hand has turns with words."""


def odds_of_words(text: str) -> float:
    """Tell by which odds the words of a turn so far change the probability that it is over.

    >>> odds_of_words("I want to go home."), odds_of_words("I want to go to the"), odds_of_words("I want to go")
    (2.0, 0.25, 1.0)
    """
    text = text.rstrip()
    last = re.findall(r"[\w'-]+", text.lower())[-1:]
    if text.endswith(("...", "…", ",", "-")) or (last and last[0] in _GOES_ON):
        return _GOES_ON_ODDS
    return _ENDS_SENTENCE if text.endswith((".", "?", "!")) else 1.0


class Words:
    """Keeps the newest text of every row's turn.

    Args:
        capacity: Most rows.
    """

    def __init__(self, capacity: int) -> None:
        self._said: list[tuple[int, str]] = [(-1, "")] * capacity

    def take(self, row: int, transcript: Transcript, start_sample: int) -> None:
        """Note what was said from `start_sample` on."""
        self._said[row] = (start_sample, transcript.text)

    def of(self, row: int, start_sample: int) -> str:
        """Give the text of the turn that begins at `start_sample`; empty where there is none yet."""
        at, text = self._said[row]
        return text if at >= start_sample - _SLACK_SAMPLES else ""

    @staticmethod
    def is_backchannel(text: str) -> bool:
        """Tell whether a text is nothing but signs of listening."""
        words = re.findall(r"[\w'-]+", text.lower())
        return bool(words) and all(word in _SIGNS_OF_LISTENING for word in words)

    def admit(self, row: int) -> None:
        """Forget what was said at `row`."""
        self._said[row] = (-1, "")

    reset = admit

    def retire(self, row: int, last: int) -> None:
        """Forget the row; the one at `last` takes its place."""
        self._said[row] = self._said[last]
        self._said[last] = (-1, "")


_SLACK_SAMPLES = 8_000
"""Stretches of speech are padded at their onset, turns here begin with the first voice."""
