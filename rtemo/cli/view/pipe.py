"""What the process that listens tells the process that draws, through a pipe: framed MessagePack."""

import contextlib

import msgspec

from rtemo.api import Event
from rtemo.config import ListenOptions
from rtemo.io.raw_event import RawEvent
from rtemo.io.wire import encode

_LENGTH_BYTES = 4


class Opening(msgspec.Struct, frozen=True, tag="opening"):
    """The first message: what is drawn, and how."""

    title: str
    options: ListenOptions


class Lasting(msgspec.Struct, frozen=True, tag="lasting"):
    """How long it will last."""

    duration_s: float


class Heard(msgspec.Struct, frozen=True, tag="heard"):
    """An event."""

    event: Event


class Closing(msgspec.Struct, frozen=True, tag="closing"):
    """The last message: a pipe that ends without it belonged to a process that was killed."""


Message = Opening | Lasting | Heard | Closing


class _RawHeard(msgspec.Struct, frozen=True, tag="heard"):
    event: RawEvent


_DECODER = msgspec.msgpack.Decoder(Opening | Lasting | _RawHeard | Closing)


def pack(message: Message) -> bytes:
    """Write a message with its length before it."""
    body = encode(message, "msgpack")
    return len(body).to_bytes(_LENGTH_BYTES, "little") + body


class Unpacker:
    """Takes pieces of any size and gives the whole messages in them."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> list[Message]:
        """Take what came through the pipe; one message that cannot be read is left out, the others are given."""
        self._rest += data
        messages: list[Message] = []
        at = 0
        while len(self._rest) >= at + _LENGTH_BYTES:
            end = at + _LENGTH_BYTES + int.from_bytes(self._rest[at : at + _LENGTH_BYTES], "little")
            if len(self._rest) < end:
                break
            with contextlib.suppress(msgspec.DecodeError):  # what a stranger's plugin says and no view can draw
                message = _DECODER.decode(self._rest[at + _LENGTH_BYTES : end])
                if not isinstance(message, _RawHeard):
                    messages.append(message)
                elif isinstance((event := message.event.whole()).data, msgspec.Struct):
                    messages.append(Heard(event))
            at = end
        del self._rest[:at]
        return messages
