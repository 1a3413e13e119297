"""What every worker process tells whoever started it, while it begins and when it cannot go on."""

from collections.abc import Callable

import msgspec

from rtemo.api import RtemoError


class Compiling(msgspec.Struct, tag="compiling"):
    """How far the compiling of kernels is."""

    ready: int
    total: int
    is_over: bool


class Ready(msgspec.Struct, tag="ready"):
    """Work may come."""


class Refused(msgspec.Struct, tag="refused"):
    """It cannot begin, which the user can mend."""

    problem: str
    mend: str


class Crashed(msgspec.Struct, tag="crashed"):
    """A fault of rtemo itself."""

    problem: str


def run_told(work: Callable[[], None], tell: Callable[[msgspec.Struct], None]) -> int:
    """Work, and tell whoever started the process why it cannot go on, if so; gives the exit status.

    Raises:
        Exception: A fault of rtemo itself, once it has been told.
    """
    try:
        work()
    except RtemoError as error:
        tell(Refused(error.problem, error.mend))
        return 1
    except Exception as error:
        tell(Crashed(f"{type(error).__name__}: {error}"))
        raise
    return 0
