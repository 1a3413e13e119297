"""Control messages of Asterisk's chan_websocket, in both of their forms: plain text and JSON.

Source: `channels/chan_websocket.c` of Asterisk (August 2026), and "WebSocket Channel Driver" of its documentation.
Audio comes as binary messages of the channel's format, without any header.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from rtemo.io.gateways.peer import PeerError
from rtemo.io.pcm import SampleType


class Format(NamedTuple):
    """What a name of Asterisk's for a format stands for."""

    codec: SampleType
    rate_hz: int


FORMATS: Mapping[str, Format] = {
    "ulaw": Format("mulaw", 8_000),
    "alaw": Format("alaw", 8_000),
    "slin": Format("s16le", 8_000),
    "slin12": Format("s16le", 12_000),
    "slin16": Format("s16le", 16_000),
    "slin24": Format("s16le", 24_000),
    "slin32": Format("s16le", 32_000),
    "slin44": Format("s16le", 44_100),
    "slin48": Format("s16le", 48_000),
    "slin96": Format("s16le", 96_000),
}
"""`slin` is in the byte order of Asterisk's machine, and little-endian is what every one of them has."""

_MOST_NAME_CHARS, _MOST_DIGITS = 128, 9
_decode_json = msgspec.json.Decoder(dict[str, Any]).decode
_encode_json = msgspec.json.Encoder().encode


class Said(NamedTuple):
    """A control message.

    Attributes:
        event: Its name: `MEDIA_START`, `MEDIA_XOFF`, `STATUS`, …
        facts: What stands beside it, as text.
        is_json: Whether it was JSON, so that answers must be.
    """

    event: str
    facts: dict[str, str]
    is_json: bool

    def number(self, name: str) -> int:
        """Give a fact that is a count; 0 where it is none, or one of more digits than any has."""
        text = self.facts.get(name, "")
        return int(text) if len(text) <= _MOST_DIGITS and text.isdecimal() else 0


class MediaStart(NamedTuple):
    """What is said of a channel that begins.

    Attributes:
        name: Unique id of the channel, or of the connection where a release leaves that out.
        format: How audio is encoded.
        frame_bytes: Bytes of a frame of what Asterisk takes.
        frame_s: How long one is.
    """

    name: str
    format: Format
    frame_bytes: int
    frame_s: float


def decode(text: str) -> Said:
    """Read a control message.

    >>> decode("MEDIA_START connection_id:a channel:WebSocket/a/0x1 format:ulaw optimal_frame_size:160").facts["format"]
    'ulaw'
    >>> decode('{"event": "STATUS", "queue_length": 7}')
    Said(event='STATUS', facts={'queue_length': '7'}, is_json=True)

    Raises:
        PeerError: It is none.
    """
    if text.lstrip()[:1] == "{":
        try:
            said = _decode_json(text)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise PeerError(f"sent {len(text)} bytes that are no JSON") from None
        event = said.pop("event", "")
        if not isinstance(event, str) or not event:
            raise PeerError("sent JSON without an `event`")
        facts = {key: str(value) for key, value in said.items() if isinstance(value, str | int)}
        return Said(event, facts, True)
    words = text.split(" ")
    facts = {}
    last = ""
    for word in words[1:]:
        key, colon, value = word.partition(":")
        if colon and key.isidentifier():
            facts[last := key] = value
        elif last:
            facts[last] += f" {word}"  # only what people are told has spaces in it
    return Said(words[0], facts, False)


def media_start(said: Said) -> MediaStart:
    """Read the message that a channel begins with.

    Raises:
        PeerError: It names no channel, or a format that is not taken.
    """
    facts = said.facts
    name = facts.get("channel_id") or facts.get("connection_id") or ""
    if not name or len(name) > _MOST_NAME_CHARS:
        raise PeerError("sent a MEDIA_START without the id of its channel")
    format = FORMATS.get(facts.get("format", ""))
    if format is None:
        got = facts.get("format", "")[:40]
        raise PeerError(f"announces the format {got!r}, expected one of {', '.join(FORMATS)}; dial it with c(slin16)")
    width = 2 if format.codec == "s16le" else 1
    usual_bytes = width * format.rate_hz // 50
    frame_bytes = said.number("optimal_frame_size") or usual_bytes
    if frame_bytes > width * format.rate_hz or frame_bytes % width:
        raise PeerError(f"announces frames of {frame_bytes} bytes, expected whole samples and a second at most")
    return MediaStart(name, format, frame_bytes, frame_bytes / (width * format.rate_hz))


def command(name: str, is_json: bool) -> str:
    """Write a command to the channel.

    >>> command("FLUSH_MEDIA", is_json=False), command("FLUSH_MEDIA", is_json=True)
    ('FLUSH_MEDIA', '{"command":"FLUSH_MEDIA"}')
    """
    return _encode_json({"command": name}).decode() if is_json else name
