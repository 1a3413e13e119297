"""LaneWorker: the thread that works on one lane's windows, and what starts it again when it fails."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from rtemo.api import Fault, ModelCard, ModelError, ModelHandle, Payload, SentenceHandle, SpeechHandle, StreamFormat
from rtemo.api.lane import LaneSpec, LaneWork, OpenLane, Window
from rtemo.engine.history import History
from rtemo.engine.lane_process import RemoteWork
from rtemo.engine.lane_queue import LaneJob, LaneQueue
from rtemo.engine.precedence import give_way
from rtemo.engine.stats import Histogram
from rtemo.engine.trouble import describe, is_theirs

_POLL_S = 0.1
_FIRST_PAUSE_S = 0.25
_LONGEST_PAUSE_S = 30.0
_FILE_TRIES = 3
_OPENING_S = 10.0
"""How much longer a lane is waited for that loads its model: native libraries abort a process that ends meanwhile."""
_STEADY_BATCHES = 20
"""Batches in a row after which a lane counts as sound again, and its next pause is the first one."""


class ModelLender(Protocol):
    """What lends models; every lane has one of its own, since a handle serves one thread."""

    def load(self, name: str) -> ModelHandle:
        """Load the bundle of that name, or raise `ModelError`."""

    def card(self, name: str) -> ModelCard:
        """Read the card of that bundle alone, or raise `ModelError`."""

    def speech(self, name: str) -> SpeechHandle:
        """Load the speech model of that name, or raise `ModelError`."""

    def sentence(self, name: str) -> SentenceHandle:
        """Load the encoder of sentences of that name, or raise `ModelError`."""


class LentContext:
    """What the work of a lane is lent."""

    def __init__(self, format: StreamFormat, open_store: Callable[[], ModelLender] | None) -> None:
        self.format = format
        self._store = None if open_store is None else open_store()

    def model(self, name: str) -> ModelHandle:
        """Load a bundle for this lane alone."""
        return self._lender(name).load(name)

    def speech(self, name: str) -> SpeechHandle:
        """Load a speech model for this lane alone."""
        return self._lender(name).speech(name)

    def sentence(self, name: str) -> SentenceHandle:
        """Load an encoder of sentences for this lane alone."""
        return self._lender(name).sentence(name)

    def _lender(self, name: str) -> ModelLender:
        if self._store is None:
            raise ModelError(f"model {name!r} was asked for, but this engine has no model store")
        return self._store

    def card(self, name: str) -> ModelCard:
        """Read a card alone."""
        return self._lender(name).card(name)


class LaneWorker:
    """Runs the work of one lane; whatever befalls it, the driver goes on, and the lane comes back.

    Attributes:
        is_left_out: Whether it is given no windows, since the engine cannot carry its load. Driver thread.

    Args:
        where: Plugin and lane, for faults.
        spec: The lane's facts.
        open_work: Makes the work.
        options: Given to it.
        format: Of all audio.
        open_store: Makes what lends models.
        queue: Where windows come from.
        history: Where their audio lies.
        report: Emits an event about the engine. Any thread.
    """

    def __init__(
        self,
        where: str,
        spec: LaneSpec,
        open_work: OpenLane,
        options: Any,
        format: StreamFormat,
        open_store: Callable[[], ModelLender] | None,
        queue: LaneQueue,
        history: History,
        report: Callable[[Payload], None],
    ) -> None:
        self.where = where
        self.spec = spec
        self.queue = queue
        self.state = "starting"
        self.restarts = 0
        self.is_left_out = False
        self.batch = Histogram()
        self.busy = Histogram()
        self._open_work = open_work
        self._options = options
        self._format = format
        self._open_store = open_store
        self._history = history
        self._report = report
        self._stop = threading.Event()
        self._turn = 0
        self._busy_since_s = 0.0
        self._pause_s = _FIRST_PAUSE_S
        self._sound_batches = 0
        self._failures = 0
        self._remote: RemoteWork | None = None
        self._thread: threading.Thread | None = None
        self._opened = threading.Event()

    @property
    def is_down(self) -> bool:
        """Whether nothing is worked on, for now or for good."""
        return self.state in ("restarting", "failed")

    def wait_opened(self) -> None:
        """Wait until the work has been opened, or could not be, for the first time."""
        self._opened.wait()

    def start(self) -> None:
        """Start a thread, which opens the work first."""
        self._thread = threading.Thread(
            target=self._run, args=(self._turn,), name=f"rtemo-lane-{self.where}", daemon=True
        )
        self._thread.start()

    def look(self) -> bool:
        """Give the lane up if it hangs; tell whether it was. Driver thread.

        By the machine's clock, which goes on where the engine's own is virtual.
        """
        since_s = self._busy_since_s
        if not since_s or time.monotonic() - since_s < self.spec.hang_s:
            return False
        self._busy_since_s = 0.0
        self._turn += 1  # the hung thread ends by itself when its work returns
        if self._remote is not None:
            self._remote.close()
        self._fail(f"did not return within {self.spec.hang_s:g} s")
        self.start()
        return True

    def stop(self, timeout_s: float) -> bool:
        """End the thread and the process behind it; tell whether that was done in time."""
        self._stop.set()
        self.queue.close()
        if self._remote is not None:
            self._remote.close()
        if self._thread is not None and self._thread.ident is not None:
            self._thread.join(timeout_s)
            if timeout_s > 0 and self.state == "starting":
                self._thread.join(_OPENING_S)
            return not self._thread.is_alive()
        return True

    def _run(self, turn: int) -> None:
        if self.queue.is_live:  # else the driver waits for this thread
            give_way()
        while turn == self._turn and not self._stop.is_set() and self.state != "failed":
            if self.state == "restarting" and self._stop.wait(self._pause_s):
                return
            try:
                work = self._open()
                if turn != self._turn:
                    return
                self.state = "running"
                self._opened.set()
                self._serve(work, turn)
            except BaseException as error:
                if not is_theirs(error):
                    raise
                if turn != self._turn or self._stop.is_set():
                    return
                self._busy_since_s = 0.0
                # A model that is missing or spoilt does not come by waiting.
                self._fail(describe(error), for_good=self.state != "running" and isinstance(error, ModelError))
            finally:
                self._opened.set()
                if turn == self._turn and self._remote is not None:
                    self._remote.close()

    def _open(self) -> LaneWork:
        if self.spec.kind == "process":
            remote = self._remote = RemoteWork(self._open_work, self._options, self._format, self._open_store)
            remote.open()
            return remote
        return self._open_work(LentContext(self._format, self._open_store), self._options)

    def _serve(self, work: LaneWork, turn: int) -> None:
        while turn == self._turn and not self._stop.is_set():
            jobs = self.queue.take(self.spec.max_batch, _POLL_S)
            if not jobs:
                continue
            since_s = self._busy_since_s = time.monotonic()
            windows, worked = self._gather(jobs)
            results: Sequence[Any] = work(windows) if windows else ()
            if turn != self._turn:
                return
            self.busy.add(round((time.monotonic() - since_s) * 1e9))
            self._busy_since_s = 0.0
            if len(results) != len(windows):
                raise ValueError(f"it gave {len(results)} results for {len(windows)} windows")
            for job, result in zip(worked, results, strict=True):
                job.result = result
            self.batch.add(len(jobs))
            self.queue.finish(jobs)
            self._sound_batches += 1
            if self._sound_batches >= _STEADY_BATCHES:
                self._pause_s = _FIRST_PAUSE_S

    def _gather(self, jobs: list[LaneJob]) -> tuple[list[Window], list[LaneJob]]:
        windows: list[Window] = []
        worked: list[LaneJob] = []
        for job in jobs:
            found = self._history.read(job.stream.slot, job.life, job.start_sample, job.end_sample)
            if found is None:
                self.queue.skipped += 1
                continue
            start_sample, samples = found
            job.start_sample, job.end_sample = start_sample, start_sample + len(samples)
            windows.append(Window(job.stream, samples, start_sample, job.trigger))
            worked.append(job)
        return windows, worked

    def _fail(self, problem: str, for_good: bool = False) -> None:
        self._failures = 1 if self._sound_batches else self._failures + 1
        if self._sound_batches < _STEADY_BATCHES and self.restarts:
            self._pause_s = min(2 * self._pause_s, _LONGEST_PAUSE_S)
        self._sound_batches = 0
        self.restarts += 1
        # A live lane is tried for ever; a file must come to its end.
        is_final = for_good or (not self.queue.is_live and self._failures > _FILE_TRIES)
        self.state = "failed" if is_final else "restarting"
        self.queue.fail(for_good=is_final)
        self._report(Fault(where=self.where, problem=problem, action="given up" if is_final else "retrying"))
