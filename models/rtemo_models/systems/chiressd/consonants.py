"""Consonants: disorders made on purpose, with known truth, and how many consonants of a text are said right.

Processes of disordered child speech as they are named in clinical use (Dodd 2005): a rule replaces signs of the
phonetic alphabet. Signs are those that the voice speaks (`rtemo.voice.phonemes`).
"""

import difflib
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

CONSONANTS = frozenset("bdfhjklmnpstvwzðŋɡɹɾʃʒʤʧθ")

DISORDERS: dict[str, dict[str, str]] = {
    "fronting": {"k": "t", "ɡ": "d", "ŋ": "n", "ʃ": "s", "ʒ": "z"},
    "stopping": {"s": "t", "z": "d", "f": "p", "v": "b", "ʃ": "t", "θ": "t", "ð": "d"},
    "lisp": {"s": "θ", "z": "ð"},
    "gliding": {"ɹ": "w", "l": "j"},
    "deaffrication": {"ʧ": "ʃ", "ʤ": "ʒ"},
}
"""Name of a process → which sound becomes which."""


class Consonant(NamedTuple):
    """One consonant of the intended text.

    Attributes:
        sign: What it is.
        heard: What was heard in its place; empty where nothing was.
    """

    sign: str
    heard: str

    @property
    def is_right(self) -> bool:
        """Whether it was said as intended."""
        return self.sign == self.heard


def disordered(signs: str, processes: Sequence[str], share: float, random: np.random.Generator) -> tuple[str, int, int]:
    """Disorder some consonants of a phrase.

    Args:
        signs: The phrase.
        processes: Names in `DISORDERS`, applied together; of two for one sound the first.
        share: Probability that a sound that a process is about is replaced.
        random: Draws which.

    Returns:
        The phrase as it is said, how many consonants were replaced, and how many there are.

    Raises:
        KeyError: A process is not known.
    """
    table: dict[str, str] = {}
    for name in reversed(processes):
        table |= DISORDERS[name]
    made, replaced = [], 0
    for sign in signs:
        is_hit = sign in table and random.random() < share
        replaced += is_hit
        made.append(table[sign] if is_hit else sign)
    return "".join(made), replaced, sum(sign in CONSONANTS for sign in signs)


def consonants_heard(intended: str, heard: str) -> list[Consonant]:
    """Compare the consonants of what was intended with those of what was heard, both in signs, in order."""
    wanted = [sign for sign in intended if sign in CONSONANTS]
    found = [sign for sign in heard if sign in CONSONANTS]
    result: list[Consonant] = []
    for kind, start, end, other, other_end in difflib.SequenceMatcher(None, wanted, found, False).get_opcodes():
        if kind == "equal":
            result += [Consonant(sign, sign) for sign in wanted[start:end]]
        elif kind in ("replace", "delete"):
            instead = found[other:other_end]
            result += [
                Consonant(sign, instead[place] if place < len(instead) else "")
                for place, sign in enumerate(wanted[start:end])
            ]
    return result


def share_right(consonants: Sequence[Consonant]) -> float:
    """Percentage of consonants correct as a share, 0 to 1 (Shriberg & Kwiatkowski 1982); 1 where there are none."""
    return sum(one.is_right for one in consonants) / len(consonants) if consonants else 1.0
