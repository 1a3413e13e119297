"""The wire format between a front and its workers, and between it and its own sources: many clients in one frame.

Each message stands behind its length and the address of its client, little-endian:

| bytes | |
|---|---|
| 2 | length of the address, A |
| 4 | length of the message, M |
| A | address of the client's connection |
| M | the message, as it came or as it is to go out |

The first byte of an address at a worker is the front's: it tells clients that have connected from streams of the
front's own sources, whose word is taken for more.
"""

import struct
from collections.abc import Iterator

import msgspec

from rtemo.io.audio_wire import Alive, End, Hello, Open, Request, decode_request
from rtemo.io.wire import WireError

_HEAD = struct.Struct("<HI")

BUNDLE_BYTES = 65_536
"""A bundle this long is sent at once."""

CONNECTED = b"c"
_OWN = b"o"


class OwnOpen(Open, tag_field="op", tag="open", kw_only=True, omit_defaults=True):
    """Opens a stream of one of the server's own sources, which says what clients may not."""

    source: str = ""
    """Name of the source; empty in what a client has asked for, of which the rest does not hold."""
    is_estimate: bool = False
    reorder_s: float = 0.0
    """How long a packet is held while one before it is missing."""
    lost_s: float = 2.0
    """Time without audio after which the stream is reported as lost."""


_RELAYED = msgspec.json.Decoder(Hello | OwnOpen | End | Alive)


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
    """Give the clients and messages of a frame, which comes from a process of ours.

    >>> bundle = Bundle()
    >>> bundle.add(b"a", b"audio")
    >>> list(split(bundle.take()))
    [(b'a', b'audio')]

    Raises:
        WireError: It ends within a message; those before it have been given.
    """
    unpack, head_bytes, at, end = _HEAD.unpack_from, _HEAD.size, 0, len(frame)
    while at < end:
        begin = at + head_bytes
        if begin <= end:
            client_bytes, message_bytes = unpack(frame, at)
            begin += client_bytes
            at = begin + message_bytes
        if max(begin, at) > end:
            raise WireError(f"a bundle of {end} bytes ends within a message", "all processes must be of one release")
        yield frame[begin - client_bytes : begin], frame[begin:at]


def own_client(source: bytes, address: bytes) -> bytes:
    """Make the address of a stream of one of the server's own sources.

    >>> own_source(own_client(b"twilio", b"1"))
    (b'twilio', b'1')
    """
    return own_prefix(source) + address


def own_prefix(source: bytes) -> bytes:
    """Give what the addresses of all streams of one of the server's own sources begin with."""
    return _OWN + bytes([len(source)]) + source


def own_source(client: bytes) -> tuple[bytes, bytes]:
    """Give source and address back from `own_client`."""
    begin = 2 + client[1]
    return client[2:begin], client[begin:]


def is_own(client: bytes) -> bool:
    """Tell whether an address is that of a stream of one of the server's own sources."""
    return client[:1] == _OWN


def decode_relayed(message: bytes) -> Request:
    """Read a control message that comes by way of a front or from a source of its own.

    Raises:
        WireError: It is none.
    """
    return decode_request(message, _RELAYED)
