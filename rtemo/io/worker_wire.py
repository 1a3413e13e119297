"""What every worker process tells whoever started it, while it begins and when it cannot go on."""

import msgspec


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
