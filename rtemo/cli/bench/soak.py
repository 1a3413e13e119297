"""`rtemo bench soak`: memory, descriptors and threads over a long run."""

from typing import TYPE_CHECKING

import click

from rtemo.cli.chatter import without_chatter
from rtemo.cli.options import Number, configuring, load, own_process
from rtemo.cli.stopping import term_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Callable


@click.command("soak")
@click.option("--minutes", type=Number(min=0.0), default=60.0, show_default=True, help="In real time.")
@click.option("--calls", type=click.IntRange(1, 2048), default=16, show_default=True, help="At once.")
@click.option("--opens", type=click.IntRange(0), default=0, metavar="N", help="Calls to open and end before.")
@click.option("--freewheel", is_flag=True, help="Minutes of the engine's time, as fast as the machine allows.")
@click.option("--report-minutes", type=Number(min=0.01), default=10.0, show_default=True, help="Between two reports.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per report; the last is the whole.")
@configuring
@without_chatter
def command(
    minutes: float,
    calls: int,
    opens: int,
    freewheel: bool,
    report_minutes: float,
    as_json: bool,
    config_path: str | None,
    settings: tuple[str, ...],
    chain: str | None,
) -> None:
    """Let calls come and go for a long time and watch memory, descriptors, threads and counters.

    `rtemo serve` runs as a process, with calls of two minutes from clients of its own over its sockets, and a
    subscriber. --freewheel has calls of 90 s in this process instead, without sockets: a day of audio in some hours.
    Memory is told from when caches are full, its slope in MiB per hour. Reports come now and then, so that a run that
    is broken off has said something, too.
    """
    if freewheel and opens:
        raise click.UsageError("--opens is for a server, which --freewheel has none of; give one of the two")
    if not minutes and (freewheel or not opens):
        raise click.UsageError("--minutes 0 leaves nothing to do; give some, or --opens")
    report = _reporter(as_json)
    config = load(config_path, settings, chain)  # a mistake in it is said here, and not by another process
    with term_as_interrupt():
        if freewheel:
            from rtemo.cli.bench.soak_freewheel import freewheel as run_freewheel

            config = own_process(config, capacity=max(calls, config.engine.capacity))
            run_freewheel(config, minutes, calls, report_minutes * 60, report)
        else:
            from rtemo.cli.bench import soak_live

            words = ["--config", config_path] if config_path is not None else []
            words += [word for setting in settings for word in ("--set", setting)]
            words += ["--chain", chain] if chain is not None else []
            soak_live.run(words, minutes, calls, opens, report_minutes * 60, report)


def _reporter(as_json: bool) -> "Callable[[dict[str, object]], None]":
    def report(told: dict[str, object]) -> None:
        if as_json:
            from rtemo.cli.bench.told import tell

            tell("soak", told)
            return
        width = max(map(len, told))
        for name, value in told.items():
            click.echo(f"{name.replace('_', ' '):<{width}}  {_phrased(value)}")
        click.echo("")

    return report


def _phrased(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in value.items() if count) or "none"
    return "too short a run to tell" if value is None else str(value)
