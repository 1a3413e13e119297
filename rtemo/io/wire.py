"""The wire format of everything that is published: events, heartbeats and states.

Additive only within version 1: readers ignore fields and kinds they do not know, and nothing is renamed or
removed. The JSON Schema under docs/schema is generated from these types.
"""

from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from rtemo.api import SHARED_TYPES
from rtemo.api.errors import RtemoError
from rtemo.extensions import payload_types

EVENT_SCHEMA = "rtemo.event/1"
HEARTBEAT_SCHEMA = "rtemo.heartbeat/1"
STATE_SCHEMA = "rtemo.state/1"

Encoding = Literal["json", "msgpack"]

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoders raise at what strangers send."""

Data = TypeVar("Data")
"""A payload: of a type of `rtemo.api` or of an installed plugin, or a plain dict when its kind is unknown here."""


class WireError(RtemoError):
    """A message that is not of this format."""


class EventPolicy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Under what rule the event came about."""

    purpose: str = ""


class WireEvent(msgspec.Struct, Generic[Data], kw_only=True, omit_defaults=True):
    """One event as it travels: the payload with its place in the call, its numbers and its times."""

    schema: str
    epoch: Annotated[str, Meta(description="Random name of the publisher's life; another one means a restart.")]
    seq: Annotated[int, Meta(description="Counts the events of this topic from 1 without gaps: a jump is a loss.")]
    pub_seq: Annotated[int, Meta(description="Counts all events of the publisher; snapshot and replay refer to it.")]
    stream_seq: Annotated[
        int, Meta(description="Counts the events the engine made about this stream, all kinds; shows drops before us.")
    ]
    call: Annotated[str, Meta(description="Name of the call; empty for events about the engine itself.")]
    channel: Annotated[str, Meta(description="Channel within the call.")]
    role: Annotated[str, Meta(description="Who speaks on the channel; absent when unknown.")] = ""
    kind: Annotated[str, Meta(description="What it is about; the same as `data.kind`.")]
    plugin: Annotated[str, Meta(description="Who found it.")]
    start_sample: Annotated[int, Meta(description="First sample it is about, from the start of the stream.")]
    end_sample: Annotated[int, Meta(description="One past the last sample.")]
    t0_ms: Annotated[float, Meta(description="start_sample as ms from the start of the stream.")]
    t1_ms: Annotated[float, Meta(description="end_sample as ms from the start of the stream.")]
    t_capture_ms: Annotated[
        float | None, Meta(description="UTC in ms when end_sample was captured; absent when unknown.")
    ] = None
    t_pub_ms: Annotated[float, Meta(description="UTC in ms when it was published.")]
    age_ms: Annotated[float | None, Meta(description="t_pub_ms - t_capture_ms: how old the news is.")] = None
    policy: Annotated[EventPolicy | None, Meta(description="Under what rule it came about.")] = None
    data: Annotated[Data, Meta(description="The payload; an object whose `kind` tells its type.")]

    @property
    def start_s(self) -> float:
        """`t0_ms` in seconds, as `rtemo.api.Event.start_s`; not a part of the message."""
        return self.t0_ms / 1000.0

    @property
    def end_s(self) -> float:
        """`t1_ms` in seconds, as `rtemo.api.Event.end_s`; not a part of the message."""
        return self.t1_ms / 1000.0


