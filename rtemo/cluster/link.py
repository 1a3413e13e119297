"""Link: one end of the connection between a front and a worker, which carries everything but audio."""

import socket
import struct
import threading
from collections.abc import Iterator

import msgspec

from rtemo.io.wire import encode

_LENGTH = struct.Struct("<I")
_READ_BYTES = 1 << 18
_BUFFER_BYTES = 4 << 20
"""Asked of the system for what is on its way: a second of events, so that a front that is held up holds nobody up."""


def link_pair() -> tuple[socket.socket, socket.socket]:
    """Make the two ends of a link."""
    ends = socket.socketpair()
    for end in ends:
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES)
    return ends


class Link:
    """Sends and receives messages, each behind its length; any thread may send, one receives.

    Args:
        end: One end of a `link_pair`.
    """

    def __init__(self, end: socket.socket) -> None:
        self._socket = end
        self._lock = threading.Lock()
        self._read = bytearray()

    def fileno(self) -> int:
        """Give the number of the socket, for a selector."""
        return self._socket.fileno()

    def send(self, message: msgspec.Struct) -> None:
        """Send; waits while the other side does not read.

        Raises:
            OSError: Nobody is there any more.
        """
        data = encode(message, "msgpack")
        with self._lock:
            self._socket.sendall(_LENGTH.pack(len(data)) + data)

    def arrived(self) -> Iterator[bytes]:
        """Give the messages that are there whole, without waiting.

        Raises:
            EOFError, OSError: The other side has gone, and everything it said has been given.
        """
        try:
            data = self._socket.recv(_READ_BYTES, socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if not data:
            raise EOFError
        self._read += data
        yield from self._whole()

    def receive(self) -> bytes:
        """Wait for the next message.

        Raises:
            EOFError, OSError: The other side has gone.
        """
        while True:
            for message in self._whole(1):
                return message
            data = self._socket.recv(_READ_BYTES)
            if not data:
                raise EOFError
            self._read += data

    def close(self) -> None:
        """Close this end."""
        self._socket.close()

    def _whole(self, most: int = 0) -> Iterator[bytes]:
        at, head, count = 0, _LENGTH.size, 0
        while len(self._read) - at >= head and not (most and count >= most):
            (length,) = _LENGTH.unpack_from(self._read, at)
            if len(self._read) - at - head < length:
                break
            message = bytes(self._read[at + head : at + head + length])
            at += head + length
            count += 1
            if most:
                del self._read[:at]
                at = 0
            yield message
        del self._read[:at]
