"""Machine: on what something was measured, in words for a picture and for whoever compares."""

import os
import platform
from pathlib import Path

import msgspec

import rtemo
from rtemo.processors import count_processors


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """On what was measured."""

    processor: str
    processors: int
    """That this process may use."""
    load: float | None
    """Programs that were ready to run, on average over the last minute; None where the system tells none."""
    system: str
    python: str
    rtemo: str

    def __str__(self) -> str:
        load = "" if self.load is None else f", load {self.load:.1f} before"
        count = "1 processor" if self.processors == 1 else f"{self.processors} processors"
        return f"{count} {self.processor}{load}; rtemo {self.rtemo}, Python {self.python}, {self.system}"


def this_machine() -> Machine:
    """Tell on what this process runs."""
    return Machine(
        processor=_processor(),
        processors=count_processors(),
        load=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        rtemo=rtemo.__version__,
    )


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
