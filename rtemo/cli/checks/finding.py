"""Finding: what one check saw, in words for a person."""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

Verdict = Literal["pass", "note", "fail"]


class Finding(NamedTuple):
    """One thing that was looked at.

    Attributes:
        what: A few words.
        verdict: `pass`; `note` for something that only some uses need; `fail` for what blocks all.
        detail: What was found.
        mend: What to do when it is not a pass.
    """

    what: str
    verdict: Verdict
    detail: str
    mend: str = ""


def guarded(what: str, check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """Run a check and turn whatever it raises into a finding."""
    try:
        yield from check()
    except Exception as error:
        # Errors of rtemo carry their mend; importing their module here could be the very thing that fails.
        problem = getattr(error, "problem", None) or f"{type(error).__name__}: {error}"
        yield Finding(what, "fail", str(problem), str(getattr(error, "mend", "") or "reinstall rtemo"))
