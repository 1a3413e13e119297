"""`rtemo bench kernels`: every DSP job beside NumPy or SciPy."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rtemo.cli.bench.timing import Timed


@click.command("kernels")
@click.option("--job", default="", metavar="TEXT", help="Only jobs whose names hold this text.")
@click.option("--repeats", type=click.IntRange(1, 10_000), default=40, show_default=True, help="Slices of 10 ms.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per job and number of rows.")
def command(job: str, repeats: int, as_json: bool) -> None:
    """Time every DSP job beside the same job in NumPy or SciPy, with the same state from hop to hop.

    Each job takes turns with its reference, so that the ratio of the two hangs little on what else the machine does.
    A row is a stream: times are those of one of them; the ratio is how many times as fast as its reference a job is.
    """
    from rtemo.cli.bench.timing import cases, timed
    from rtemo.cli.bench.told import tell
    from rtemo.cli.main import say
    from rtemo.cli.stopping import stop_if_told

    chosen, problem = cases(job)
    if problem:
        say(problem)
    if not chosen:
        raise click.UsageError(f"--job {job!r} is in the name of no job; without it all are measured")
    found = []
    for case in chosen:
        for rows in case.row_counts:
            stop_if_told()
            found.append(timed(case, rows, repeats))
            if as_json:
                tell("kernels", found[-1])
    if not as_json:
        _print(found)


def _print(found: "list[Timed]") -> None:
    from rtemo.cli.view.console import plain_console, plain_table

    table = plain_table(("job", "rows", "µs", "reference", "µs", "ratio"))
    for column in (0, 3):
        table.columns[column].justify = "left"
    for one in found:
        times = (f"{one.us:.2f}", one.reference.rpartition("signal.")[2], f"{one.reference_us:.2f}", f"{one.ratio:.1f}")
        table.add_row(one.job, str(one.rows), *times)
    plain_console().print(table)
