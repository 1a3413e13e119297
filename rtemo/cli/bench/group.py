"""`rtemo bench`: what the chain costs on this machine, and the measurements that are commands of their own."""

from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from rtemo.cli.bench.streams_option import numbers_of_streams
from rtemo.cli.lazy import LazyGroup, Verb
from rtemo.cli.options import Number, configuring, load

if TYPE_CHECKING:
    from rtemo.cli.bench.cost import ChainCost
    from rtemo.config import Config

_MEASURE = "Measure"
BENCHES = {
    "latency": Verb("rtemo.cli.bench.latency", "Times of ticks and events of live streams.", _MEASURE),
    "capacity": Verb("rtemo.cli.bench.capacity", "How many live streams this machine carries.", _MEASURE),
    "kernels": Verb("rtemo.cli.bench.kernels", "Every DSP job beside NumPy or SciPy.", _MEASURE),
    "quality": Verb("rtemo.cli.bench.quality", "How well clips of your own are told.", _MEASURE),
    "soak": Verb("rtemo.cli.bench.soak", "Memory, descriptors and threads over a long run.", _MEASURE),
    "trace": Verb("rtemo.cli.trace", "When everything of a run was at work (also `rtemo trace`).", _MEASURE),
    "compare": Verb("rtemo.cli.bench.compare", "Two runs with --json beside each other.", "Compare"),
}


@click.group(
    "bench",
    cls=LazyGroup,
    verbs=BENCHES,
    elsewhere="what is not listed there needs a checkout of rtemo, whose bench/README.md has all of it",
    epilog="Peers, corpora, gateways and cards are measured from a checkout of rtemo: see its bench/README.md.",
    invoke_without_command=True,
)
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
@configuring
@click.pass_context
def command(
    context: click.Context,
    streams: str,
    seconds: float,
    with_audio: bool,
    speech_share: float,
    as_json: bool,
    config_path: str | None,
    settings: tuple[str, ...],
    chain: str | None,
) -> None:
    """Measure the cost of the chain: time per tick, per plugin and per stream, and streams per core.

    That is without a command: synthetic voices go through the whole chain on one thread, faster than real time; what
    is timed is the driver's own work on every hop. Audio is only processed where somebody wants it, so without --audio
    only what events need. In a call each party speaks for half of the time or less: --speech 0.5. The last column is
    processor time. Worker lanes, whose work is done beside the ticks, are measured by themselves.
    """
    if context.invoked_subcommand is not None:
        _refuse_misplaced(context)
        return
    import msgspec

    from rtemo.cli.bench.cost import measure, measure_lanes

    config = load(config_path, settings, chain)
    counts = numbers_of_streams(streams)
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


def _refuse_misplaced(context: click.Context) -> None:
    """Refuse options before a command, which would be of the group and so have no effect on it."""
    given = (parameter for parameter in context.command.params if parameter.name is not None)
    for parameter in given:
        if context.get_parameter_source(str(parameter.name)) is ParameterSource.COMMANDLINE:
            name = context.invoked_subcommand
            raise click.UsageError(f"{parameter.opts[0]} stands before {name!r}; options of a command stand after it")


def _print(config: "Config", costs: "list[ChainCost]") -> None:
    from rtemo.cli.view.console import plain_console, plain_table
    from rtemo.cli.view.numbers import micros

    console = plain_console()
    first = costs[0]
    chain = " → ".join(config.chain) or "empty chain"
    console.print(f"{chain}: {first.latency_ms:.0f} ms latency, ready in {first.ready_s:.1f} s", highlight=False)
    console.print(
        f"{first.audio_s:.0f} s of audio per stream, {costs[-1].peak_memory_mib:.0f} MiB at the peak\n", highlight=False
    )
    table = plain_table(("streams", "tick p50", "p99", "per stream", "of it cpu", "streams/core", ""))
    for cost in costs:
        table.add_row(
            str(cost.streams),
            micros(cost.tick_p50_us),
            micros(cost.tick_p99_us),
            micros(cost.tick_mean_us / cost.streams),
            micros(cost.tick_cpu_us / cost.streams),
            str(cost.streams_per_core),
            "✓" if cost.keeps_up else "! late",
        )
    console.print(table, "")
    table = plain_table(("BUSY of", "", *(f"{cost.streams}" for cost in costs)))
    for index, plugin in enumerate(first.plugins):
        table.add_row(plugin.name, "p50", *(micros(cost.plugins[index].busy_p50_us) for cost in costs))
        table.add_row("", "p99", *(micros(cost.plugins[index].busy_p99_us) for cost in costs))
    console.print(table)
