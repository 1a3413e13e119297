"""`rtemo bench capacity`: how many live streams this machine carries."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.bench.streams_option import MOST_STREAMS, in_words
from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import NamedPath, Number, configured, own_process

if TYPE_CHECKING:
    from rtemo.cli.bench.capacity_search import Capacity, Trial
    from rtemo.config import Config


@click.command("capacity")
@click.option("--seconds", type=Number(min=1), default=20.0, show_default=True, help="For each number of streams.")
@click.option("--fewest", type=click.IntRange(1, MOST_STREAMS), default=16, show_default=True, help="To begin with.")
@click.option("--most", type=click.IntRange(1, MOST_STREAMS), default=1024, show_default=True, help="Never more.")
@click.option("--within", type=Number(0, 1), default=0.05, show_default=True, help="Share to be exact to.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, with the curve.")
@click.option("--svg", type=NamedPath(), metavar="FILE", help="Draw the curve there.")
@configured
@without_chatter
def command(
    config: "Config", seconds: float, fewest: int, most: int, within: float, as_json: bool, svg: Path | None
) -> int:
    """Find the most live streams whose ticks end in time, with nothing skipped and nothing given up.

    Streams of voices come in real time, in packets of 20 ms. Twice as many are tried each time until 99 of 100 ticks
    do not end within a hop, audio is skipped or overrun, or the engine gives something up; then numbers in between.
    Everybody speaks for two thirds of the time, which is more than people in calls do. The status is 1 if not even the
    fewest are carried.
    """
    from rtemo.cli.bench.capacity_search import Capacity, search, trial_of
    from rtemo.cli.bench.live import run_live
    from rtemo.cli.bench.machine import this_machine
    from rtemo.cli.bench.told import tell, write_picture
    from rtemo.cli.main import EXIT_FAILED, say
    from rtemo.cli.outputs import check_outputs

    if most < fewest:
        raise click.UsageError(f"--most got {most}, which is less than --fewest ({fewest})")
    check_outputs([], {"--svg": svg})
    machine, config = this_machine(), own_process(config)
    trials: dict[int, Trial] = {}
    hop_us = 0.0
    for count in search(lambda tried: not trials[tried].failed, fewest, most, within):
        cost = run_live(config, count, seconds)
        trials[count], hop_us = trial_of(cost), cost.hop_us
        failed = ", ".join(trials[count].failed)
        say(f"{in_words(count)}: {f'too many ({failed})' if failed else 'carried'}")
    carried = max((count for count, trial in trials.items() if not trial.failed), default=0)
    found = Capacity(
        streams=carried,
        is_most=any(trial.failed for trial in trials.values()),
        hop_us=hop_us,
        curve=tuple(trials[count] for count in sorted(trials)),
    )
    if as_json:
        tell("capacity", found)
    else:
        _print(found)
    if svg is not None:
        from rtemo.cli.bench.pictures import capacity_picture

        notes = (str(machine), f"rtemo bench capacity --seconds {seconds:g}", f"chain {', '.join(config.chain)}")
        write_picture(svg, capacity_picture(found, notes))
    return 0 if carried else EXIT_FAILED


def _print(found: "Capacity") -> None:
    from rtemo.cli.view.console import plain_console, plain_table
    from rtemo.cli.view.numbers import micros

    console = plain_console()
    table = plain_table(("streams", "tick p50", "p99", "late", "skipped", "concealed", ""))
    for one in found.curve:
        table.add_row(
            str(one.streams),
            micros(one.tick_p50_us),
            micros(one.tick_p99_us),
            f"{one.late_share:.2%}",
            str(one.skipped_hops),
            str(one.concealed_hops),
            "! too many" if one.failed else "✓",
        )
    console.print(table)
    at_least = "" if found.is_most else "at least "
    console.print(f"\n{at_least}{found.streams} live stream{'' if found.streams == 1 else 's'}", highlight=False)
