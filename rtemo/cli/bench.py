"""`rtemo bench`: what the chain costs on this machine."""

from typing import TYPE_CHECKING

import click

from rtemo.cli.options import NamedPath, Number, configured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from rich.table import Table

    from rtemo.cli.comparison import Compared
    from rtemo.cli.cost import ChainCost
    from rtemo.config import Config


@click.group("bench", invoke_without_command=True)
@click.option("--streams", default="1,16,64,256", show_default=True, help="Numbers of streams to measure.")
@click.option("--seconds", type=Number(min=1), default=10.0, show_default=True, help="Audio per stream.")
@click.option("--audio", "with_audio", is_flag=True, help="As if somebody took the processed audio of every stream.")
@click.option(
    "--speech",
    "speech_share",
    type=Number(0.0, 1.0),
    default=1.0,
    show_default=True,
    metavar="SHARE",
    help="Share of its time in which a voice speaks.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per number of streams, and per lane.")
@configured
@click.pass_context
def command(
    context: click.Context,
    config: "Config",
    streams: str,
    seconds: float,
    with_audio: bool,
    speech_share: float,
    as_json: bool,
) -> None:
    """Measure the cost of the chain: time per tick, per plugin and per stream, and streams per core.

    Synthetic voices go through the whole chain on one thread, faster than real time; what is timed is the driver's
    own work on every hop. Audio is only processed where somebody wants it, so without --audio only what events need.
    In a call each party speaks for half of the time or less: --speech 0.5. The last column is processor time.
    Worker lanes, whose work is done beside the ticks, are measured by themselves.
    """
    if context.invoked_subcommand is not None:
        return
    import msgspec

    from rtemo.cli.cost import measure, measure_lanes

    counts = _counts(streams)
    costs: list[ChainCost] = []
    for count in counts:
        costs.append(measure(config, count, seconds, with_audio=with_audio, speech_share=speech_share))
        if as_json:
            click.echo(msgspec.json.encode(costs[-1]))
    lanes = measure_lanes(config)
    if as_json:
        for lane in lanes:
            click.echo(msgspec.json.encode(lane))
        return
    _print(config, costs)
    for lane in lanes:
        click.echo(
            f"\nlane {lane.lane}, beside the ticks: {lane.ms_per_s:.1f} ms per second of speech and stream, "
            f"{lane.streams_per_core} streams a core that speak all the time"
        )


@command.command("compare")
@click.argument("before", metavar="A.json", type=NamedPath())
@click.argument("after", metavar="B.json", type=NamedPath())
@click.option(
    "--tolerance",
    type=Number(min=0.0),
    default=0.1,
    show_default=True,
    metavar="SHARE",
    help="By which a figure of B may exceed that of A.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object per figure.")
def compare(before: "Path", after: "Path", tolerance: float, as_json: bool) -> int:
    """Put two runs of `rtemo bench --json` beside each other: each figure of A and of B, and their ratio.

    The exit status is 1 when B exceeds A by more than the tolerance in the median tick, the processor time of a tick,
    the memory, or the work of a lane. The other figures hang on what else the machine does, and are only shown.
    """
    import msgspec

    from rtemo.cli import comparison
    from rtemo.cli.main import EXIT_FAILED

    found = comparison.compare(comparison.read_run(before), comparison.read_run(after))
    worse = [one for one in found if one.is_judged and one.ratio > 1.0 + tolerance]
    if as_json:
        for one in found:
            is_worse = one in worse
            click.echo(msgspec.json.encode({**one._asdict(), "ratio": one.ratio, "is_worse": is_worse}))
    else:
        _print_compared(found, worse, before.name, after.name)
    return EXIT_FAILED if worse else 0


def _print_compared(found: "list[Compared]", worse: "list[Compared]", before: str, after: str) -> None:
    from rtemo.cli.view.console import plain_console

    console = plain_console()
    of = ""
    table = _table(("", before, after, "ratio", ""))
    for one in found:
        if one.of != of:
            of = one.of
            table.add_row(of)
        values = (f"{value:,.0f} {one.unit}" if value >= 100 else f"{value:.3g} {one.unit}" for value in one.values)
        ratio = f"{one.ratio:.2f} " if one.is_judged else f"({one.ratio:.2f})"
        table.add_row(f"  {one.name}", *values, ratio, "! worse" if one in worse else "")
    table.columns[0].justify = "left"
    console.print(table)
    console.print("\nin brackets: hangs on what else the machine does, and is not judged", style="dim", highlight=False)


def _counts(text: str) -> list[int]:
    try:
        counts = [int(part) for part in text.split(",")]
    except ValueError:
        counts = []
    if not counts or min(counts) < 1 or max(counts) > 4096:
        raise click.UsageError(f"--streams got {text!r}, expected numbers from 1 to 4096 with commas between them")
    return counts


def _print(config: "Config", costs: "list[ChainCost]") -> None:
    from rtemo.cli.view.console import plain_console
    from rtemo.cli.view.numbers import micros

    console = plain_console()
    first = costs[0]
    chain = " → ".join(config.chain) or "empty chain"
    console.print(f"{chain}: {first.latency_ms:.0f} ms latency, ready in {first.ready_s:.1f} s", highlight=False)
    console.print(
        f"{first.audio_s:.0f} s of audio per stream, {costs[-1].peak_memory_mib:.0f} MiB at the peak\n", highlight=False
    )
    table = _table(("streams", "tick p50", "p99", "per stream", "streams/core", "", "cpu per stream"))
    for cost in costs:
        table.add_row(
            str(cost.streams),
            micros(cost.tick_p50_us),
            micros(cost.tick_p99_us),
            micros(cost.tick_mean_us / cost.streams),
            str(cost.streams_per_core),
            "✓" if cost.keeps_up else "! late",
            micros(cost.tick_cpu_us / cost.streams),
        )
    console.print(table, "")
    table = _table(("BUSY of", "", *(f"{cost.streams}" for cost in costs)))
    for index, plugin in enumerate(first.plugins):
        table.add_row(plugin.name, "p50", *(micros(cost.plugins[index].busy_p50_us) for cost in costs))
        table.add_row("", "p99", *(micros(cost.plugins[index].busy_p99_us) for cost in costs))
    console.print(table)


def _table(heads: "Sequence[str]") -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table
