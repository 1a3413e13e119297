"""Stopping on Ctrl-C and on SIGTERM alike, once, cleanly."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_has_been_told = False
_last_number = 0


@contextmanager
def term_as_interrupt() -> Iterator[None]:
    """Turn SIGTERM into `KeyboardInterrupt` while the block runs, so that both end a run the same way."""
    global _has_been_told

    def interrupt(number: int, frame: FrameType | None) -> None:
        global _has_been_told, _last_number
        _has_been_told, _last_number = True, number
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield  # no signal arrives here
        return
    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGINT, signal.SIGTERM)
        if number != signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN  # in a shell's background
    }
    try:
        yield
    finally:
        _has_been_told = False
        for number, action in before.items():
            signal.signal(number, action)


def was_terminated() -> bool:
    """Tell whether it was SIGTERM that stopped the run last, and no Ctrl-C."""
    return _last_number == signal.SIGTERM


def stop_if_told() -> None:
    """Raise `KeyboardInterrupt` again if one was lost: those that strike inside a callback of LLVM are."""
    if _has_been_told and threading.current_thread() is threading.main_thread():
        raise KeyboardInterrupt


@contextmanager
def term_first(act: Callable[[], bool]) -> Iterator[None]:
    """Let the first SIGTERM do something gentler, inside `term_as_interrupt`; the next one is as it was before.

    Args:
        act: Called in the signal handler; tells whether that is enough for now.
    """
    is_first = True

    def react(number: int, frame: FrameType | None) -> None:
        nonlocal is_first
        was_first, is_first = is_first, False
        if not (was_first and act()) and callable(before):
            before(number, frame)

    before = signal.signal(signal.SIGTERM, react)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def put_off() -> Iterator[None]:
    """Let Ctrl-C and SIGTERM take effect at the end of the block, which must be short.

    For calls of a C library that calls back: what is raised in there is printed, and lost.
    """
    told: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        told.append(number)

    if threading.current_thread() is not threading.main_thread():
        yield  # nothing is raised here
        return
    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
        if told:
            signal.raise_signal(told[0])


@contextmanager
def shielded() -> Iterator[None]:
    """Ignore further Ctrl-C and SIGTERM while the block winds up; it must take a bounded time."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, action in before.items():
            signal.signal(number, action)
