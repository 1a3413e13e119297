"""The console that every verb prints on."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def plain_console(is_stderr: bool = False) -> Console:
    """Make a console that prints text as it is.

    Names of calls, files and devices come from outside: a `[red]` or `:smile:` in them is a part of the name.

    Args:
        is_stderr: Whether it is standard error instead of standard output.
    """
    return Console(stderr=is_stderr, markup=False, emoji=False, highlight=False)


def plain_table(heads: Sequence[str]) -> Table:
    """Make a table without lines whose columns are figures, aligned to the right.

    Args:
        heads: What stands above each column.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table
