"""The three standard streams, which may be closed or take ASCII alone."""

import io
import os
import sys

import click

_closed: set[str] = set()


def fill_closed() -> None:
    """Put /dev/null in place of standard streams that are closed (`>&-`), so that no file takes their numbers."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _closed.add(name)
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, os.fdopen(number, "w" if number else "r", encoding="utf-8", closefd=False))


def tolerate_terminals() -> None:
    """Print a question mark for what a terminal's encoding lacks; a tick is no reason to fail."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def need_stdout(mend: str) -> None:
    """Refuse to work for a standard output that was closed: results would be lost while all seems well.

    Raises:
        click.UsageError: It is closed.
    """
    if "stdout" in _closed:
        raise click.UsageError(f"standard output is closed, results would go nowhere; {mend}")
