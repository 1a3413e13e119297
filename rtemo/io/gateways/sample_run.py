"""SampleRun: numbers what a protocol does not number, since its samples just follow on each other."""

from typing import NamedTuple

from rtemo.io.gateways.sender_clock import SenderClock

_PAUSE_S = 1.0  # after one this long the sender's count of samples says nothing about time


class Place(NamedTuple):
    """Where a message of audio belongs.

    Attributes:
        number: Counts the messages.
        start_sample: Position of its first sample.
        capture_ns: UTC in ns at which its last sample was captured.
    """

    number: int
    start_sample: int
    capture_ns: int


class SampleRun:
    """Counts the samples of one connection.

    >>> run = SampleRun()
    >>> run.place(160, 8_000, 5.0, 1_000_000_000)
    Place(number=0, start_sample=0, capture_ns=1000000000)
    >>> run.place(160, 8_000, 5.1, 1_100_000_000)  # late, not spoken later
    Place(number=1, start_sample=160, capture_ns=1020000000)
    """

    __slots__ = ("_clock", "_heard_s", "_next_sample", "_number", "_rate_hz")

    def __init__(self) -> None:
        self._clock = SenderClock()
        self._number = self._next_sample = self._rate_hz = 0
        self._heard_s = 0.0

    def place(self, count_samples: int, rate_hz: int, now_s: float, now_ns: int) -> Place:
        """Give the place of the next message.

        Args:
            count_samples: Samples in it.
            rate_hz: Their rate; where it changes, positions go on at the new one.
            now_s: Monotonic time.
            now_ns: UTC.
        """
        if rate_hz != self._rate_hz or now_s - self._heard_s > _PAUSE_S:
            self._clock.restart()
        if rate_hz != self._rate_hz:
            self._next_sample = self._next_sample * rate_hz // (self._rate_hz or rate_hz)
            self._rate_hz = rate_hz
        self._heard_s = now_s
        start_sample, number = self._next_sample, self._number
        self._next_sample += count_samples
        self._number += 1
        return Place(number, start_sample, self._clock.capture_ns(self._next_sample * 1_000_000_000 // rate_hz, now_ns))
