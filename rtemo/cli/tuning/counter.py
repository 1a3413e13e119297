"""Counter: progress in one line."""

import sys

import click


class Counter:
    """Progress in one line on a terminal; nothing elsewhere.

    Args:
        word: What is counted.
        total: How many there will be, where that is known beforehand.
        is_quiet: Whether nothing is shown at all.
    """

    def __init__(self, word: str, total: int, is_quiet: bool) -> None:
        self._word, self._total = word, total
        self._shows = not is_quiet and sys.stderr.isatty()

    def __call__(self, done: int) -> None:
        """So many are done."""
        self.of(done, self._total)

    def of(self, done: int, total: int) -> None:
        """So many of so many are done."""
        if self._shows:
            click.echo(f"\r\x1b[K{self._word} {done} of {total}" + ("\n" if done == total else ""), nl=False, err=True)
