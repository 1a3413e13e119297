"""What the process that listens tells the process that draws, through a pipe: framed MessagePack."""

import contextlib

import msgspec

from rtemo.api import Event
from rtemo.config import ListenOptions
from rtemo.io.wire import decode_payload, encode

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


class _Tag(msgspec.Struct):
    kind: str = ""


class _RawEvent(msgspec.Struct):
    """An event whose payload is looked at once its kind is known."""

    call: str
    channel: str
    plugin: str
    seq: int
    start_sample: int
    end_sample: int
    capture_ns: int
    emit_ns: int
    data: msgspec.Raw


class _RawHeard(msgspec.Struct, frozen=True, tag="heard"):
    event: _RawEvent


_DECODER = msgspec.msgpack.Decoder(Opening | Lasting | _RawHeard | Closing)
_TAGS = msgspec.msgpack.Decoder(_Tag)


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
                elif (event := _event_of(message.event)) is not None:
                    messages.append(Heard(event))
            at = end
        del self._rest[:at]
        return messages


def _event_of(raw: _RawEvent) -> Event | None:
    data = decode_payload(_TAGS.decode(raw.data).kind, raw.data, "msgpack")
    if not isinstance(data, msgspec.Struct):
        return None
    return Event(**{**msgspec.structs.asdict(raw), "data": data})
