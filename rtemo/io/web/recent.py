"""Recent: the last events of all calls, for whoever asks again, within a bound of bytes."""

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

_OVERHEAD_BYTES = 200


class Kept(NamedTuple):
    """One event."""

    pub_seq: int
    call: str
    kind: str
    message: bytes


class Recent:
    """Keeps events in the order of their numbers.

    Args:
        full_bytes: Most that is kept; the oldest go first.

    Attributes:
        dropped_pub_seq: Number of the newest event that is no longer kept; 0 while all are.
    """

    def __init__(self, full_bytes: int) -> None:
        self.dropped_pub_seq = 0
        self._full_bytes = full_bytes
        self._bytes = 0
        self._kept: deque[Kept] = deque()

    def add(self, kept: Kept) -> None:
        """Keep an event."""
        self._kept.append(kept)
        self._bytes += len(kept.message) + _OVERHEAD_BYTES
        while self._bytes > self._full_bytes and self._kept:
            old = self._kept.popleft()
            self._bytes -= len(old.message) + _OVERHEAD_BYTES
            self.dropped_pub_seq = old.pub_seq

    def after(self, pub_seq: int, wants: Callable[[Kept], bool], limit: int) -> list[Kept]:
        """Give the first events after a number that somebody wants, oldest first."""
        newer: deque[Kept] = deque()  # from the newest backwards: who asks is seldom far behind
        for kept in reversed(self._kept):
            if kept.pub_seq <= pub_seq:
                break
            if wants(kept):
                newer.appendleft(kept)
                if len(newer) > limit:
                    newer.pop()
        return list(newer)
