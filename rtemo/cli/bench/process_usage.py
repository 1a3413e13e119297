"""ProcessUsage: what a process holds over time, memory, descriptors and threads, and how it climbs."""

import os
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rtemo.api import ConfigError

_LEAST_HOURS = 1 / 60
"""Of less no slope is told: what a page more or less makes of it would be hundreds of MiB an hour."""


class Usage(NamedTuple):
    """What a process holds at one moment."""

    at_hours: float
    resident_mib: float
    descriptors: int
    threads: int


class ProcessUsage:
    """Samples of one process, from /proc.

    Args:
        process: Its number; this process by default.

    Raises:
        ConfigError: This system tells nothing of its processes there.
    """

    def __init__(self, process: int | None = None) -> None:
        if not Path("/proc/self/statm").exists():
            raise ConfigError("this system tells no memory of its processes in /proc", "run it on Linux")
        self._process = os.getpid() if process is None else process
        self._start_s = time.monotonic()
        self.samples: list[Usage] = []

    def look(self, at_hours: float | None = None) -> Usage:
        """Take a sample; `at_hours` is its place on the time axis, hours of the clock by default."""
        folder = Path(f"/proc/{self._process}")
        pages = int((folder / "statm").read_text().split()[1])
        hours = (time.monotonic() - self._start_s) / 3600 if at_hours is None else at_hours
        mib = pages * os.sysconf("SC_PAGE_SIZE") / 2**20
        found = Usage(hours, mib, len(os.listdir(folder / "fd")), len(os.listdir(folder / "task")))
        self.samples.append(found)
        return found

    def told(self, settled_hours: float) -> dict[str, object]:
        """Tell how memory climbs after `settled_hours` (caches are full by then), and the rest at its extremes.

        No slope is told of less than a minute.
        """
        settled = [sample for sample in self.samples if sample.at_hours >= settled_hours] or self.samples[-1:]
        hours, mib = np.array([(sample.at_hours, sample.resident_mib) for sample in settled]).T
        first, last = settled[0], settled[-1]
        is_long = len(settled) > 2 and last.at_hours - first.at_hours >= _LEAST_HOURS
        slope = round(float(np.polyfit(hours, mib, 1)[0]), 3) if is_long else None
        return {
            "settled_hours": round(settled_hours, 3),
            "hours_after": round(last.at_hours - first.at_hours, 3),
            "memory_first_mib": round(first.resident_mib, 1),
            "memory_last_mib": round(last.resident_mib, 1),
            "memory_peak_mib": round(float(mib.max()), 1),
            "memory_slope_mib_per_hour": slope,
            "descriptors": _range([sample.descriptors for sample in settled]),
            "threads": _range([sample.threads for sample in settled]),
        }


def _range(counts: list[int]) -> str:
    return f"{min(counts)}-{max(counts)}" if min(counts) < max(counts) else str(counts[0])
