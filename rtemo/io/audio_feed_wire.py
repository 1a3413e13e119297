"""The wire format of the audio feed: topics, and the notes between the packets.

A packet is that of the ingest (`rtemo.io.audio_wire`), so what one engine gives another can take. A note is a JSON
object with `op`; the first byte tells them apart: `{` is a note. See docs/wire.md.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

from rtemo.io.topics import event_topic
from rtemo.io.wire import decoded

AUDIO_SCHEMA = "rtemo.audio/1"


class AudioStart(msgspec.Struct, tag_field="op", tag="start", kw_only=True, omit_defaults=True):
    """A stream begins; its packets follow, the first one with sequence 0."""

    schema: str
    epoch: Annotated[str, Meta(description="Random name of the feed's life; another one means a restart.")]
    call: str
    channel: str
    role: Annotated[str, Meta(description="Who speaks on the channel; absent when unknown.")] = ""
    codec: Annotated[str, Meta(description="`s16le` or `f32le`.")]
    sample_rate_hz: int


class AudioEnd(msgspec.Struct, tag_field="op", tag="end", kw_only=True):
    """A stream has ended; nothing of it follows."""

    schema: str
    epoch: Annotated[str, Meta(description="Random name of the feed's life.")]
    call: str
    channel: str
    sequence: Annotated[int, Meta(description="What the next packet would have had: shows what was lost at the end.")]
    end_sample: Annotated[int, Meta(description="One past the last sample of the stream.")]


class AudioBeat(msgspec.Struct, tag_field="op", tag="beat", kw_only=True):
    """Sign of life, on the topic `v1/<tenant>/_hb/`."""

    schema: str
    epoch: Annotated[str, Meta(description="Random name of the feed's life.")]
    t_pub_ms: Annotated[float, Meta(description="UTC in ms when it was published.")]
    interval_ms: Annotated[float, Meta(description="Time until the next one.")]
    streams: Annotated[int, Meta(description="Streams that are open now.")]


Note = AudioStart | AudioEnd | AudioBeat

_NOTE = msgspec.json.Decoder(Note)
_ENCODER = msgspec.json.Encoder()


def audio_topic(tenant: str, call: str, channel: str) -> str:
    """Build the topic of a stream's audio.

    >>> audio_topic("main", "call 1", "0")
    'v1/main/call%201/0/audio/'
    """
    return event_topic(tenant, call, channel, "audio")


def encode_note(note: Note) -> bytes:
    """Write a note."""
    return _ENCODER.encode(note)


def decode_note(message: bytes) -> Note:
    """Read a note.

    Raises:
        WireError: It is none.
    """
    note: Note = decoded(_NOTE, message, "no note of an audio feed")
    return note
