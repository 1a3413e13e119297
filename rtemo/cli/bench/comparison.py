"""Comparison: the figures of two runs of `rtemo bench --json`, one beside the other."""

from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rtemo.api import ConfigError
from rtemo.cli.bench.cost import ChainCost, LaneCost

_MEND = "write both with `rtemo bench --json > FILE`"


class Measured(NamedTuple):
    """A figure of one run; less is better."""

    value: float
    unit: str
    is_judged: bool
    """Whether it hangs on the work alone; what else the machine does shows in the others."""


class Compared(NamedTuple):
    """A figure of both runs."""

    of: str
    name: str
    unit: str
    before: float
    after: float
    is_judged: bool

    @property
    def values(self) -> tuple[float, float]:
        """What was, and what is now."""
        return self.before, self.after

    @property
    def ratio(self) -> float:
        """After by before; infinity where there was nothing before."""
        if self.before:
            return self.after / self.before
        return 1.0 if not self.after else float("inf")


Run = dict[tuple[str, str], Measured]
"""What was measured, by what it is of and by name."""


def read_run(path: Path) -> Run:
    """Read what `rtemo bench --json` has written.

    Raises:
        ConfigError: The file cannot be read, or holds something else.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be read ({error.strerror})", _MEND) from None
    run: Run = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            told: Any = msgspec.json.decode(line)
            is_lane = isinstance(told, dict) and "lane" in told
            run |= _of_lane(msgspec.convert(told, LaneCost)) if is_lane else _of_chain(msgspec.convert(told, ChainCost))
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ConfigError(f"line {number} of {str(path)!r} is none of `rtemo bench` ({error})", _MEND) from None
    if not run:
        raise ConfigError(f"{str(path)!r} holds no run", _MEND)
    return run


def _of_chain(cost: ChainCost) -> Run:
    share = "" if cost.speech_share == 1.0 else f", {cost.speech_share:.0%} speech"
    of = f"{cost.streams} streams{share}"
    run: Run = {
        (of, "tick p50"): Measured(cost.tick_p50_us, "µs", True),
        (of, "tick p99"): Measured(cost.tick_p99_us, "µs", False),
        (of, "cpu of a tick"): Measured(cost.tick_cpu_us, "µs", True),
        (of, "memory"): Measured(cost.peak_memory_mib, "MiB", True),
        (of, "ready"): Measured(cost.ready_s, "s", False),
    }
    return run | {(of, f"{plugin.name} p50"): Measured(plugin.busy_p50_us, "µs", False) for plugin in cost.plugins}


def _of_lane(cost: LaneCost) -> Run:
    return {(f"lane {cost.lane}", "work per s of speech"): Measured(cost.ms_per_s, "ms", True)}


def compare(before: Run, after: Run) -> list[Compared]:
    """Put figures that both runs have beside each other.

    Raises:
        ConfigError: There are none.
    """
    found = [
        Compared(*key, was.unit, was.value, after[key].value, was.is_judged)
        for key, was in before.items()
        if key in after
    ]
    if not found:
        raise ConfigError("the two runs have nothing in common", "measure both with the same --streams and --speech")
    return found
