"""SenderClock: from a sender's own time to UTC, by the packets that were the quickest to arrive."""

_BUCKET_NS = 10_000_000_000


class SenderClock:
    """Tells when audio was captured, from where it stands in the sender's time.

    Jitter only ever makes a packet later, so the least difference between arrival and sender's time is the one
    nearest to the truth. It is the least of the last 10 to 20 s: two clocks drift apart.

    >>> clock = SenderClock()
    >>> clock.capture_ns(20_000_000, 1_000_000_000), clock.capture_ns(40_000_000, 1_500_000_000)
    (1000000000, 1020000000)
    """

    __slots__ = ("_before", "_now", "_since_ns")

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Forget the sender: its time begins anew."""
        self._before: int | None = None
        self._now: int | None = None
        self._since_ns = 0

    def capture_ns(self, sender_ns: int, now_ns: int) -> int:
        """Give the UTC in ns at which a moment of the sender's time was.

        Args:
            sender_ns: End of a packet's audio in the sender's time.
            now_ns: UTC at which the packet has arrived.
        """
        offset = now_ns - sender_ns
        if self._now is None or now_ns - self._since_ns > _BUCKET_NS:
            self._before, self._now, self._since_ns = self._now, offset, now_ns
        elif offset < self._now:
            self._now = offset
        least = self._now if self._before is None or self._now < self._before else self._before
        return sender_ns + least
