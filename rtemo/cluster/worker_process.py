"""WorkerProcess: a worker as a process of this machine, seen from the front."""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rtemo.child_process import end_child, start_child
from rtemo.cluster.link import link_pair
from rtemo.cluster.messages import Begin
from rtemo.cluster.starter import Place, Seat, StartedWorker
from rtemo.processors import count_processors, processors, share

WORKER_MODULE = "rtemo.cli.serving.worker"
"""What a worker runs; it imports the engine, which nothing here does."""

_END_S = 0.5


class WorkerProcess(StartedWorker):
    """Our own Python with the same path, started afresh; it ends when this side's end of the link closes.

    Args:
        begin: What its engine is to be.
        sockets: Where it makes socket files, which begin so.
        cores: Where it may run; empty for anywhere.
    """

    def __init__(self, begin: Begin, sockets: Path, cores: Sequence[int] = ()) -> None:
        ours, theirs = link_pair()
        with theirs, _only_on(cores):
            self._process = start_child(WORKER_MODULE, theirs, is_mute=True)
        super().__init__(ours)
        self._sockets = sockets
        self.send(begin)

    @property
    def pid(self) -> int:
        """Number of the process."""
        return self._process.pid

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._process.kill()

    def end(self) -> str:
        """Wait for its end, or bring it about; tell how it ended."""
        self.link.close()
        how = end_child(self._process, _END_S)
        for path in self._sockets.parent.glob(f"{self._sockets.name}*"):
            with contextlib.suppress(OSError):
                os.unlink(path)
        return how


class ProcessStarter:
    """Starts workers as processes of this machine.

    Args:
        is_pinned: Whether each is kept on processors of its own.
    """

    def __init__(self, is_pinned: bool = False) -> None:
        self._is_pinned = is_pinned
        self._folder: Path

    def open(self, folder: Path, workers: int) -> None:
        """Take note of the folder for their sockets."""
        self._folder = folder

    def processors_each(self, workers: int) -> float:
        """Share the processors of this machine out."""
        return count_processors() / workers

    def start(self, seat: Seat, begin: Callable[[Place], Begin]) -> WorkerProcess:
        """Start a process."""
        pinned = processors() if self._is_pinned else []
        cores = share(pinned, seat.place % seat.workers, seat.workers) if pinned else []
        sockets = self._folder / f"{seat.number}-{seat.life}"
        ingest = f"ipc://{sockets}"
        return WorkerProcess(begin(Place(ingest, f"{ingest}-audio")), sockets, cores)

    def close(self) -> None:
        """Do nothing: the fleet has ended them."""


@contextmanager
def _only_on(cores: Sequence[int]) -> Iterator[None]:
    """Have what is started meanwhile, which takes after this thread, run there from its first instruction on."""
    if not cores:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
