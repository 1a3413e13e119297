"""WorkerProcess: a worker as a process of this machine, seen from the front."""

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec

from rtemo.child_process import ending, start_child
from rtemo.cluster.link import Link, link_pair
from rtemo.cluster.messages import Begin

WORKER_MODULE = "rtemo.cli.serving.worker"
"""What a worker runs; it imports the engine, which nothing here does."""

_END_S = 0.5


class WorkerProcess:
    """Our own Python with the same path, started afresh; it ends when this side's end of the link closes.

    Args:
        begin: What its engine is to be.
        processors: Where it may run; empty for anywhere.

    Attributes:
        link: To it.
        started_s: Monotonic time of its start.
        heard_s: Monotonic time at which anything was heard from it.
        is_ready: Whether it takes calls.
    """

    def __init__(self, begin: Begin, processors: Sequence[int] = ()) -> None:
        ours, theirs = link_pair()
        with theirs, _only_on(processors):
            self._process = start_child(WORKER_MODULE, theirs, is_mute=True)
        self.link = Link(ours)
        self.started_s = self.heard_s = time.monotonic()
        self.is_ready = False
        self.send(begin)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def send(self, message: msgspec.Struct) -> None:
        """Tell it something; that it has died shows when it is listened to."""
        with contextlib.suppress(OSError):
            self.link.send(message)

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()

    def end(self) -> str:
        """Wait for its end, or bring it about; tell how it ended."""
        self.link.close()
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            try:
                code = self._process.wait(_END_S)
            except subprocess.TimeoutExpired:
                return "it does not end although it was killed"
        return ending(code)


@contextmanager
def _only_on(processors: Sequence[int]) -> Iterator[None]:
    """Have what is started meanwhile, which takes after this thread, run there from its first instruction on."""
    if not processors:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, processors)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
