"""The wire format of the ingest: binary audio packets one way, JSON control messages both ways.

Every message is one frame. A packet begins with the magic `RTMA`, a control message with `{`. Integers are
little-endian; see docs/wire.md for the header byte by byte.
"""

import re
import struct
from collections.abc import Callable
from typing import Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from rtemo.api.text import plain
from rtemo.io.pcm import BYTES_PER_SAMPLE, SampleType
from rtemo.io.wire import WireError, decoded

INGEST_SCHEMA = "rtemo.ingest/1"
MAGIC = b"RTMA"
VERSION = 1
MAX_MESSAGE_BYTES = 262_144
MAX_NAME_BYTES = 255
MAX_PACKET_S = 1.0
"""Longest packet; 20 ms is usual. A longer one would only add delay."""

RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000)
"""Rates that are taken; a stranger must not make us design filters for odd ones."""

CODECS: tuple[SampleType, ...] = ("s16le", "f32le", "mulaw", "alaw")
"""Codec number in the header minus one → sample type."""

PASSING_REFUSALS = ("in_use", "rate", "draining")
"""Codes of refusals that pass by themselves."""

PASSING_ENDS = ("source closed", "source failed", "idle", "no audio", "made room")
"""Reasons of ends after which a call may go on when it is opened again."""

_HEADER = struct.Struct("<4sBBBBIIQQI")
HEADER_BYTES = _HEADER.size
_SEQUENCE_MASK = 0xFFFF_FFFF

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_BYTES)]

# C0, DEL, C1, line separators, and controls of writing direction: nobody's name, and what a terminal would obey.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff]")


class AudioPacket(NamedTuple):
    """A decoded packet.

    Attributes:
        names: UTF-8 of call and channel with their lengths before them: the stream within a connection.
        codec: Sample type.
        rate_hz: Sample rate.
        sequence: Counts the packets of the stream, modulo 2^32.
        start_sample: Position of the first sample at `rate_hz`, from any origin; pauses count.
        capture_ns: UTC in ns when the last sample was captured; 0 when unknown.
        count_samples: Samples in the packet.
        payload: The samples.
        decode: Makes samples of the payload, where it is coded; called once, in the order of the packets.
    """

    names: bytes
    codec: SampleType
    rate_hz: int
    sequence: int
    start_sample: int
    capture_ns: int
    count_samples: int
    payload: memoryview
    decode: Callable[[memoryview], bytes] | None = None


def stream_names(call: str, channel: str) -> bytes:
    """Encode the name of a stream as it stands in every packet.

    Raises:
        WireError: A name is empty, longer than `MAX_NAME_BYTES`, or has control characters.
    """
    parts = [name.encode("utf-8", "replace") for name in (call, channel)]
    for part, name in zip(parts, (call, channel), strict=True):
        if not 1 <= len(part) <= MAX_NAME_BYTES or _CONTROL.search(name):
            raise WireError(
                f"got {name[:40]!r} as a name, expected 1 to {MAX_NAME_BYTES} bytes without control characters",
                "choose another name of the call or channel",
            )
    return bytes(map(len, parts)) + b"".join(parts)


def split_names(names: bytes) -> tuple[str, str]:
    """Give call and channel back from `stream_names`.

    >>> split_names(stream_names("call", "0"))
    ('call', '0')
    """
    begin, end = 2, 2 + names[0]
    return names[begin:end].decode("utf-8", "replace"), names[end:].decode("utf-8", "replace")


def names_in(packet: bytes) -> bytes:
    """Give the name of the stream that a packet is of, as `stream_names` encodes it, from a header that is there.

    >>> names_in(encode_packet(stream_names("call", "0"), "s16le", 8_000, 1, 0, 0, b"")) == stream_names("call", "0")
    True
    """
    return packet[6:8] + packet[HEADER_BYTES : HEADER_BYTES + packet[6] + packet[7]]


