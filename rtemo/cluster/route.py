"""Route: one stream of one client, seen from the front."""

import struct

from rtemo.io.audio_wire import HEADER_BYTES, Open

_PLACE = struct.Struct("<QQI")  # start sample, capture time, samples
_PLACE_AT = 16


class Route:
    """Where the messages of a stream go, and how much of it is on its way.

    Attributes:
        client: Address of the client's connection.
        request: What the client has asked for.
        worker: Number of the worker that has it.
        tried: Workers that had no room for it after all.
        is_open: Whether the worker has taken it.
        is_moving: Whether it is being ended there, to go on elsewhere.
        since_s: Monotonic time at which the worker was last asked to open it.
        head_bytes: Length of what stands before the samples in its packets.
        sent_bytes: Samples, in bytes, passed on since it was opened.
        limit_bytes: What the worker has granted.
        over_packets: Packets beyond that.
        last: The last packet passed on; empty before the first.
    """

    __slots__ = (
        "client",
        "head_bytes",
        "is_moving",
        "is_open",
        "last",
        "limit_bytes",
        "opening",
        "over_packets",
        "request",
        "sent_bytes",
        "since_s",
        "tried",
        "worker",
    )

    def __init__(self, client: bytes, names: bytes, request: Open, worker: int, now_s: float) -> None:
        self.client = client
        self.request = request
        self.worker = worker
        self.since_s = now_s
        self.tried: set[int] = set()
        self.is_open = self.is_moving = False
        self.head_bytes = HEADER_BYTES + len(names) - 2
        self.sent_bytes = self.limit_bytes = self.over_packets = 0
        self.opening = ""
        self.last = b""

    @property
    def end_sample(self) -> int | None:
        """Position after the last packet that was passed on; None before the first."""
        if not self.last:
            return None
        start_sample, _, count_samples = _PLACE.unpack_from(self.last, _PLACE_AT)
        return int(start_sample + count_samples)
