"""RawEvent: an event between two processes of one installation, whose payload is read once its kind is known."""

import msgspec

from rtemo.api import Event
from rtemo.io.wire import decode_payload


class RawEvent(msgspec.Struct):
    """An `Event` as MessagePack with its payload unread."""

    call: str
    channel: str
    plugin: str
    seq: int
    start_sample: int
    end_sample: int
    capture_ns: int
    emit_ns: int
    data: msgspec.Raw

    def whole(self) -> Event:
        """Give the event back; the payload of a kind that is not known here is a dict.

        Raises:
            msgspec.DecodeError: The payload is none of its kind.
        """
        data = decode_payload(_KIND.decode(self.data).kind, self.data, "msgpack")
        return Event(**{**msgspec.structs.asdict(self), "data": data})


class _Kind(msgspec.Struct):
    kind: str = ""


_KIND = msgspec.msgpack.Decoder(_Kind)
