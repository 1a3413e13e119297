"""Trouble: what a plugin, source, publisher or sink raises stays with it, and becomes one line."""

import contextlib
import threading
from collections.abc import Iterator

from rtemo.api import RtemoError
from rtemo.api.text import plain

_LONGEST_CHARS = 500


def is_theirs(error: BaseException) -> bool:
    """Tell whether an exception is the fault of whom we called: all but Ctrl-C, which only the main thread gets.

    `SystemExit` is: `sys.exit` in a plugin must not end a thread of the engine, where nobody would even hear of it.
    """
    return not isinstance(error, KeyboardInterrupt) or threading.current_thread() is not threading.main_thread()


def describe(error: BaseException) -> str:
    """Say what was raised in one line of bounded length; an exception whose text cannot be made has its type alone."""
    try:
        text = str(error) if isinstance(error, RtemoError) else f"{type(error).__name__}: {error}"
    except Exception:
        text = type(error).__name__
    return plain(" ".join(text.split()), _LONGEST_CHARS)


def first_line(error: BaseException) -> str:
    """Give the first line of an error's text, where a library tells a whole story; its type where it tells none."""
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def as_error(error: BaseException, who: str) -> BaseException:
    """Give what was raised as an error that can be raised again in the main thread without ending the program."""
    return error if isinstance(error, Exception) else RtemoError(f"{who!r} cannot be opened ({describe(error)})")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Leave out what one raises that is over anyway: the others are still to be served."""
    try:
        yield
    except BaseException as error:
        if not is_theirs(error):
            raise
