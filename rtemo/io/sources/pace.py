"""Pace: how much of a recording is due by now, told from a start time so that no error adds up."""

import time
from collections.abc import Callable


class Pace:
    """Plays a recording at the speed of the clock, in whole hops as a device would deliver them.

    What is due follows from the time since the start, never from sleeps put end to end: those drift by as much
    as each of them is late.

    Args:
        sample_rate_hz: Rate of what is delivered.
        hop_samples: Delivered at once.
        clock_ns: Monotonic time in ns.
        patience_s: A delay beyond this (a suspended machine) moves the start, so that nothing floods the engine.
    """

    def __init__(
        self,
        sample_rate_hz: int,
        hop_samples: int,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        patience_s: float = 1.0,
    ) -> None:
        self._rate_hz = sample_rate_hz
        self._hop_samples = hop_samples
        self._clock_ns = clock_ns
        self._patience_samples = int(patience_s * sample_rate_hz)
        self._start_ns: int | None = None

    def due_samples(self, written_samples: int) -> int:
        """Tell how many samples should have been delivered by now, of which `written_samples` are."""
        now_ns = self._clock_ns()
        if self._start_ns is None:
            self._start_ns = now_ns
        elapsed_samples = (now_ns - self._start_ns) * self._rate_hz // 1_000_000_000
        if elapsed_samples - written_samples > self._patience_samples:
            self._start_ns = now_ns - self._ns_at(written_samples + self._hop_samples)
            elapsed_samples = written_samples + self._hop_samples
        return elapsed_samples // self._hop_samples * self._hop_samples

    def wait_s(self, written_samples: int) -> float:
        """Tell in how many seconds the next hop is complete."""
        if self._start_ns is None:
            return 0.0
        next_ns = self._start_ns + self._ns_at((written_samples // self._hop_samples + 1) * self._hop_samples)
        return max(0.0, (next_ns - self._clock_ns()) * 1e-9)

    def utc_ns(self, written_samples: int) -> int:
        """Tell when the last of `written_samples` would have been captured, as UTC by the clock as it is set now."""
        age_ns = self._clock_ns() - (self._start_ns or 0) - self._ns_at(written_samples)
        return time.time_ns() - age_ns

    def _ns_at(self, position_samples: int) -> int:
        # Rounded up, so that at the time given the sample is there.
        return -(-position_samples * 1_000_000_000 // self._rate_hz)