def encode_packet(
    names: bytes,
    codec: SampleType,
    rate_hz: int,
    sequence: int,
    start_sample: int,
    capture_ns: int,
    payload: bytes | memoryview,
) -> bytes:
    """Write a packet; `names` comes from `stream_names`, `payload` holds whole samples."""
    header = _HEADER.pack(
        MAGIC,
        VERSION,
        CODECS.index(codec) + 1,
        names[0],
        names[1],
        rate_hz,
        sequence & _SEQUENCE_MASK,
        start_sample,
        capture_ns,
        len(payload) // BYTES_PER_SAMPLE[codec],
    )
    return b"".join((header, names[2:], payload))


def decode_packet(message: bytes) -> AudioPacket:
    """Read a packet, believing nothing.

    Raises:
        WireError: It is no packet, of another version, or its parts contradict each other.
    """
    if len(message) < HEADER_BYTES:
        raise WireError(f"got a packet of {len(message)} bytes, expected {HEADER_BYTES} and more")
    (
        magic,
        version,
        codec_number,
        call_bytes,
        channel_bytes,
        rate_hz,
        sequence,
        start_sample,
        capture_ns,
        count_samples,
    ) = _HEADER.unpack_from(message)
    if magic != MAGIC or version != VERSION:
        raise WireError(f"got magic {magic!r} and version {version}, expected {MAGIC!r} and {VERSION}")
    if not 1 <= codec_number <= len(CODECS):
        raise WireError(f"got codec {codec_number}, expected 1 to {len(CODECS)}: {', '.join(CODECS)}")
    if not call_bytes or not channel_bytes:
        raise WireError("got a packet without the name of its call or channel")
    if rate_hz not in RATES_HZ:
        raise WireError(f"got a rate of {rate_hz} Hz, expected one of {', '.join(map(str, RATES_HZ))}")
    if not 0 < count_samples <= rate_hz * MAX_PACKET_S:
        raise WireError(f"got a packet of {count_samples} samples, expected 1 to {int(rate_hz * MAX_PACKET_S)}")
    if start_sample >= 1 << 62 or capture_ns >= 1 << 63:
        raise WireError("got a position or time that no real stream reaches")
    codec = CODECS[codec_number - 1]
    begin = HEADER_BYTES + call_bytes + channel_bytes
    expected_bytes = begin + count_samples * BYTES_PER_SAMPLE[codec]
    if len(message) != expected_bytes:
        raise WireError(f"got {len(message)} bytes, the header announces {expected_bytes}")
    return AudioPacket(
        names_in(message),
        codec,
        rate_hz,
        sequence,
        start_sample,
        capture_ns,
        count_samples,
        memoryview(message)[begin:],
    )


class Hello(msgspec.Struct, tag_field="op", tag="hello", kw_only=True):
    """Asks whether anybody is there; answered by `welcome`."""


class Open(msgspec.Struct, tag_field="op", tag="open", kw_only=True, omit_defaults=True):
    """Opens a stream; answered by `opened` or `refused`."""

    call: Name
    channel: Name = "0"
    codec: SampleType = "s16le"
    sample_rate_hz: Literal[RATES_HZ] = 8_000  # type: ignore[valid-type]
    role: Annotated[str, Meta(max_length=64, description="Who speaks (`customer`, `agent`); empty if unknown.")] = ""
    prefill_ms: (
        Annotated[float, Meta(ge=0, le=1000, description="Audio kept in hand against jitter; absent for the default.")]
        | None
    ) = None
    from_sample: (
        Annotated[
            int,
            Meta(
                ge=0,
                description="When a call goes on after its server was lost: position up to which all audio is known "
                "to have arrived there. What lies between it and the first packet is counted as lost.",
            ),
        ]
        | None
    ) = None


class End(msgspec.Struct, tag_field="op", tag="end", kw_only=True, omit_defaults=True):
    """Ends a stream; answered by `ended`."""

    call: Name
    channel: Name = "0"
    reason: Annotated[str, Meta(max_length=64)] = "end"


class Alive(msgspec.Struct, tag_field="op", tag="alive", kw_only=True, omit_defaults=True):
    """Keeps a stream without audio (a muted line) from being ended as idle."""

    call: Name
    channel: Name = "0"


