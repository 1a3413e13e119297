"""The wire format between a front and its workers: messages of many clients in one frame.

Each message stands behind its length and the address of its client, little-endian:

| bytes | |
|---|---|
| 2 | length of the address, A |
| 4 | length of the message, M |
| A | address of the client's connection |
| M | the message, as it came or as it is to go out |
"""

import struct
from collections.abc import Iterator

_HEAD = struct.Struct("<HI")

BUNDLE_BYTES = 65_536
"""A bundle this long is sent at once."""


class Bundle:
    """Messages on their way, gathered until they are taken.

    Attributes:
        size_bytes: Length so far.
    """

    __slots__ = ("_parts", "size_bytes")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, client: bytes, message: bytes) -> None:
        """Put a message of a client, or for one, at the end."""
        self._parts += (_HEAD.pack(len(client), len(message)), client, message)
        self.size_bytes += _HEAD.size + len(client) + len(message)

    def take(self) -> bytes:
        """Give everything gathered as one frame, and begin again."""
        frame = b"".join(self._parts)
        self._parts.clear()
        self.size_bytes = 0
        return frame


def split(frame: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Give the clients and messages of a frame; it comes from a process of ours and is not checked.

    >>> bundle = Bundle()
    >>> bundle.add(b"a", b"audio")
    >>> list(split(bundle.take()))
    [(b'a', b'audio')]
    """
    unpack, head_bytes, at, end = _HEAD.unpack_from, _HEAD.size, 0, len(frame)
    while at < end:
        client_bytes, message_bytes = unpack(frame, at)
        begin = at + head_bytes + client_bytes
        at = begin + message_bytes
        yield frame[begin - client_bytes : begin], frame[begin:at]
