"""`rtemo bench compare`: two runs beside each other."""

from typing import TYPE_CHECKING

import click

from rtemo.cli.options import NamedPath, Number

if TYPE_CHECKING:
    from pathlib import Path

    from rtemo.cli.bench.comparison import Compared


@click.command("compare")
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
def command(before: "Path", after: "Path", tolerance: float, as_json: bool) -> int:
    """Put two runs with --json beside each other: each figure of A and of B, and their ratio.

    Runs are of `rtemo bench` itself, or of its commands latency, capacity, kernels and soak, several in one file, too.
    The exit status is 1 when B exceeds A by more than the tolerance in what is a ratio within one run: the median tick,
    its processor time, the work of a lane and the hop per stream carried, by a yardstick (a job of NumPy) timed in
    turns with them, and the time of a job by that of its reference; or in memory. The other figures hang on what else
    the machine does, and are only shown.
    """
    import msgspec

    from rtemo.cli.bench import comparison
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
    from rtemo.cli.view.console import plain_console, plain_table

    console = plain_console()
    of = ""
    table = plain_table(("", before, after, "ratio", ""))
    for one in found:
        if one.of != of:
            of = one.of
            table.add_row(of)
        values = (f"{value:{',.0f' if value >= 100 else '.3g'}} {one.unit}".rstrip() for value in one.values)
        ratio = f"{one.ratio:.2f} " if one.is_judged else f"({one.ratio:.2f})"
        table.add_row(f"  {one.name}", *values, ratio, "! worse" if one in worse else "")
    table.columns[0].justify = "left"
    console.print(table)
    console.print("\nin brackets: hangs on what else the machine does, and is not judged", style="dim", highlight=False)
