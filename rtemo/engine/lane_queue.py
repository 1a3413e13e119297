"""LaneQueue: windows on their way to one lane, and what it made of them on its way back."""

import itertools
import threading
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from rtemo.api.lane import STRIDE
from rtemo.engine.stream import Stream

_WAIT_S = 0.05


class LaneJob:
    """A window that is due: where it lies, who it is of, and in the end what was made of it."""

    __slots__ = (
        "cut_ns",
        "end_sample",
        "is_done",
        "land_count",
        "life",
        "result",
        "start_sample",
        "stream",
        "tries",
        "trigger",
    )

    def __init__(
        self, stream: Stream, life: int, start_sample: int, end_sample: int, trigger: str, cut_ns: int, land_count: int
    ) -> None:
        self.stream = stream
        self.life = life
        self.start_sample = start_sample
        self.end_sample = end_sample
        self.trigger = trigger
        self.cut_ns = cut_ns
        self.land_count = land_count
        self.result: Any = None
        self.is_done = False
        self.tries = 0


class LaneQueue:
    """Bounded in both directions; the driver puts in and takes out without ever waiting, unless it freewheels.

    Args:
        capacity: Windows that may wait; the oldest is dropped for one more.
        is_live: Whether older windows may be dropped; else every one is worked on.
        max_age_ns: What waited longer is dropped.
        now_ns: Tells the time.
        ring: Called when something has been done; any thread.

    Attributes:
        skipped: Windows dropped: superseded by a newer one of their stream, too old, one too many, or given up while
            the engine could not carry its load.
        failed: Windows lost with a lane that raised, hung or died.
    """

    def __init__(
        self, capacity: int, is_live: bool, max_age_ns: int, now_ns: Callable[[], int], ring: Callable[[], None]
    ) -> None:
        self.is_live = is_live
        self._capacity = capacity
        self._max_age_ns = max_age_ns
        self._now_ns = now_ns
        self._ring = ring
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._tickets = itertools.count()
        self._waiting: OrderedDict[int, LaneJob] = OrderedDict()  # by ticket, the one that waited longest first
        self._stride: dict[Stream, int] = {}  # ticket of the stride that waits
        self._working: dict[LaneJob, None] = {}
        self._done: deque[LaneJob] = deque()
        self._is_closed = False
        self.skipped = 0
        self.failed = 0

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def count_done(self) -> int:
        """Windows that wait to be collected."""
        return len(self._done)

    def put(self, job: LaneJob) -> None:
        """Add a window; live, it takes the place of an older stride of the same stream. Driver thread.

        The lane learns of it by `wake`: with many windows at once it would compete with the driver for each.
        """
        with self._lock:
            if self._is_closed:
                self.failed += 1
                job.is_done = True
                return
            ticket = self._stride.get(job.stream) if self.is_live and job.trigger == STRIDE else None
            if ticket is not None:
                self.skipped += 1
            else:
                if self.is_live and len(self._waiting) >= self._capacity:
                    self._pop()
                    self.skipped += 1
                ticket = next(self._tickets)
                if job.trigger == STRIDE:
                    self._stride[job.stream] = ticket
            self._waiting[ticket] = job

    def wake(self) -> None:
        """Tell the lane of what was put in. Driver thread."""
        with self._lock:
            self._changed.notify_all()

    def take(self, limit: int, timeout_s: float) -> list[LaneJob]:
        """Take the windows that waited longest, up to `limit`; empty when none came in time. Lane thread."""
        with self._lock:
            if not self._waiting and not self._is_closed:
                self._changed.wait(timeout_s)
            now_ns = self._now_ns()
            jobs: list[LaneJob] = []
            while self._waiting and len(jobs) < limit:
                if jobs and next(iter(self._waiting.values())).tries:
                    break  # one that failed in company is tried alone
                job = self._pop()
                if self.is_live and now_ns - job.cut_ns > self._max_age_ns:
                    self.skipped += 1
                else:
                    jobs.append(job)
                    if job.tries:
                        break
            self._working.update(dict.fromkeys(jobs))
            return jobs

    def finish(self, jobs: list[LaneJob]) -> None:
        """Hand back windows that were worked on, whether or not something was found. Lane thread."""
        with self._lock:
            for job in jobs:
                if job in self._working:  # else the lane was given up meanwhile
                    del self._working[job]
                    job.is_done = True
                    self._done.append(job)
            self._changed.notify_all()
        self._ring()

    def fail(self, for_good: bool = False) -> None:
        """Say that what is being worked on has failed. Any thread.

        Each window is tried once more, alone, so that a bad one takes no other along; what fails then is lost.

        Args:
            for_good: Give up whatever else was or will be put in, too.
        """
        with self._lock:
            again = [job for job in self._working if not job.tries and not for_good]
            lost = [job for job in self._working if job.tries or for_good]
            lost += self._waiting.values() if for_good else ()
            self.failed += len(lost)
            for job in lost:
                job.is_done = True
            for job in reversed(again):
                job.tries += 1
                ticket = next(self._tickets)  # a newer stride may wait already, which this one does not supersede
                self._waiting[ticket] = job
                self._waiting.move_to_end(ticket, last=False)
            self._working.clear()
            if for_good:
                self._is_closed = True
                self._clear()
            self._changed.notify_all()
        self._ring()

    def collect(self, limit: int = 0) -> list[LaneJob]:
        """Take what is done, in the order in which it was done, up to `limit` if there is one. Driver thread."""
        if not self._done:
            return []
        with self._lock:
            count = min(limit or len(self._done), len(self._done))
            return [self._done.popleft() for _ in range(count)]

    def has(self, stream: Stream) -> bool:
        """Whether something of a stream is on its way in either direction."""
        with self._lock:
            jobs = itertools.chain(self._waiting.values(), self._working, self._done)
            return any(job.stream is stream for job in jobs)

    def forget(self, stream: Stream) -> None:
        """Drop everything of a stream. Driver thread."""
        with self._lock:
            self._stride.pop(stream, None)
            for ticket in [ticket for ticket, job in self._waiting.items() if job.stream is stream]:
                del self._waiting[ticket]
                self.skipped += 1
            self._working = {job: None for job in self._working if job.stream is not stream}
            self._done = deque(job for job in self._done if job.stream is not stream)

    def drop_waiting(self) -> None:
        """Drop what waits, of every stream. Driver thread."""
        with self._lock:
            self.skipped += len(self._waiting)
            self._clear()

    def wait(self, timeout_s: float = _WAIT_S) -> None:
        """Wait until something changes. Driver thread, in freewheel."""
        with self._lock:
            if not self._done:
                self._changed.wait(timeout_s)

    def close(self) -> None:
        """Let a waiting lane go."""
        with self._lock:
            self._is_closed = True
            for job in self._waiting.values():
                job.is_done = True
            self._clear()
            self._changed.notify_all()

    def _pop(self) -> LaneJob:
        """Take the window that waited longest."""
        ticket, job = self._waiting.popitem(last=False)
        if self._stride.get(job.stream) == ticket:
            del self._stride[job.stream]
        return job

    def _clear(self) -> None:
        self._waiting.clear()
        self._stride.clear()
