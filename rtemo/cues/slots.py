"""Slots: a rationale as tokens in which what was measured and said stands as a name, for models that write rationales.

A model need not copy numbers and words, nor can it get them wrong: it says `<pitch>`, and what was measured of the
pitch is put in its place.
"""

import re
from collections.abc import Sequence

from rtemo.cues.turn import UNSURE, Turn
from rtemo.cues.writer import Writer

SHARE = "<share>"
QUOTES = ("<word0>", "<word1>", "<word2>")
_TOKEN = re.compile(r"<\w+>|[\w'’-]+|[^\w\s]")
_TIGHT = frozenset(".,:;)")


def to_slots(text: str, turn: Turn, writer: Writer) -> list[str]:
    """Cut a rationale of the template into words, with slots for what the record holds."""
    for number, word in enumerate(turn.reading.words):
        text = text.replace(writer.quote(word), f" {QUOTES[number]} ", 1)
    for cue in turn.cues:
        text = text.replace(f"({writer.measured(cue)})", f"(<{cue.name}>)", 1)
    best = turn.label if turn.label != UNSURE else next(iter(turn.ranked()), "")
    if best:
        text = text.replace(writer.share(turn.probabilities.get(best, 0.0)), SHARE, 1)
    return _TOKEN.findall(text)


def from_slots(words: Sequence[str], turn: Turn, writer: Writer) -> str:
    """Put a rationale together again; a slot for what is not there stays empty, which no check will confirm."""
    filled = {number: writer.quote(word) for number, word in zip(QUOTES, turn.reading.words, strict=False)}
    filled |= {f"<{cue.name}>": writer.measured(cue) for cue in turn.cues}
    best = turn.label if turn.label != UNSURE else next(iter(turn.ranked()), "")
    filled[SHARE] = writer.share(turn.probabilities.get(best, 0.0))
    text = ""
    for word in words:
        part = filled.get(word, "“”" if word in QUOTES else "" if word.startswith("<") else word)
        is_tight = not text or part in _TIGHT or text.endswith("(")
        text += part if is_tight else f" {part}"
    return text
