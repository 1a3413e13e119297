"""How many processes share a batch."""

from collections.abc import Sequence

from rtemo.io.sources.files import STANDARD_INPUT, WaitingFile
from rtemo.processors import count_processors

_WORTH_S = 300.0
"""Audio that a process must have to do for the seconds of its start to pay."""


def choose_processes(asked: int | None, files: Sequence[WaitingFile]) -> int:
    """Tell how many processes are to share files: no more than there are files, nor, unless asked for, than pay.

    Standard input can be read by one process alone.
    """
    if any(file.path == STANDARD_INPUT for file in files):
        return 1
    if asked is None:
        work_s = sum(file.duration_s * file.channels for file in files)
        asked = min(count_processors(), int(work_s / _WORTH_S))
    return max(1, min(asked, len(files)))
