"""Progress bar of a batch of files, on standard error."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from rtemo.cli.view.numbers import clock
from rtemo.io.sources.files import FilesProgress


@contextmanager
def progress_bar() -> Iterator[Callable[[FilesProgress], None]]:
    """Show a bar while the block runs; yields the function that brings it up to date."""
    columns = (
        BarColumn(bar_width=None),
        TextColumn("{task.fields[files]}"),
        TextColumn("{task.fields[audio]}"),
        TextColumn("{task.fields[speed]}"),
        TimeRemainingColumn(compact=True),
    )
    with Progress(*columns, console=Console(stderr=True), auto_refresh=False, transient=True) as progress:
        task = progress.add_task("", total=None, files="", audio="", speed="")

        def show(now: FilesProgress) -> None:
            elapsed_s = progress.tasks[task].elapsed or 0.0
            progress.update(
                task,
                total=now.total_s or None,
                completed=now.done_s,
                files=f"{now.files_done + now.files_failed}/{now.files_total} files",
                audio=f"{clock(now.done_s)} of {clock(now.total_s)}",
                speed=f"{now.done_s / elapsed_s:.0f} x real time" if elapsed_s > 0.5 else "",
                refresh=True,
            )

        yield show
