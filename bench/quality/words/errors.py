"""Word errors, and how far a rate may be off by chance."""

import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np


class Count(NamedTuple):
    """Words that are wrong, missing or too many, of so many that were said."""

    errors: int
    words: int


def words_of(text: str) -> list[str]:
    """Words in one spelling: lower case, without punctuation, hyphens as blanks.

    >>> words_of("I don't know -- well-known, eh?")
    ['i', 'dont', 'know', 'well', 'known', 'eh']
    """
    plain = unicodedata.normalize("NFC", text).casefold().replace("-", " ").replace("\u2019", "'").replace("'", "")
    return "".join(char if unicodedata.category(char)[0] in "LNM" else " " for char in plain).split()


def count_errors(said: str, written: str) -> Count:
    """Levenshtein distance in words.

    >>> count_errors("kids are talking", "Kids walking, too"), count_errors("a b", "")
    (Count(errors=2, words=3), Count(errors=2, words=2))
    """
    reference, found = words_of(said), words_of(written)
    row = list(range(len(found) + 1))
    for i, word in enumerate(reference, 1):
        last, row[0] = row[:], i
        for j, other in enumerate(found, 1):
            row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (word != other))
    return Count(row[-1], len(reference))


def rate(counts: Sequence[Count]) -> float:
    """Errors per word said."""
    return sum(count.errors for count in counts) / max(1, sum(count.words for count in counts))


def interval(counts: Sequence[Count], draws: int = 2000, seed: int = 0) -> tuple[float, float]:
    """The middle 95 % of rates over clips drawn again with replacement."""
    errors, words = (np.array([count[k] for count in counts]) for k in (0, 1))
    drawn = np.random.default_rng(seed).integers(len(counts), size=(draws, len(counts)))
    low, high = np.percentile(errors[drawn].sum(1) / words[drawn].sum(1), (2.5, 97.5))
    return float(low), float(high)
