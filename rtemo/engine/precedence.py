"""Precedence: a live engine's threads run before other programs, where the system permits it."""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Literal

Grant = Literal["realtime", "nice", "none"]

_LEVEL = 10  # of 1 to 99: above what asks for nothing in particular, below the sound server's own threads
_NICE = -10
_WAITING_NICE = 5  # a third of the share of others; much more, and one that holds the interpreter would be held up long
_PROMPT = tuple(f"rtemo-{name}" for name in ("driver", "source", "publish", "sink", "watchdog"))


class Precedence:
    """Takes precedence for threads of this process and gives it back.

    It is for the main thread and all threads of the engine, not for the driver alone: whoever holds the interpreter
    while another program has its processor holds up the driver too. The driver goes before the others. Threads that
    others have made, for work of any length, get none, nor do threads and processes that are started later.

    Attributes:
        grant: What the system gave.
    """

    def __init__(self) -> None:
        self.grant: Grant = "none"

    def take(self, threads: Iterable[threading.Thread] | None = None) -> Grant:
        """Ask for these threads, or for all of the engine; those scheduled by somebody are left alone."""
        if not hasattr(os, "sched_setscheduler"):
            return self.grant
        ordinary = [thread for thread in _listed(threads) if _is_prompt(thread) and _is_ordinary(thread)]
        if sum(_try(_run_in_realtime, thread) for thread in ordinary):
            self.grant = "realtime"
        elif sum(_try(_set_nice, thread, _NICE) for thread in ordinary):
            self.grant = "nice"
        return self.grant

    def give_back(self, threads: Iterable[threading.Thread] | None = None) -> None:
        """Let these threads, or all, wait for their turn again as those of any program."""
        for thread in _listed(threads):
            if self.grant == "realtime":
                _try(_run_as_any, thread)
            elif self.grant == "nice":
                _try(_set_nice, thread, 0)
        if threads is None:
            self.grant = "none"


def give_way() -> None:
    """Let the thread that calls this run after the others of its process, for as long as it lives.

    It is for slow work beside the ticks, where the driver has no precedence of its own. Only Linux knows it of a single
    thread.
    """
    if sys.platform == "linux":
        thread = threading.current_thread()
        nice = os.getpriority(os.PRIO_PROCESS, thread.native_id or 0)
        _try(_set_nice, thread, min(nice + _WAITING_NICE, 19))


def permitted() -> Grant:
    """Tell what the system would grant, by asking for it on behalf of a thread that ends at once."""
    grants: list[Grant] = []
    thread = threading.Thread(
        target=lambda: grants.append(Precedence().take([threading.current_thread()])), name=f"{_PROMPT[0]}-trial"
    )
    thread.start()
    thread.join()
    return grants[0]


def _listed(threads: Iterable[threading.Thread] | None) -> list[threading.Thread]:
    return threading.enumerate() if threads is None else list(threads)


def _try(act: Callable[..., None], thread: threading.Thread, *values: int) -> bool:
    if thread.native_id is None:
        return False
    try:
        act(thread, *values)
    except OSError:  # it is not permitted, or the thread has ended
        return False
    return True


def _is_prompt(thread: threading.Thread) -> bool:
    """Whether its work is in small pieces by design, so that nobody starves while it runs before others."""
    return thread is threading.main_thread() or thread.name.startswith(_PROMPT)


def _is_ordinary(thread: threading.Thread) -> bool:
    number = thread.native_id
    try:
        return (
            number is not None
            and os.sched_getscheduler(number) == os.SCHED_OTHER
            and os.getpriority(os.PRIO_PROCESS, number) == 0
        )
    except OSError:  # it has ended
        return False


def _run_in_realtime(thread: threading.Thread) -> None:
    number, policy = thread.native_id or 0, os.SCHED_RR | os.SCHED_RESET_ON_FORK
    if thread.name.startswith("rtemo-driver"):
        with contextlib.suppress(OSError):  # the limit may be that of the others
            os.sched_setscheduler(number, policy, os.sched_param(_LEVEL + 1))
            return
    os.sched_setscheduler(number, policy, os.sched_param(_LEVEL))


def _run_as_any(thread: threading.Thread) -> None:
    number = thread.native_id or 0
    if os.sched_getscheduler(number) & ~os.SCHED_RESET_ON_FORK == os.SCHED_RR:
        os.sched_setscheduler(number, os.SCHED_OTHER, os.sched_param(0))


def _set_nice(thread: threading.Thread, nice: int) -> None:
    os.setpriority(os.PRIO_PROCESS, thread.native_id or 0, nice)
