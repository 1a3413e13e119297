"""Messages of Genesys AudioHook, version 2.

Source: the AudioHook protocol of the Genesys Cloud developer center, and
purecloudlabs/audiohook-reference-implementation (`app/audiohook/src/protocol`).
"""

import re
from typing import Annotated, Any

import msgspec
import numpy as np
from msgspec import Meta

from rtemo.io.gateways.peer import PeerError
from rtemo.io.pcm import SampleType

RATE_HZ = 8_000
CHANNELS = ("external", "internal")
PROBE = "00000000-0000-0000-0000-000000000000"
"""Conversation of a session that only tries the connection."""

CODECS: dict[str, SampleType] = {"PCMU": "mulaw", "L16": "s16le"}

_DURATION = re.compile(r"PT(\d{1,9}(?:\.\d{1,9})?)S")

_Id = Annotated[str, Meta(min_length=1, max_length=64)]
_Count = Annotated[int, Meta(ge=0, lt=1 << 48)]


class ClientMessage(msgspec.Struct):
    """What every message of the client has."""

    version: str
    type: Annotated[str, Meta(max_length=64)]
    id: _Id
    seq: _Count
    serverseq: _Count = 0
    parameters: msgspec.Raw = msgspec.Raw(b"{}")


class Media(msgspec.Struct):
    """One way in which audio can be sent; channels are interleaved."""

    type: str
    format: str
    channels: list[str]
    rate: int


class Participant(msgspec.Struct):
    """Whose line it is."""

    id: str = ""


class OpenParameters(msgspec.Struct, rename="camel"):
    """Which call it is, and how its audio may be sent."""

    conversation_id: _Id
    media: list[Media]
    organization_id: str = ""
    participant: Participant = msgspec.field(default_factory=Participant)


class Skipped(msgspec.Struct):
    """Audio that is left out: where, and how much."""

    start: str
    discarded: str


_decode = msgspec.json.Decoder(ClientMessage).decode


def decode(text: str) -> ClientMessage:
    """Read a message, believing nothing.

    Raises:
        PeerError: It is none, or of another version.
    """
    try:
        message: ClientMessage = _decode(text)
    except msgspec.ValidationError as error:
        raise PeerError(f"sent a message that is none of AudioHook ({error})") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PeerError(f"sent {len(text)} characters that are no JSON") from None
    if message.version != "2":
        raise PeerError(f"speaks version {message.version[:20]!r} of AudioHook, expected '2'")
    return message


def parameters(message: ClientMessage, kind: type[Any]) -> Any:
    """Read what belongs to one type of message.

    Raises:
        PeerError: It cannot be read.
    """
    try:
        return msgspec.json.decode(message.parameters, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise PeerError(f"sent a {message.type!r} that cannot be read ({error})") from None


def choose(offers: list[Media]) -> Media | None:
    """Give the offer with most channels, of these the one with fewest bytes; None when none can be taken."""
    usable = [
        offer
        for offer in offers
        if offer.type == "audio"
        and offer.format in CODECS
        and offer.rate == RATE_HZ
        and offer.channels
        and len(set(offer.channels)) == len(offer.channels)
        and set(offer.channels) <= set(CHANNELS)
    ]
    return max(usable, key=lambda offer: (len(offer.channels), offer.format == "PCMU"), default=None)


def split(data: bytes, media: Media) -> list[bytes]:
    """Give the audio of each channel.

    >>> split(b"abab", Media("audio", "PCMU", ["external", "internal"], 8000))
    [b'aa', b'bb']

    Raises:
        PeerError: It is not a whole number of samples of every channel, or more than a second.
    """
    width = 2 if media.format == "L16" else 1
    count = len(media.channels)
    if len(data) % (width * count) or len(data) > RATE_HZ * width * count:
        raise PeerError(f"sent {len(data)} bytes of {media.format} audio of {count} channels in one message")
    if count == 1:
        return [data]
    frames = np.frombuffer(data, "<i2" if width == 2 else "u1").reshape(-1, count)
    return [frames[:, channel].tobytes() for channel in range(count)]


def duration_samples(text: str) -> int:
    """Give a duration in samples.

    >>> duration_samples("PT1.5S")
    12000

    Raises:
        PeerError: It is none.
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise PeerError(f"sent {text[:40]!r} as a duration, expected PT…S")
    return round(float(match[1]) * RATE_HZ)
