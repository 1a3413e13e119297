"""Processors: how many there are for this program, and which of them go together."""

import os
from pathlib import Path

_NODES = Path("/sys/devices/system/node")


def processors() -> list[int]:
    """List the processors that this program may use, those of a NUMA node side by side; empty where nobody can tell."""
    if not hasattr(os, "sched_getaffinity"):
        return []
    ours = os.sched_getaffinity(0)
    ordered = [number for node in _nodes() for number in node if number in ours]
    return ordered + sorted(ours.difference(ordered))


def count_processors() -> int:
    """Tell how many processors this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def share(numbers: list[int], index: int, count: int) -> list[int]:
    """Give one of several processes its processors: as many as there are for each, or one that others have, too.

    >>> share([0, 1, 2, 3, 4], 1, 2), share([0, 1], 3, 4)
    ([2, 3], [1])
    """
    each = len(numbers) // count
    return numbers[index * each : (index + 1) * each] if each else [numbers[index % len(numbers)]]


def _nodes() -> list[list[int]]:
    def number(folder: Path) -> int:
        return int(folder.name.removeprefix("node"))

    try:
        folders = sorted(_NODES.glob("node[0-9]*"), key=number)
        return [_listed((folder / "cpulist").read_text()) for folder in folders]
    except (OSError, ValueError):
        return []


def _listed(text: str) -> list[int]:
    """Read a list of processors as the kernel writes it.

    >>> _listed("0-2,8")
    [0, 1, 2, 8]
    """
    numbers: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers
