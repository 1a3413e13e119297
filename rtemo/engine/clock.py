"""Clock: the only source of time in the engine, so that tests run on virtual time."""

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time, UTC time, and waiting."""

    def now_ns(self) -> int:
        """Monotonic time in ns; steps of the system clock do not show."""

    def utc_ns(self) -> int:
        """UTC time in ns, for stamps that leave the process."""

    def wait(self, bell: "Doorbell", until_ns: int) -> bool:
        """Wait on an armed bell until it rings or `now_ns` reaches `until_ns`; tell whether it rang."""


class Doorbell:
    """Wakes the driver when it waits for audio; free of charge for the writer when it does not wait.

    Attributes:
        is_armed: Whether somebody waits, or is about to.
        rang_ns: When it first rang since it was armed; 0 while it has not. From then on the waiter is late.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = threading.Event()
        self.is_armed = False
        self.rang_ns = 0

    def ring(self) -> None:
        """Wake the waiter, if there is one. Any thread."""
        if self.is_armed:
            if not self.rang_ns:
                self.rang_ns = self._clock.now_ns()
            self._event.set()

    def arm(self) -> None:
        """Say that the next ring must wake; the waiter checks its condition again after this, then waits."""
        self._event.clear()
        self.rang_ns = 0
        self.is_armed = True

    def mute(self) -> None:
        """Say that no ring need wake: the waiter looks by itself soon enough."""
        self.is_armed = False
        self._event.clear()
        self.rang_ns = 0

    def wait(self, timeout_s: float) -> bool:
        """Wait for a ring and disarm; tell whether it rang."""
        rang = self._event.wait(timeout_s)
        self.is_armed = False
        return rang


class SystemClock:
    """The machine's own clocks."""

    def now_ns(self) -> int:
        """Monotonic time in ns."""
        return time.perf_counter_ns()

    def utc_ns(self) -> int:
        """UTC time in ns."""
        return time.time_ns()

    def wait(self, bell: Doorbell, until_ns: int) -> bool:
        """Wait until the bell rings or the time has come."""
        return bell.wait(max(0.0, (until_ns - time.perf_counter_ns()) * 1e-9))


class VirtualClock:
    """A clock that moves only when told to: waiting takes no time, so an hour of audio runs in seconds.

    >>> clock = VirtualClock()
    >>> clock.advance(5_000_000)
    >>> clock.now_ns()
    5000000
    """

    def __init__(self) -> None:
        self._now_ns = 0

    def now_ns(self) -> int:
        """Virtual time in ns."""
        return self._now_ns

    def utc_ns(self) -> int:
        """Virtual time in ns, as UTC."""
        return self._now_ns

    def advance(self, step_ns: int) -> None:
        """Let time pass."""
        self._now_ns += step_ns

    def wait(self, bell: Doorbell, until_ns: int) -> bool:
        """Jump to `until_ns` unless the bell has rung already."""
        if bell.wait(0.0):
            return True
        self._now_ns = max(self._now_ns, until_ns)
        return False
