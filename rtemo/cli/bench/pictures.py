"""Pictures of what was measured: histograms of latency, and the curve of capacity."""

import math
from collections.abc import Sequence

from rtemo.cli.bench.capacity_search import Capacity
from rtemo.cli.bench.distribution import Distribution
from rtemo.cli.bench.live import LiveCost
from rtemo.cli.bench.plot import MOST_SERIES, Axis, Mark, Panel, Series, plot
from rtemo.cli.bench.streams_option import in_words
from rtemo.cli.view.numbers import micros

_PER_OCTAVE = 4


def latency_picture(costs: Sequence[LiveCost], notes: Sequence[str]) -> str:
    """Draw how long ticks took and how old events were, as histograms on a logarithmic axis of time.

    Args:
        costs: Of each number of streams; the first four are drawn.
        notes: On what machine, by which command, with which chain.
    """
    shown = [(hue, cost) for hue, cost in enumerate(costs[:MOST_SERIES])]
    found = [one for _, cost in shown for one in (cost.tick, cost.event_age) if one.count]
    edges = [edge for one in found for edge in (one.bins[0].from_us, one.bins[-1].to_us)] or [1e3, 1e4]
    low, high = 10.0 ** math.floor(math.log10(max(min(edges), 1.0))), 10.0 ** math.ceil(math.log10(max(edges)))
    hop = Mark(f"{costs[0].hop_us / 1e3:g} ms: a hop", costs[0].hop_us / 1e3)
    panels = []
    for title, unit, field, marks in (
        ("Time of a tick", "ticks", "tick", [hop]),
        ("From audio in to event out", "events", "event_age", []),
    ):
        series = [Series(_named(c, getattr(c, field)), _steps(getattr(c, field)), "area", hue=hue) for hue, c in shown]
        most = max((share for one in series for _, share in one.points), default=1.0) * 1.1
        panels.append(Panel(title, Axis(f"share of {unit}, %", 0.0, most), series, marks))
    axis = Axis("time, ms", low / 1e3, high / 1e3, is_log=True)
    return plot("Latency of live streams", notes, axis, panels)


def capacity_picture(found: Capacity, notes: Sequence[str]) -> str:
    """Draw time of a tick and share of late ones over the number of streams.

    Args:
        found: What was measured.
        notes: On what machine, by which command, with which chain.
    """
    costs = found.curve
    ticks = [Series("p50", [(c.streams, c.tick_p50_us / 1e3) for c in costs], has_dots=True),
             Series("p99", [(c.streams, c.tick_p99_us / 1e3) for c in costs], has_dots=True, hue=1)]  # fmt: skip
    late = [Series("late ticks", [(c.streams, 100 * c.late_share) for c in costs], has_dots=True, hue=2)]
    hop_ms = found.hop_us / 1e3
    top_ms = max(hop_ms, *(c.tick_p99_us / 1e3 for c in costs)) * 1.15
    top_percent = max(1.0, *(100 * c.late_share for c in costs)) * 1.1
    kept = [Mark(in_words(found.streams), found.streams)] if found.streams else []
    panels = [
        Panel("Time of a tick", Axis("time, ms", 0.0, top_ms), ticks, [Mark("a hop", hop_ms, is_across=True), *kept]),
        Panel("Ticks that ended late", Axis("share, %", 0.0, top_percent), late, kept),
    ]
    most = max(c.streams for c in costs)
    axis = Axis("live streams", 0.0, most * 1.05)
    return plot("Capacity: live streams on this machine", notes, axis, panels)


def _named(cost: LiveCost, one: Distribution) -> str:
    figures = {"p50": one.p50_us, "p99": one.p99_us, "p99.9": one.p999_us}
    told = ", ".join(f"{name} {micros(us)}" for name, us in figures.items())
    return f"{in_words(cost.streams)}: {told}, of {one.count:,}"


def _steps(one: Distribution) -> list[tuple[float, float]]:
    """Give the outline of a histogram, in ms and percent, with bins of a quarter of an octave."""
    coarse: dict[int, int] = {}
    for each in one.bins:
        middle_us = max((each.from_us + each.to_us) / 2, 1.0)
        index = math.floor(math.log2(middle_us) * _PER_OCTAVE)
        coarse[index] = coarse.get(index, 0) + each.count
    points: list[tuple[float, float]] = []
    for index in range(min(coarse, default=0), max(coarse, default=-1) + 1):
        share = 100.0 * coarse.get(index, 0) / one.count
        points += [(2.0 ** ((index + side) / _PER_OCTAVE) / 1e3, share) for side in (0, 1)]
    return [(points[0][0], 0.0), *points, (points[-1][0], 0.0)] if points else []
