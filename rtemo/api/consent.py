"""Consent: whose voice may be imitated, by whose word, and when it was given."""

import datetime
import re

import msgspec

from rtemo.api.errors import RtemoError

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_LEAST_LETTERS = 2


class ConsentError(RtemoError):
    """A voice that would be imitated without the word of the one whose it is."""


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """The word of the one whose voice is imitated; it goes into every file that is made with that voice.

    Attributes:
        who: Name of the one who consented: the speaker, or who may speak for a child.
        when: Date on which it was given, ISO 8601.
    """

    who: str
    when: str

    def __str__(self) -> str:
        return f"{self.who}, {self.when}"


def read_consent(text: str | None, today: datetime.date | None = None) -> Consent:
    """Read what `--consent` was given: `who, when`.

    Args:
        text: As `Jane Doe, 2026-11-30`.
        today: What day it is, for tests.

    Raises:
        ConsentError: There is none, it does not tell who and when, or its date is no date or lies ahead.
    """
    mend = 'give --consent "NAME, YYYY-MM-DD": who consented to have this voice imitated, and when'
    if text is None or not text.strip():
        raise ConsentError("a voice is not imitated without the consent of the one whose it is", mend)
    who, _, when = (part.strip() for part in text.rpartition(","))
    if sum(char.isalpha() for char in who) < _LEAST_LETTERS or not who.isprintable():
        raise ConsentError(f"--consent got {text[:80]!r}, which names nobody", mend)
    try:
        date = datetime.date.fromisoformat(when) if _DATE.fullmatch(when) else None
    except ValueError:
        date = None
    if date is None:
        raise ConsentError(f"--consent got {when[:40]!r} as the date", mend)
    if date > (today or datetime.date.today()):
        raise ConsentError(f"--consent got {when}, which lies ahead", mend)
    return Consent(who=who, when=when)
