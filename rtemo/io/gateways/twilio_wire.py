"""Messages of Twilio Media Streams, as they come over the WebSocket.

Source: Twilio's "Media Streams - WebSocket Messages". Numbers are written as text there (`"chunk": "2"`); stand-ins for
Twilio write them as numbers, or leave them out, and both are taken.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from rtemo.io.gateways.peer import PeerError

RATE_HZ = 8_000
MOST_BYTES = RATE_HZ  # a second; Twilio sends 20 ms
TRACKS = ("inbound", "outbound")

_Count = Annotated[int, Meta(ge=0, lt=1 << 48)]
_Sid = Annotated[str, Meta(min_length=1, max_length=128)]


class Format(msgspec.Struct, rename="camel"):
    """How audio is encoded."""

    encoding: str = "audio/x-mulaw"
    sample_rate: int = RATE_HZ
    channels: int = 1


class StartBody(msgspec.Struct, rename="camel"):
    """Facts of a stream that begins."""

    call_sid: _Sid
    stream_sid: str = ""
    tracks: tuple[str, ...] = ("inbound",)
    media_format: Format = msgspec.field(default_factory=Format)


class MediaBody(msgspec.Struct):
    """Audio of one track; `timestamp` is its begin in ms since the stream began, `chunk` counts within the track."""

    payload: bytes
    track: str = "inbound"
    chunk: _Count | None = None
    timestamp: _Count | None = None


class Connected(msgspec.Struct, tag_field="event", tag="connected"):
    """The first message."""


class Start(msgspec.Struct, tag_field="event", tag="start", rename="camel"):
    """A stream begins."""

    start: StartBody
    stream_sid: str = ""


class Media(msgspec.Struct, tag_field="event", tag="media"):
    """Audio."""

    media: MediaBody


class MarkBody(msgspec.Struct):
    """Name of a mark."""

    name: str = ""


class Mark(msgspec.Struct, tag_field="event", tag="mark"):
    """All audio that was sent back before a mark of ours has been played, or thrown away by `clear`."""

    mark: MarkBody = msgspec.field(default_factory=MarkBody)


class Stop(msgspec.Struct, tag_field="event", tag="stop"):
    """The stream is over."""


class Other(msgspec.Struct):
    """A message that says nothing about audio: `dtmf` (whose digits may be a card's number), and new ones."""

    event: str


Message = Connected | Start | Media | Mark | Stop | Other

_decode = msgspec.json.Decoder(Connected | Start | Media | Mark | Stop, strict=False).decode
_decode_other = msgspec.json.Decoder(Other).decode
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_KNOWN = ("connected", "start", "media", "mark", "stop")
_encode = msgspec.json.Encoder().encode


def decode(text: str | bytes) -> Message:
    r"""Read a message, believing nothing.

    >>> decode('{"event": "media", "media": {"chunk": "2", "timestamp": "20", "payload": "//8="}}').media.payload
    b'\xff\xff'

    Raises:
        PeerError: It is none.
    """
    try:
        message: Message = _decode(text)
        return message
    except msgspec.ValidationError as error:
        problem = str(error)
    except _NO_JSON:
        raise PeerError(f"sent {len(text)} bytes that are no JSON") from None
    try:
        other = _decode_other(text)
    except msgspec.ValidationError:
        raise PeerError("sent JSON without an `event`") from None
    except _NO_JSON:  # what is wrong with it stands behind what could not be read
        raise PeerError(f"sent {len(text)} bytes that are no JSON") from None
    if other.event in _KNOWN:
        raise PeerError(f"sent a {other.event!r} that cannot be read ({problem})")
    return other


def check_start(start: StartBody) -> tuple[str, ...]:
    """Give the tracks of a stream that begins.

    Raises:
        PeerError: Its audio is not what Twilio sends, or it has no track that is known.
    """
    media = start.media_format
    if (media.encoding, media.sample_rate, media.channels) != ("audio/x-mulaw", RATE_HZ, 1):
        got = f"{media.encoding[:40]} of {media.sample_rate} Hz and {media.channels} channels"
        raise PeerError(f"announces {got}, expected audio/x-mulaw of {RATE_HZ} Hz and 1 channel")
    tracks = tuple(track for track in TRACKS if track in start.tracks or f"{track}_track" in start.tracks)
    if not tracks:
        raise PeerError(f"announces no track of {', '.join(TRACKS)}")
    return tracks


def media(stream_sid: str, payload: bytes) -> str:
    r"""Write audio that is to be played, mu-law of 8 kHz.

    >>> media("MZ1", b"\xff")
    '{"event":"media","streamSid":"MZ1","media":{"payload":"/w=="}}'
    """
    return _encode({"event": "media", "streamSid": stream_sid, "media": {"payload": payload}}).decode()


def mark(stream_sid: str, name: str) -> str:
    """Write a mark, which comes back when what was sent before it has been played."""
    return _encode({"event": "mark", "streamSid": stream_sid, "mark": {"name": name}}).decode()


def clear(stream_sid: str) -> str:
    """Write that what has not been played is to be thrown away."""
    return _encode({"event": "clear", "streamSid": stream_sid}).decode()