class Heartbeat(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Sign of life with the last numbers, so that a subscriber can tell silence from loss.

    The one on `v1/<tenant>/_hb/` lists the active calls; the one on `v1/<tenant>/<call>/_hb/` the topics of
    the call.
    """

    schema: str
    epoch: Annotated[str, Meta(description="Random name of the publisher's life.")]
    pub_seq: Annotated[int, Meta(description="Number of the last event published before this.")]
    t_pub_ms: Annotated[float, Meta(description="UTC in ms when it was published.")]
    interval_ms: Annotated[float, Meta(description="Time until the next one.")]
    call: Annotated[str | None, Meta(description="The call it is about; absent for all.")] = None
    calls: Annotated[dict[str, int], Meta(description="Active call → pub_seq of its last event.")] = {}
    seqs: Annotated[dict[str, int], Meta(description="Topic of the call → seq of its last event.")] = {}


class LatestEvent(msgspec.Struct, Generic[Data], kw_only=True, omit_defaults=True):
    """The last event of its kind on a channel."""

    seq: int
    t1_ms: Annotated[float, Meta(description="Where it ends, in ms from the start of the stream.")]
    t_capture_ms: Annotated[float | None, Meta(description="UTC in ms when that was captured.")] = None
    data: Annotated[Data, Meta(description="The payload.")]


class ChannelState(msgspec.Struct, Generic[Data], kw_only=True, omit_defaults=True):
    """The last of everything known about one channel."""

    role: str = ""
    is_open: Annotated[bool, Meta(description="Whether the stream still runs.")]
    latest: Annotated[
        dict[str, LatestEvent[Data]],
        Meta(description="Kind → last event; a kind that speaks of several things as `<kind>.<thing>`."),
    ]


class CallState(msgspec.Struct, Generic[Data], kw_only=True):
    """The latest state of one call in one message: each one replaces the one before."""

    schema: str
    epoch: Annotated[str, Meta(description="Random name of the publisher's life.")]
    pub_seq: Annotated[int, Meta(description="Number of the last event that is included.")]
    t_pub_ms: Annotated[float, Meta(description="UTC in ms when it was published.")]
    call: Annotated[str, Meta(description="Name of the call.")]
    channels: Annotated[dict[str, ChannelState[Data]], Meta(description="Channel → its state.")]


class _Decoders:
    """All decoders of one encoding; those of kinds that only installed plugins know are made when one comes."""

    def __init__(self, module: Any) -> None:
        self.event = module.Decoder(WireEvent[msgspec.Raw])
        self.heartbeat = module.Decoder(Heartbeat)
        self.state = module.Decoder(CallState[msgspec.Raw])
        self._make = module.Decoder
        self._payloads = {kind: module.Decoder(cls) for kind, cls in SHARED_TYPES.items()}
        self.tag = module.Decoder(_Tag)
        self.anything = module.Decoder()

    def payload(self, kind: str, data: msgspec.Raw) -> Any:
        """Decode a payload to its type, or to a plain dict when its kind is unknown or has changed too much."""
        decoder = self._payloads.get(kind) or self._learn(kind)
        try:
            return decoder.decode(data)
        except msgspec.ValidationError:
            return self.anything.decode(data)

    def _learn(self, kind: str) -> Any:
        cls = payload_types().get(kind)
        if cls is None:
            return self.anything
        return self._payloads.setdefault(kind, self._make(cls))


class _Tag(msgspec.Struct):
    kind: str = ""


_JSON = _Decoders(msgspec.json)
_MSGPACK = _Decoders(msgspec.msgpack)


def _as_builtin(value: Any) -> Any:
    """Write a NumPy number or array as what it holds: plugins compute with NumPy, and one must not stop the feed."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise NotImplementedError(f"objects of type {type(value).__name__} cannot be written in an event")


_JSON_ENCODER = msgspec.json.Encoder(enc_hook=_as_builtin)
_MSGPACK_ENCODER = msgspec.msgpack.Encoder(enc_hook=_as_builtin)


def encode(message: msgspec.Struct, encoding: Encoding = "json") -> bytes:
    """Write an event, heartbeat or state as bytes."""
    return (_JSON_ENCODER if encoding == "json" else _MSGPACK_ENCODER).encode(message)


def decoded(decoder: Any, message: bytes, what: str, mend: str = "") -> Any:
    """Read a message by a decoder of msgspec, believing nothing.

    Args:
        decoder: Of its type.
        message: As it came.
        what: What it is when it cannot be read, as "no request".
        mend: What to do then.

    Raises:
        WireError: It cannot be read; the text is for whoever wrote the other end.
    """
    try:
        return decoder.decode(message)
    except UNREADABLE as error:
        raise WireError(f"got {len(message)} bytes that are {what}: {error}", mend) from None


def decode_event(message: bytes) -> WireEvent[Any]:
    """Read an event from JSON or MessagePack; which of them shows in the first byte.

    `data` becomes the payload type of its kind, which an installed plugin may have declared, or a plain dict when the
    kind is unknown.

    Raises:
        WireError: It is not an event.
    """
    decoders = _decoders(message)
    try:
        event: WireEvent[Any] = decoders.event.decode(message)
        event.data = decoders.payload(event.kind, event.data)
    except UNREADABLE as error:
        raise WireError(f"got {len(message)} bytes that are not an event: {error}") from None
    return event


def decode_payload(kind: str, data: msgspec.Raw, encoding: Encoding = "json") -> Any:
    """Read a payload that was left undecoded: to the type of its kind, or to a plain dict when the kind is unknown."""
    return (_JSON if encoding == "json" else _MSGPACK).payload(kind, data)


def decode_heartbeat(message: bytes) -> Heartbeat:
    """Read a heartbeat.

    Raises:
        WireError: It is not a heartbeat.
    """
    heartbeat: Heartbeat = decoded(_decoders(message).heartbeat, message, "not a heartbeat")
    return heartbeat


def decode_state(frame: bytes) -> CallState[Any]:
    """Read a message of the state socket: topic, a space, and the state of the call.

    Raises:
        WireError: It is not a state.
    """
    message = frame[frame.find(b" ") + 1 :]
    decoders = _decoders(message)
    try:
        state: CallState[Any] = decoders.state.decode(message)
        for channel in state.channels.values():
            for item in channel.latest.values():
                item.data = decoders.payload(decoders.tag.decode(item.data).kind, item.data)
    except UNREADABLE as error:
        raise WireError(f"got {len(message)} bytes that are not a state: {error}") from None
    return state


def utc_ms(time_ns: int) -> float:
    """Convert UTC ns to ms with a resolution of 1 us, which is all that a float holds."""
    return time_ns // 1000 / 1000


def _decoders(message: bytes) -> _Decoders:
    return _JSON if message[:1] == b"{" else _MSGPACK
