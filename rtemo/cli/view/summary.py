"""The summary printed when listening ends."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from rtemo.api import Health
from rtemo.api.emotions import as_told
from rtemo.cli.view.numbers import clock, counted, counted_sinks, signed
from rtemo.cli.view.plain import clean
from rtemo.cli.view.state import StreamView, ViewState

_WIDE_CELLS = 110


def print_summary(console: Console, state: ViewState, health: Health, wall_s: float) -> None:
    """Print one row per stream, then what went wrong.

    Args:
        console: Where to.
        state: What was heard.
        health: Final counters of the session.
        wall_s: How long it ran.
    """
    if state.streams:
        is_wide = console.width >= _WIDE_CELLS
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("stream", no_wrap=True, max_width=40 if is_wide else 22)
        for name in ("heard", "speech", "turns"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("emotion", no_wrap=True)
        for name in ("arousal", "valence"):
            table.add_column(name, justify="right", no_wrap=True)
        for stream in state.streams.values():
            table.add_row(*_row(stream, 3 if is_wide else 1))
        console.print(table)
    who = _who([stream.tally.rated_by for stream in state.streams.values()])
    if who:
        console.print(Text(f"emotion told by {who}"), soft_wrap=True)
    for stream in state.streams.values():
        for detail in stream.tally.quality.values():
            console.print(Text(f"! {clean(stream.call)}/{clean(stream.channel)}: {clean(detail)}"), soft_wrap=True)
    for fault in state.faults:
        console.print(Text(f"! {clean(fault.where)} {fault.action}: {clean(fault.problem)}"), soft_wrap=True)
    trouble = ", ".join(filter(None, (counted(health.counters, is_explained=True), counted_sinks(health.sinks))))
    heard_s = sum(stream.position_s for stream in state.streams.values())
    speed = (
        f", {heard_s / wall_s:.0f} times real time" if wall_s > 0 and heard_s / wall_s > 2 * len(state.streams) else ""
    )
    console.print(Text(f"{'! ' + trouble if trouble else '✓ nothing lost'}; {wall_s:.1f} s{speed}"))


def _who(rated_by: Sequence[Mapping[str, float]]) -> str:
    """Name the plugins that have rated turns, with their shares of the speech where there are several."""
    total: dict[str, float] = {}
    for plugin, rated_s in (item for one in rated_by for item in one.items()):
        total[plugin] = total.get(plugin, 0.0) + rated_s
    if len(total) < 2:
        return ", ".join(map(clean, total))
    ranked = sorted(total.items(), key=lambda item: -item[1])
    return ", ".join(f"{clean(plugin)} ({rated_s / sum(total.values()):.0%})" for plugin, rated_s in ranked)


def _row(stream: StreamView, labels: int) -> tuple[str, ...]:
    tally = stream.tally
    ranked = sorted(as_told(tally.emotion).items(), key=lambda item: -item[1])[:labels]
    emotion = ", ".join(f"{label} {share:.0%}" for label, share in ranked)
    emotion = emotion or ("timing only" if stream.is_timed_only else "none rated")
    return (
        f"{clean(stream.call)}/{clean(stream.channel)}",
        clock(stream.position_s),
        f"{tally.speech_s:.1f} s",
        f"{tally.turns}",
        emotion,
        "" if tally.arousal is None else signed(tally.arousal),
        "" if tally.valence is None else signed(tally.valence),
    )
