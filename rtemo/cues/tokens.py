"""Tokens: words of a text as they are compared, and entries of word lists that match their beginnings."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_TOKEN = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_KEY_CHARS = 3
_WHOLE_CHARS = 3  # an entry that is no longer than this stands for itself alone


def tokens(text: str) -> list[str]:
    """Words in lower case, without punctuation.

    >>> tokens("Oh, that’s GREAT!")
    ['oh', "that's", 'great']
    """
    plain = unicodedata.normalize("NFC", text).lower().replace("’", "'")
    return _TOKEN.findall(plain)


class Match(NamedTuple):
    """An entry of a word list that stands at a place of a text."""

    list: str
    """Name of the word list."""
    words: int
    """How many words it covers."""
    chars: int
    """Length of the entry: the longer, the more it says."""


class Lexicon:
    """Word lists, found in a text all at once.

    An entry stands for all words that begin with it, one of three letters or fewer for itself alone; `_` joins several
    words.

    Args:
        lists: Name → entries.

    >>> lexicon = Lexicon({"high": ["high", "up"], "oh": ["oh_my"]})
    >>> [[m.list for m in found] for found in lexicon.find(["higher", "upset", "oh", "my"])]
    [['high'], [], ['oh'], []]
    """

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        self._entries: dict[str, list[tuple[tuple[str, ...], Match]]] = {}
        for name, entries in lists.items():
            for entry in entries:
                parts = tuple(entry.split("_"))
                found = self._entries.setdefault(parts[0][:_KEY_CHARS], [])
                found.append((parts, Match(name, len(parts), len(entry))))

    def find(self, words: Sequence[str]) -> list[list[Match]]:
        """For each word the matches that begin with it."""
        return [self._at(words, place) for place in range(len(words))]

    def _at(self, words: Sequence[str], place: int) -> list[Match]:
        found = []
        for size in range(1, _KEY_CHARS + 1):
            key = words[place][:size]
            if len(key) < size:
                break
            for parts, match in self._entries.get(key, ()):
                if len(parts) == 1:
                    if _begins(words[place], parts[0]):
                        found.append(match)
                elif place + len(parts) <= len(words) and all(map(_begins, words[place : place + len(parts)], parts)):
                    found.append(match)
        return found


def _begins(word: str, part: str) -> bool:
    return word == part or (len(part) > _WHOLE_CHARS and word.startswith(part))
