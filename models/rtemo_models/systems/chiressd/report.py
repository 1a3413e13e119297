"""Report of a session: how each consonant was said over its phrases, for a therapist; it is no diagnosis."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from rtemo_models.systems.chiressd.consonants import Consonant, share_right

WARNING = (
    "This is no diagnosis. What was heard is what a recogniser for clear adult speech made of it: it guesses words "
    "from their context, so that it misses errors and makes up others. Listen yourself."
)
_LEAST_TIMES = 2
_LEAST_PHRASES = 4
"""Fewer have no halves worth comparing."""


class Phrase(NamedTuple):
    """One phrase of a session.

    Attributes:
        text: What was meant.
        heard: What the recogniser heard.
        heard_after: What it heard in the reconstruction.
        consonants: Those of the text, and what was heard in their places.
        similarity: Speaker cosine of the reconstruction.
        semitones: Its distance in pitch.
        took_s: From the end of the phrase to the end of the synthesis.
    """

    text: str
    heard: str
    heard_after: str
    consonants: tuple[Consonant, ...]
    similarity: float
    semitones: float
    took_s: float


def report_of(phrases: Sequence[Phrase], consent: str) -> str:
    """Write the report in Markdown: the warning, phrases, consonants from the worst, each with its trend."""
    lines = ["# Session", "", f"**{WARNING}**", "", f"Consent: {consent}", ""]
    lines += ["| phrase | heard | consonants right | similarity | pitch, semitones |", "|---|---|---|---|---|"]
    lines += [
        f"| {one.text} | {one.heard or '-'} | {share_right(one.consonants):.0%} "
        f"| {one.similarity:.2f} | {one.semitones:+.1f} |"
        for one in phrases
    ]
    halves = (phrases[: len(phrases) // 2], phrases[len(phrases) // 2 :]) if len(phrases) >= _LEAST_PHRASES else ()
    by_sign = _by_sign(phrases)
    early, late = (_by_sign(part) for part in halves) if halves else ({}, {})
    lines += [
        "",
        "| consonant | times | right | first half | second half | most often heard instead |",
        "|---" * 6 + "|",
    ]
    for sign, all_of in sorted(by_sign.items(), key=lambda item: (share_right(item[1]), item[0])):
        if len(all_of) < _LEAST_TIMES:
            continue
        wrong = Counter(one.heard or "nothing" for one in all_of if not one.is_right)
        instead = wrong.most_common(1)[0][0] if wrong else ""
        trend = " | ".join(_share(part.get(sign, [])) for part in (early, late))
        lines.append(f"| {sign} | {len(all_of)} | {share_right(all_of):.0%} | {trend} | {instead} |")
    if halves:
        first, second = (share_right([one for phrase in part for one in phrase.consonants]) for part in halves)
        lines += ["", f"First half of the session {first:.0%} of consonants right, second half {second:.0%}."]
    return "\n".join(lines) + "\n"


def _by_sign(phrases: Sequence[Phrase]) -> dict[str, list[Consonant]]:
    found: dict[str, list[Consonant]] = defaultdict(list)
    for phrase in phrases:
        for one in phrase.consonants:
            found[one.sign].append(one)
    return found


def _share(consonants: Sequence[Consonant]) -> str:
    """Say how many were right, of how many; a half in which one does not occur says nothing of it."""
    return f"{share_right(consonants):.0%} of {len(consonants)}" if consonants else ""
