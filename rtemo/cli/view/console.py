"""The console that every verb prints on."""

from rich.console import Console


def plain_console(is_stderr: bool = False) -> Console:
    """Make a console that prints text as it is.

    Names of calls, files and devices come from outside: a `[red]` or `:smile:` in them is a part of the name.

    Args:
        is_stderr: Whether it is standard error instead of standard output.
    """
    return Console(stderr=is_stderr, markup=False, emoji=False, highlight=False)
