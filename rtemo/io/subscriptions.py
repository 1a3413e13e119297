"""Subscriptions: what is subscribed to on an XPUB socket, and how much each subscriber may ask for."""

import contextlib
import ctypes
import time
from collections import Counter

import zmq

from rtemo.io.connections import shut
from rtemo.io.sockets import Socket

MAX_PREFIX_BYTES = 1023
"""Longest prefix: a topic of the longest names that our own clients use fits."""

SUBSCRIPTION_BYTES = MAX_PREFIX_BYTES + 1
"""Longest message a subscriber has to send: one byte and a topic."""

CLIENT_PREFIX_BYTES = 1 << 18
"""Prefixes of one connection together. libzmq takes about 37 bytes for each of them."""

ALL_PREFIX_BYTES = 1 << 22
"""Prefixes of all connections together."""

_QUEUE = 100  # read from the network at once: libzmq works through its queue before it returns
_MESSAGES = 256  # taken in one turn
_TURN_S = 0.002
_TRIM_BYTES = CLIENT_PREFIX_BYTES // 4


class Subscriptions:
    """Follows the prefixes on a socket; a connection that asks for too many is cut off.

    Args:
        socket: An XPUB socket that is not bound yet.

    Attributes:
        refused: Connections cut off so far.
    """

    def __init__(self, socket: Socket) -> None:
        socket.rcvhwm = _QUEUE
        self.refused = 0
        self._socket = socket
        self._owner: dict[bytes, int] = {}  # prefix → descriptor of the connection that was first to ask for it
        self._owned_bytes: Counter[int] = Counter()
        self._all_bytes = 0
        self._most_bytes = 0
        self._lengths: Counter[int] = Counter()

    def __len__(self) -> int:
        return len(self._owner)

    @property
    def prefixes(self) -> list[bytes]:
        """What is subscribed to now."""
        return list(self._owner)

    def serve(self) -> list[bytes]:
        """Take what subscribers have sent, within bounds of number and time; give the prefixes that are new."""
        new: list[bytes] = []
        until_s = time.monotonic() + _TURN_S
        for _ in range(_MESSAGES):
            try:
                frame = self._socket.recv(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                break
            message = frame.bytes
            if message[:1] == b"\x01":
                self._add(message[1:], frame)
                new.append(message[1:])
            elif message[:1] == b"\x00":
                self._remove(message[1:])
            if time.monotonic() > until_s:
                break
        if self._most_bytes - self._all_bytes > _TRIM_BYTES:
            self._most_bytes = self._all_bytes
            _return_memory()
        return new

    def wants(self, topic: bytes) -> bool:
        """Tell whether somebody has subscribed to a topic. Any thread."""
        owner, size = self._owner, len(topic)
        return any(length <= size and topic[:length] in owner for length in tuple(self._lengths))

    def _add(self, prefix: bytes, frame: zmq.Frame) -> None:
        descriptor = -1
        with contextlib.suppress(zmq.ZMQError):  # one inside this process has none
            descriptor = int(frame.get(zmq.SRCFD))
        if prefix not in self._owner:
            self._owner[prefix] = descriptor
            self._owned_bytes[descriptor] += len(prefix)
            self._all_bytes += len(prefix)
            self._most_bytes = max(self._most_bytes, self._all_bytes)
            self._lengths[len(prefix)] += 1
        is_too_much = self._owned_bytes[descriptor] > CLIENT_PREFIX_BYTES or self._all_bytes > ALL_PREFIX_BYTES
        if is_too_much and descriptor >= 0:
            self.refused += 1
            shut(descriptor)

    def _remove(self, prefix: bytes) -> None:
        descriptor = self._owner.pop(prefix, None)
        if descriptor is None:
            return
        self._owned_bytes[descriptor] -= len(prefix)
        if self._owned_bytes[descriptor] <= 0:
            del self._owned_bytes[descriptor]
        self._all_bytes -= len(prefix)
        self._lengths[len(prefix)] -= 1
        if not self._lengths[len(prefix)]:
            del self._lengths[len(prefix)]


def _return_memory() -> None:
    """Give memory that was freed back to the system; the C library keeps the small pieces of a prefix otherwise."""
    with contextlib.suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
