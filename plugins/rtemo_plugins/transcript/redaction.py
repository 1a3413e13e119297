"""Redaction: digits, and numbers that are read out digit by digit, made unreadable in place."""

import re
import unicodedata
from collections.abc import Sequence

from rtemo_plugins.transcript.agreement import plain

MASK = "#"
_RUN = 2
"""So many words for digits in a row are a number that is read out; a single one most often is none: `one moment`."""

_NAMES = """
zero oh one two three four five six seven eight nine double triple
null eins zwei zwo drei vier fünf sechs sieben acht neun
zéro un deux trois quatre cinq sept huit neuf
cero uno dos tres cuatro cinco seis siete ocho nueve
zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć
due tre quattro cinque sei sette otto nove
um dois três quatro sete oito
nul een twee drie zes zeven negen
零 幺 一 二 三 四 五 六 七 八 九
공 영 일 이 삼 사 오 육 칠 팔 구
"""
NAMES_OF_DIGITS = frozenset(plain(unicodedata.normalize("NFC", name)) for name in _NAMES.split())
"""Words for digits in English, German, French, Spanish, Polish, Italian, Portuguese, Dutch, Chinese, Japanese (in
Chinese signs) and Korean, as `plain` gives them."""


def redacted(words: Sequence[str], is_final: bool) -> tuple[list[str], int]:
    """Mask digits in a text, given word by word, each with the blank before it.

    A digit becomes one mask. In a run of words for digits every word becomes one mask, so that its length tells
    nothing. While the turn goes on a run may still grow, so one word is enough at the end of the text, and what may be
    unmasked later is not stable.

    Args:
        words: The words.
        is_final: Whether no word will follow.

    Returns:
        The words masked, and how many from the beginning no later word can change.

    >>> redacted([" It", " is", " 4-2", " one"], True)[0]
    [' It', ' is', ' #-#', ' one']
    >>> redacted([" It", " is", " four", " five."], True)[0], redacted([" It", " is", " four"], False)
    ([' It', ' is', ' #', ' #.'], ([' It', ' is', ' #'], 2))
    """
    masked = [_digits_masked(word) for word in words]
    counts = [_digits_in(word) for word in words]
    start = 0
    while start < len(words):
        end = start
        while end < len(words) and counts[end]:
            end += 1
        is_open = end == len(words) and not is_final
        if sum(counts[start:end]) >= _RUN or (is_open and end > start):
            masked[start:end] = [_masked(word) for word in words[start:end]]
        if is_open and sum(counts[start:end]) < _RUN:
            return masked, start
        start = end + 1
    return masked, len(words)


def _digits_in(word: str) -> int:
    """Count the digits that a word, or several with hyphens between them, stands for; 0 if it is anything else."""
    parts = [plain(part) for part in re.split(r"[\W_]+", unicodedata.normalize("NFC", word)) if part]
    return len(parts) if all(part in NAMES_OF_DIGITS or part.isdecimal() for part in parts) else 0


def _digits_masked(word: str) -> str:
    return "".join(MASK if unicodedata.category(char)[0] == "N" else char for char in word)


def _masked(word: str) -> str:
    """Put one mask where the letters are; of figures, which are told one by one anyhow, as many as there are."""
    letters = [index for index, char in enumerate(word) if unicodedata.category(char)[0] in "LNM"]
    if all(unicodedata.category(word[index])[0] == "N" for index in letters):
        return _digits_masked(word)
    return word[: letters[0]] + MASK + word[letters[-1] + 1 :]
