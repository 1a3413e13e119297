"""`rtemo bench latency`: how long ticks take, and how old events are, of live streams."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.bench.streams_option import in_words, numbers_of_streams
from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import NamedPath, Number, configured, own_process

if TYPE_CHECKING:
    from rtemo.cli.bench.live import LiveCost
    from rtemo.config import Config


@click.command("latency")
@click.option("--streams", default="1,16", show_default=True, help="Numbers of streams, one after the other.")
@click.option("--minutes", type=Number(min=0.01), default=1.0, show_default=True, help="For each number of streams.")
@click.option("--packet-ms", type=Number(1, 200), default=10.0, show_default=True, help="Sound that comes at once.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per number of streams, with all bins.")
@click.option("--svg", type=NamedPath(), metavar="FILE", help="Draw the histograms there.")
@configured
@without_chatter
def command(config: "Config", streams: str, minutes: float, packet_ms: float, as_json: bool, svg: Path | None) -> None:
    """Measure live streams at the pace of real time: ticks, and how old events are.

    Voices come in packets, the whole chain runs, and what is told is what the engine counted: how long ticks took
    (p50, p99, p99.9), how old events were when they went out (from the capture of the last sample that they are about),
    ticks that ended late, hops that were skipped and concealed. The first seconds are not counted.
    """
    from rtemo.cli.bench.live import run_live
    from rtemo.cli.bench.machine import this_machine
    from rtemo.cli.bench.told import tell, write_picture
    from rtemo.cli.outputs import check_outputs

    counts = numbers_of_streams(streams)
    check_outputs([], {"--svg": svg})
    machine, config = this_machine(), own_process(config)
    costs = []
    for count in counts:
        costs.append(run_live(config, count, minutes * 60, packet_s=packet_ms / 1e3, prefill_s=0.0))
        if as_json:
            tell("latency", costs[-1])
    if not as_json:
        _print(costs)
    if svg is not None:
        from rtemo.cli.bench.pictures import latency_picture

        asked = f"rtemo bench latency --streams {streams} --minutes {minutes:g} --packet-ms {packet_ms:g}"
        notes = (str(machine), asked, f"chain {', '.join(config.chain)}")
        write_picture(svg, latency_picture(costs, notes))


def _print(costs: "list[LiveCost]") -> None:
    from rtemo.cli.view.console import plain_console, plain_table
    from rtemo.cli.view.numbers import micros

    console = plain_console()
    for what, name in (("tick", "tick"), ("event_age", "audio in to event out")):
        table = plain_table((name, "n", "p50", "p99", "p99.9", "longest"))
        for cost in costs:
            one = getattr(cost, what)
            figures = (one.p50_us, one.p99_us, one.p999_us, one.max_us)
            table.add_row(in_words(cost.streams), f"{one.count}", *(micros(figure) for figure in figures))
        console.print(table, "")
    kinds = sorted({kind for cost in costs for kind in cost.events})
    table = plain_table(("p50, p99 of events", *(in_words(cost.streams) for cost in costs)))
    for kind in kinds:
        ages = (cost.events.get(kind) for cost in costs)
        table.add_row(kind, *("" if age is None else f"{micros(age.p50_us)}, {micros(age.p99_us)}" for age in ages))
    console.print(table, "")
    table = plain_table(("counted", *(in_words(cost.streams) for cost in costs)))
    for field in ("xruns", "skipped_hops", "concealed_hops", "overrun_samples", "dropped_events"):
        table.add_row(field.replace("_", " "), *(f"{getattr(cost, field)}" for cost in costs))
    console.print(table)
