"""Stopping on Ctrl-C and on SIGTERM alike, once, cleanly."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def term_as_interrupt() -> Iterator[None]:
    """Turn SIGTERM into `KeyboardInterrupt` while the block runs, so that both end a run the same way."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def term_first(act: Callable[[], bool]) -> Iterator[None]:
    """Let the first SIGTERM do something gentler while the block runs; the next one is a `KeyboardInterrupt`.

    Args:
        act: Called in the signal handler; tells whether that is enough for now.
    """
    is_first = True

    def react(number: int, frame: FrameType | None) -> None:
        nonlocal is_first
        was_first, is_first = is_first, False
        if not (was_first and act()):
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, react)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def shielded() -> Iterator[None]:
    """Ignore further Ctrl-C and SIGTERM while the block winds up; it must take a bounded time."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
