"""Clauses: where a text may be cut so that its beginning can be heard before its end is made."""

import re

LONGEST_CHARS = 160
"""A clause beyond this is cut between words."""

_END = re.compile(r"(?<=[.!?…;:])[\"'”’)\]]*\s+|\n+")
_COMMA = re.compile(r"(?<=[,—])\s+|\s+(?=[—–(])")
_JOIN = re.compile(r"\s+(?=(?:and|but|or|because|that|which|when|while|if|so|und|aber|weil|dass|i|ale|że)\s)", re.I)
_ABBREVIATION = re.compile(r"(?:^|\s)(?:Mr|Mrs|Ms|Dr|St|No|Prof|vs|etc|e\.g|i\.e|[A-Z])\.$")
_SHORT_CHARS = 12


def clauses_of(text: str, longest_chars: int = LONGEST_CHARS) -> list[str]:
    """Cut a text into clauses, in order; put together with spaces they are the text.

    A clause ends at punctuation; what is longer than `longest_chars` is cut before a conjunction, or else between
    words. What is shorter than a dozen characters stays with what comes before.
    """
    pieces: list[str] = []
    for sentence in _join_abbreviations(_END.split(text.strip())):
        pieces += _join_short(_COMMA.split(sentence))
    return [" ".join(part.split()) for piece in pieces for part in _within(piece, longest_chars) if part.strip()]


def _join_abbreviations(parts: list[str]) -> list[str]:
    joined: list[str] = []
    for part in parts:
        if joined and _ABBREVIATION.search(joined[-1]):
            joined[-1] += " " + part
        else:
            joined.append(part)
    return joined


def _join_short(parts: list[str]) -> list[str]:
    joined: list[str] = []
    for part in parts:
        if joined and (len(part) < _SHORT_CHARS or len(joined[-1]) < _SHORT_CHARS):
            joined[-1] += " " + part
        else:
            joined.append(part)
    return joined


def _within(piece: str, longest_chars: int) -> list[str]:
    if len(piece) <= longest_chars:
        return [piece]
    places = [match.start() for match in _JOIN.finditer(piece)] or [
        match.start() for match in re.finditer(r"\s+", piece)
    ]
    usable = [place for place in places if _SHORT_CHARS <= place <= longest_chars]
    spaces = [match.start() for match in re.finditer(r"\s+", piece) if match.start() <= longest_chars]
    place = max(usable or spaces, default=0)
    if not place:  # one word without an end
        return [piece[:longest_chars], *_within(piece[longest_chars:], longest_chars)]
    return [piece[:place], *_within(piece[place:].strip(), longest_chars)]
