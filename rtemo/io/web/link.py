"""Link: how events go from the engine to the process of the web server, without ever waiting for it."""

import socket
import struct
from asyncio import IncompleteReadError, StreamReader
from typing import NamedTuple

import msgspec

_HEAD = struct.Struct(">BHI")  # what it is, length of the key, length of the message
EVENT, BEAT, OPENING = 1, 2, 3
_FULL_BYTES = 16 << 20


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """First message to the process."""

    epoch: str
    purpose: str
    origin: str
    """As `http://127.0.0.1:8765`."""
    is_local: bool
    options: dict[str, object]


class Frame(NamedTuple):
    """One message: `EVENT`, `BEAT` or `OPENING`, under what key its last value is kept, and its bytes."""

    what: int
    key: str
    message: bytes


class LinkWriter:
    """The engine's end: a bounded buffer before a socket that never blocks.

    Args:
        end: A connected stream socket.
        full_bytes: Most that waits; what finds no room is dropped and counted.

    Attributes:
        dropped_events: Events that found no room; the reader sees a jump of their numbers.
    """

    def __init__(self, end: socket.socket, full_bytes: int = _FULL_BYTES) -> None:
        end.setblocking(False)
        self.dropped_events = 0
        self._socket = end
        self._waiting = bytearray()
        self._full_bytes = full_bytes

    def put(self, what: int, message: bytes, key: str = "") -> None:
        """Add a message, if there is room."""
        if len(self._waiting) + len(message) > self._full_bytes:
            self.dropped_events += what == EVENT
            return
        name = key.encode()
        self._waiting += _HEAD.pack(what, len(name), len(message)) + name + message

    def flush(self) -> None:
        """Send what the socket takes.

        Raises:
            OSError: The reader has gone.
        """
        while self._waiting:
            try:
                sent = self._socket.send(self._waiting)
            except BlockingIOError:
                return
            del self._waiting[:sent]

    def close(self) -> None:
        """Close the socket, which ends the reader."""
        self._socket.close()


async def read_frame(reader: StreamReader) -> Frame | None:
    """Read the next message; None when the writer has gone."""
    try:
        what, key_bytes, message_bytes = _HEAD.unpack(await reader.readexactly(_HEAD.size))
        key = (await reader.readexactly(key_bytes)).decode()
        return Frame(what, key, await reader.readexactly(message_bytes))
    except (IncompleteReadError, ConnectionError):
        return None