class Welcome(msgspec.Struct, tag_field="op", tag="welcome", kw_only=True):
    """The server is there, and this is what it takes."""

    schema: str
    codecs: list[str]
    max_message_bytes: int


class Opened(msgspec.Struct, tag_field="op", tag="opened", omit_defaults=True):
    """The stream is open, and this much may be sent."""

    call: str
    channel: str
    limit_bytes: Annotated[
        int, Meta(description="Samples, in bytes, that may be sent in all since the stream was opened.")
    ]
    opening: Annotated[
        str,
        Meta(
            description="Random name of this opening. The same again: nothing has changed. Another one: the server "
            "has forgotten the earlier, what was sent counts from 0."
        ),
    ] = ""


class Credit(msgspec.Struct, tag_field="op", tag="credit", omit_defaults=True):
    """More may be sent."""

    call: str
    channel: str
    limit_bytes: Annotated[int, Meta(description="As in `opened`; replaces every earlier limit, never smaller.")]
    received_bytes: Annotated[int, Meta(description="Samples, in bytes, that have arrived since `opened`.")] = 0


class Refused(msgspec.Struct, tag_field="op", tag="refused"):
    """The stream was not opened."""

    call: str
    channel: str
    code: Annotated[
        str,
        Meta(
            description="`capacity` (try again later), `in_use`, `rate` (this client opens too many streams a second), "
            "`policy` (not as this role), `draining` (the server is about to stop; another one, or the next, takes the "
            "call), or `bad_request`."
        ),
    ]
    problem: str
    mend: str


class Ended(msgspec.Struct, tag_field="op", tag="ended", kw_only=True):
    """The stream has ended, as asked or by itself; nothing more is taken."""

    call: str
    channel: str
    reason: Annotated[
        str,
        Meta(
            description="What was asked, or `idle`, `no audio`, `made room`, `replaced`, `source closed`, "
            "`closed by the engine`."
        ),
    ]
    received_samples: Annotated[int, Meta(description="Taken, at the stream's own rate.")]
    lost_samples: Annotated[int, Meta(description="Missing, at the stream's own rate.")]
    late_packets: int
    duplicate_packets: int
    over_credit_packets: int
    position_steps: Annotated[
        int, Meta(description="Times at which positions stepped back while the sequence went on; no audio was lost.")
    ] = 0


class Error(msgspec.Struct, tag_field="op", tag="error", omit_defaults=True):
    """A message was not taken, or not as it was meant; sent at most once a second for the same trouble."""

    code: Annotated[
        str,
        Meta(description="`bad_message`, `not_open`, `over_credit`, or `stepped_back`: taken, though out of position."),
    ]
    problem: str
    mend: str
    call: str = ""
    channel: str = ""


Request = Hello | Open | End | Alive
Response = Welcome | Opened | Credit | Refused | Ended | Error

_REQUEST = msgspec.json.Decoder(Request)
_RESPONSE = msgspec.json.Decoder(Response)
_ENCODER = msgspec.json.Encoder()


def encode_control(message: Request | Response) -> bytes:
    """Write a control message."""
    return _ENCODER.encode(message)


def decode_request(message: bytes, decoder: "msgspec.json.Decoder[Any]" = _REQUEST) -> Request:
    """Read a control message of a client; another decoder knows more of what it may say.

    Raises:
        WireError: It is none; the text is for whoever wrote the client.
    """
    request: Request = decoded(decoder, message, "no request", "see docs/wire.md")
    if isinstance(request, Open):
        request.role = plain(request.role)
    elif isinstance(request, End):
        request.reason = plain(request.reason)
    return request


def decode_response(message: bytes) -> Response:
    """Read a control message of the server.

    Raises:
        WireError: It is none.
    """
    response: Response = decoded(_RESPONSE, message, "no response")
    if isinstance(response, Refused | Error):
        response.problem, response.mend = plain(response.problem), plain(response.mend)
    elif isinstance(response, Ended):
        response.reason = plain(response.reason)
    return response
