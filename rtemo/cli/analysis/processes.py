"""How many processes share a batch."""

import os
from collections.abc import Sequence

from rtemo.io.sources.files import STANDARD_INPUT, WaitingFile

_WORTH_S = 300.0
"""Audio that a process must have to do for the seconds of its start to pay."""


def cores() -> int:
    """Tell how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_processes(asked: int | None, files: Sequence[WaitingFile]) -> int:
    """Tell how many processes are to share files: no more than there are files, nor, unless asked for, than pay.

    Standard input can be read by one process alone.
    """
    if any(file.path == STANDARD_INPUT for file in files):
        return 1
    if asked is None:
        work_s = sum(file.duration_s * file.channels for file in files)
        asked = min(cores(), int(work_s / _WORTH_S))
    return max(1, min(asked, len(files)))
