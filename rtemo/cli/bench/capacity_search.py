"""Capacity: the most live streams that are carried, and the curve on the way to them."""

from collections.abc import Callable, Iterator

import msgspec

from rtemo.cli.bench.live import LiveCost


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """How one number of streams fared."""

    streams: int
    seconds: float
    tick_p50_us: float
    tick_p99_us: float
    late_share: float
    """Share of ticks that ended after the next was due."""
    event_age_p99_us: float
    xruns: int
    skipped_hops: int
    concealed_hops: int
    overrun_samples: int
    given_up: tuple[str, ...]
    turns_ended: int
    turns_told_by: dict[str, int]
    """Who told the emotion of how many turns: a large model takes as many as there is time for."""
    cpu_cores: float
    yardstick_us: float
    """Time of a fixed job of NumPy meanwhile."""
    failed: tuple[str, ...]
    """What speaks against it: `tick p99`, `skipped`, `overrun`, `given up`; nothing where the streams are carried."""


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """How many live streams are carried."""

    streams: int
    """0 where not even the fewest that were tried are."""
    is_most: bool
    """Whether more were tried and failed."""
    hop_us: float
    curve: tuple[Trial, ...]
    """What was measured, by the number of streams."""


def trial_of(cost: LiveCost) -> Trial:
    """Judge a run."""
    checks = {
        "tick p99": cost.tick.p99_us >= cost.hop_us,
        "skipped": cost.skipped_hops > 0,
        "overrun": cost.overrun_samples > 0,
        "given up": bool(cost.given_up),
    }
    return Trial(
        streams=cost.streams,
        seconds=cost.seconds,
        tick_p50_us=cost.tick.p50_us,
        tick_p99_us=cost.tick.p99_us,
        late_share=cost.late_share,
        event_age_p99_us=cost.event_age.p99_us,
        xruns=cost.xruns,
        skipped_hops=cost.skipped_hops,
        concealed_hops=cost.concealed_hops,
        overrun_samples=cost.overrun_samples,
        given_up=cost.given_up,
        turns_ended=cost.turns_ended,
        turns_told_by=cost.turns_told_by,
        cpu_cores=cost.cpu_cores,
        yardstick_us=cost.yardstick_us,
        failed=tuple(name for name, is_so in checks.items() if is_so),
    )


def search(is_carried: Callable[[int], bool], fewest: int, most: int, within: float) -> Iterator[int]:
    """Give the numbers of streams to try: twice as many each time until they are too many, then ever closer.

    Args:
        is_carried: Says of a number that was given whether it was carried.
        fewest: To begin with.
        most: Never more.
        within: Share by which the answer may lie below what is carried.
    """
    good, bad = 0, most + 1
    count = min(fewest, most)
    while True:
        yield count
        if is_carried(count):
            good = count
        else:
            bad = count
        if good == most or bad - good <= max(1, int(within * good)):
            return
        count = min(2 * good, most) if bad > most and good else (good + bad) // 2
