"""Keeping decoders quiet: libmpg123 writes to the process' standard error what it thinks of a damaged file."""

import functools
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

_CHATTER = re.compile(rb"\s*(\[src/libmpg123/|Note: |Warning: )|\s*$")
_JOIN_S = 0.2

Command = TypeVar("Command", bound=Callable[..., Any])


def without_chatter(command: Command) -> Command:
    """Give a command a standard error without the remarks of decoders."""

    @functools.wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        with decoders_hushed():
            return command(*args, **kwargs)

    return wrapped  # type: ignore[return-value]


@contextmanager
def decoders_hushed() -> Iterator[None]:
    """Drop what libmpg123 writes while the block runs.

    It offers no switch through libsndfile. What we say ourselves goes past the filter; what other libraries say goes
    through it. Without a standard error of the process' own, as in a test that captures it, nothing is done.
    """
    ours = sys.stderr
    try:
        is_of_process = ours is not None and ours.fileno() == 2
    except (OSError, ValueError):
        is_of_process = False
    if not is_of_process or "--debug" in sys.argv:
        yield
        return
    ours.flush()
    kept = os.dup(2)
    reading, writing = os.pipe()
    os.dup2(writing, 2)
    os.close(writing)
    thread = threading.Thread(target=_filter, args=(reading, kept), name="rtemo-chatter", daemon=True)
    thread.start()
    sys.stderr = os.fdopen(os.dup(kept), "w", encoding=ours.encoding, errors=ours.errors, buffering=1)
    try:
        yield
    finally:
        sys.stderr.close()
        sys.stderr = ours
        os.dup2(kept, 2)
        thread.join(_JOIN_S)  # a process that we started may still hold the other end


def _filter(reading: int, kept: int) -> None:
    with os.fdopen(reading, "rb") as lines, os.fdopen(kept, "wb", buffering=0) as to:
        for line in lines:
            if not _CHATTER.match(line):
                to.write(line)
