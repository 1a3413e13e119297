"""Edits: which words of a sentence an edited text replaces."""

import difflib
import re
from collections.abc import Sequence
from typing import NamedTuple

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")


class Edit(NamedTuple):
    """Words [start, end) of the old sentence that become words [new_start, new_end) of the new one.

    Attributes:
        start: First old word; where `start == end` words are put in before it.
        end: One past the last.
        new_start: First new word.
        new_end: One past the last; `new_start == new_end` takes words out.
    """

    start: int
    end: int
    new_start: int
    new_end: int


def words_of(text: str) -> list[str]:
    """List the words of a text as they are written, without punctuation."""
    return _WORD.findall(text)


def edits_between(old: Sequence[str], new: Sequence[str]) -> list[Edit]:
    """Find the edits that make new words of old ones, whatever their case; those a single word apart become one."""
    matcher = difflib.SequenceMatcher(None, [word.lower() for word in old], [word.lower() for word in new], False)
    edits: list[Edit] = []
    for kind, start, end, new_start, new_end in matcher.get_opcodes():
        if kind == "equal":
            continue
        if edits and start - edits[-1].end <= 1:
            edits[-1] = Edit(edits[-1].start, end, edits[-1].new_start, new_end)
        else:
            edits.append(Edit(start, end, new_start, new_end))
    return edits


def matched_words(wanted: Sequence[str], heard: Sequence[str]) -> list[int | None]:
    """Find for each word of a text the word that was heard in its place, by least edits; None where none was."""
    costs = [[0.0] * (len(heard) + 1) for _ in range(len(wanted) + 1)]
    for row in range(len(wanted) + 1):
        costs[row][0] = float(row)
    for column in range(len(heard) + 1):
        costs[0][column] = float(column)
    for row, word in enumerate(wanted, 1):
        for column, other in enumerate(heard, 1):
            swap = costs[row - 1][column - 1] + _unlike(word, other)
            costs[row][column] = min(swap, costs[row - 1][column] + 1.0, costs[row][column - 1] + 1.0)
    found: list[int | None] = [None] * len(wanted)
    row, column = len(wanted), len(heard)
    while row and column:
        unlike = _unlike(wanted[row - 1], heard[column - 1])
        if abs(costs[row][column] - costs[row - 1][column - 1] - unlike) < 1e-9:
            row, column = row - 1, column - 1
            found[row] = column
        elif abs(costs[row][column] - costs[row - 1][column] - 1.0) < 1e-9:
            row -= 1
        else:
            column -= 1
    return found


def error_rate(wanted: Sequence[str], heard: Sequence[str]) -> float:
    """Edits per wanted item (words: WER, characters: CER), at least 0; may exceed 1."""
    costs = list(range(len(heard) + 1))
    for row, item in enumerate(wanted, 1):
        before, costs[0] = costs[0], row
        for column, other in enumerate(heard, 1):
            before, costs[column] = (
                costs[column],
                min(before + (item != other), costs[column] + 1, costs[column - 1] + 1),
            )
    return costs[-1] / max(1, len(wanted))


def _unlike(word: str, other: str) -> float:
    """0 for the same word, up to 1.4 for one that shares no letters; near misses stand in each other's place."""
    return 1.4 * (1.0 - difflib.SequenceMatcher(None, word.lower(), other.lower(), False).ratio())
