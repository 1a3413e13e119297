"""LaneQueue: windows on their way to one lane, and what it made of them on its way back."""

import threading
from collections import deque
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
        skipped: Windows dropped: superseded by a newer one of their stream, too old, or one too many.
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
        self._waiting: deque[LaneJob] = deque()
        self._working: list[LaneJob] = []
        self._done: deque[LaneJob] = deque()
        self._is_closed = False
        self.skipped = 0
        self.failed = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, job: LaneJob) -> None:
        """Add a window; live, it takes the place of an older stride of the same stream. Driver thread."""
        with self._lock:
            if self._is_closed:
                self.failed += 1
                job.is_done = True
                return
            if self.is_live and job.trigger == STRIDE:
                for index, other in enumerate(self._waiting):
                    if other.stream is job.stream and other.trigger == STRIDE:
                        self._waiting[index] = job
                        self.skipped += 1
                        self._changed.notify_all()
                        return
            if self.is_live and len(self._waiting) >= self._capacity:
                self._waiting.popleft()
                self.skipped += 1
            self._waiting.append(job)
            self._changed.notify_all()

    def take(self, limit: int, timeout_s: float) -> list[LaneJob]:
        """Take the windows that waited longest, up to `limit`; empty when none came in time. Lane thread."""
        with self._lock:
            if not self._waiting and not self._is_closed:
                self._changed.wait(timeout_s)
            now_ns = self._now_ns()
            jobs: list[LaneJob] = []
            while self._waiting and len(jobs) < limit:
                if jobs and self._waiting[0].tries:
                    break  # one that failed in company is tried alone
                job = self._waiting.popleft()
                if self.is_live and now_ns - job.cut_ns > self._max_age_ns:
                    self.skipped += 1
                else:
                    jobs.append(job)
                    if job.tries:
                        break
            self._working += jobs
            return jobs

    def finish(self, jobs: list[LaneJob]) -> None:
        """Hand back windows that were worked on, whether or not something was found. Lane thread."""
        with self._lock:
            for job in jobs:
                if job in self._working:  # else the lane was given up meanwhile
                    self._working.remove(job)
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
            lost = [job for job in self._working if job.tries or for_good] + (list(self._waiting) if for_good else [])
            self.failed += len(lost)
            for job in lost:
                job.is_done = True
            for job in reversed(again):
                job.tries += 1
                self._waiting.appendleft(job)
            self._working.clear()
            if for_good:
                self._is_closed = True
                self._waiting.clear()
            self._changed.notify_all()
        self._ring()

    def collect(self) -> list[LaneJob]:
        """Take what is done, in the order in which it was done. Driver thread."""
        if not self._done:
            return []
        with self._lock:
            done = list(self._done)
            self._done.clear()
            return done

    def has(self, stream: Stream) -> bool:
        """Whether something of a stream is on its way in either direction."""
        with self._lock:
            return any(job.stream is stream for jobs in (self._waiting, self._working, self._done) for job in jobs)

    def forget(self, stream: Stream) -> None:
        """Drop everything of a stream. Driver thread."""
        with self._lock:
            kept = deque(job for job in self._waiting if job.stream is not stream)
            self.skipped += len(self._waiting) - len(kept)
            self._waiting = kept
            self._working = [job for job in self._working if job.stream is not stream]
            self._done = deque(job for job in self._done if job.stream is not stream)

    def wait(self, timeout_s: float = _WAIT_S) -> None:
        """Wait until something changes. Driver thread, in freewheel."""
        with self._lock:
            if not self._done:
                self._changed.wait(timeout_s)

    def close(self) -> None:
        """Let a waiting lane go."""
        with self._lock:
            self._is_closed = True
            for job in self._waiting:
                job.is_done = True
            self._waiting.clear()
            self._changed.notify_all()
