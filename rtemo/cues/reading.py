"""Reading: what the words of a turn express, by a small list of words for each language.

A word list knows no irony and little grammar. It is there to show where words and voice part, not to judge a text: a
negation in front takes a word out, and of several emotions the one with the most words wins.
"""

from collections.abc import Sequence
from functools import cache

from rtemo.api.vocabulary import Word
from rtemo.cues.language import language
from rtemo.cues.tokens import Lexicon, tokens
from rtemo.cues.turn import Reading

_DENIED_WORDS = 3  # a negation reaches so far
_MOST_QUOTED = 3
_DENY = "deny"
_OPPOSITE = {"happy": "sad"}  # what a denied word says; of all others nothing


def read(words: Sequence[Word], code: str) -> Reading:
    """Tell what words express.

    Args:
        words: All of a turn.
        code: Their language, one of `LANGUAGES`; nothing is told of others.

    Raises:
        KeyError: There is no list for the language.
    """
    if not words:
        return Reading("")
    flat = [(token, word) for word in words for token in tokens(word.text)]
    matches = _lexicon(code).find([token for token, _ in flat])
    denials = [any(match.list == _DENY for match in here) for here in matches]
    found: dict[str, list[Word]] = {}
    place = 0
    while place < len(flat):
        best = max((m for m in matches[place] if m.list != _DENY), key=lambda m: (m.words, m.chars), default=None)
        if best is not None:
            is_denied = any(denials[max(0, place - _DENIED_WORDS) : place])
            emotion = _OPPOSITE.get(best.list, "") if is_denied else best.list
            if emotion:
                found.setdefault(emotion, []).extend(word for _, word in flat[place : place + best.words])
        place += best.words if best is not None else 1
    if not found:
        return Reading("neutral")
    label = max(found, key=lambda emotion: len(found[emotion]))
    return Reading(label, tuple(dict.fromkeys(found[label]))[:_MOST_QUOTED])


@cache
def _lexicon(code: str) -> Lexicon:
    lists = language(code)
    return Lexicon({**lists.feelings, _DENY: lists.deny})
