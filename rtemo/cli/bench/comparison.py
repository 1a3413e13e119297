"""Comparison: the figures of two runs of `rtemo bench … --json`, one beside the other.

What is judged are ratios within one run, as of a tick to the yardstick that was timed in turns with it, or of a job to
its reference: they hang on the work, and little on the machine and on what else it does.
"""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from rtemo.api import ConfigError
from rtemo.cli.bench.capacity_search import Capacity
from rtemo.cli.bench.cost import ChainCost, LaneCost
from rtemo.cli.bench.live import LiveCost
from rtemo.cli.bench.timing import Timed
from rtemo.io.wire import UNREADABLE

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
    """Read what `rtemo bench --json`, or one of its commands with --json, has written.

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
            run |= _read(told if isinstance(told, dict) else {})
        except UNREADABLE as error:
            raise ConfigError(f"line {number} of {str(path)!r} is none of `rtemo bench` ({error})", _MEND) from None
    if not run:
        raise ConfigError(f"{str(path)!r} holds no run", _MEND)
    return run


class _Soaked(msgspec.Struct):
    """What is compared of a long run."""

    what: str
    memory_last_mib: float
    memory_slope_mib_per_hour: float | None


def _read(told: dict[str, Any]) -> Run:
    """Read one line.

    Raises:
        msgspec.ValidationError: It is no result, or one that is not compared.
    """
    readers: dict[str, Callable[[], Run]] = {
        "": lambda: (
            _of_lane(msgspec.convert(told, LaneCost)) if "lane" in told else _of_chain(msgspec.convert(told, ChainCost))
        ),
        "latency": lambda: _of_live(msgspec.convert(told, LiveCost)),
        "capacity": lambda: _of_capacity(msgspec.convert(told, Capacity)),
        "kernels": lambda: _of_job(msgspec.convert(told, Timed)),
        "soak": lambda: _of_soak(msgspec.convert(told, _Soaked)),
    }
    reader = readers.get(str(told.get("bench", "")))
    if reader is None:
        raise msgspec.ValidationError(f"{told['bench']!r} is not compared; for chains there is `rtemo eval --against`")
    return reader()


def _in_yardsticks(of: str, name: str, value: float, unit: str, yardstick_us: float) -> Run:
    """Give a figure, and it in yardsticks if there is one, which then is judged in its place."""
    run: Run = {(of, name): Measured(value, unit, not yardstick_us)}
    if yardstick_us:
        us = value * {"µs": 1.0, "ms": 1e3}[unit]
        run[of, f"{name} / yardstick"] = Measured(us / yardstick_us, "", True)
    return run


def _of_chain(cost: ChainCost) -> Run:
    share = "" if cost.speech_share == 1.0 else f", {cost.speech_share:.0%} speech"
    of = f"{cost.streams} streams{share}"
    run = _in_yardsticks(of, "tick p50", cost.tick_p50_us, "µs", cost.yardstick_us)
    run[of, "tick p99"] = Measured(cost.tick_p99_us, "µs", False)
    run |= _in_yardsticks(of, "cpu of a tick", cost.tick_cpu_us, "µs", cost.yardstick_us)
    run[of, "memory"] = Measured(cost.peak_memory_mib, "MiB", True)
    run[of, "ready"] = Measured(cost.ready_s, "s", False)
    return run | {(of, f"{plugin.name} p50"): Measured(plugin.busy_p50_us, "µs", False) for plugin in cost.plugins}


def _of_lane(cost: LaneCost) -> Run:
    return _in_yardsticks(f"lane {cost.lane}", "work per s of speech", cost.ms_per_s, "ms", cost.yardstick_us)


def _of_live(cost: LiveCost) -> Run:
    of = f"{cost.streams} live streams"
    run = _in_yardsticks(of, "tick p50", cost.tick.p50_us, "µs", cost.yardstick_us)
    for name, value in (("tick p99", cost.tick.p99_us), ("tick p99.9", cost.tick.p999_us)):
        run[of, name] = Measured(value, "µs", False)
    run[of, "late ticks"] = Measured(100 * cost.late_share, "%", False)
    return run | {(of, f"{kind} p50"): Measured(ages.p50_us / 1e3, "ms", False) for kind, ages in cost.events.items()}


def _of_capacity(found: Capacity) -> Run:
    yardstick_us = statistics.median(trial.yardstick_us for trial in found.curve) if found.curve else 0.0
    per_stream_us = found.hop_us / max(found.streams, 0.5)
    return _in_yardsticks("capacity", "hop per stream carried", per_stream_us, "µs", yardstick_us)


def _of_job(one: Timed) -> Run:
    of = f"{one.job}, {one.rows} rows"
    return {
        (of, f"time / {one.reference}"): Measured(one.us / one.reference_us, "", True),
        (of, "time"): Measured(one.us, "µs", False),
    }


def _of_soak(one: _Soaked) -> Run:
    run: Run = {(f"soak, {one.what}", "memory"): Measured(one.memory_last_mib, "MiB", True)}
    if one.memory_slope_mib_per_hour is not None:
        run[f"soak, {one.what}", "slope an hour"] = Measured(one.memory_slope_mib_per_hour, "MiB", False)
    return run


def compare(before: Run, after: Run) -> list[Compared]:
    """Put figures that both runs have beside each other.

    Raises:
        ConfigError: There are none.
    """
    found = [
        Compared(*key, was.unit, was.value, after[key].value, was.is_judged or after[key].is_judged)
        for key, was in before.items()
        if key in after
    ]
    if not found:
        raise ConfigError("the two runs have nothing in common", "measure both by one command with the same options")
    return found
