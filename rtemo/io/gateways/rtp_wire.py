"""RTP packets (RFC 3550) and what their payload types mean (RFC 3551, 3389, 4733)."""

import re
import struct
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from rtemo.api import ConfigError
from rtemo.io.audio_wire import RATES_HZ
from rtemo.io.gateways.opus import RATE_HZ as OPUS_RATE_HZ
from rtemo.io.gateways.opus import count_samples
from rtemo.io.gateways.peer import PeerError
from rtemo.io.pcm import SampleType

_HEADER = struct.Struct(">BBHII")
_RTCP = range(192, 224)  # second byte of RTCP (RFC 5761, 4)
_BYE = 203
_FORMAT = re.compile(r"(\d{1,3}) +([\w-]+)/(\d+)(?:/([12]))?")
_CODECS: dict[str, SampleType | None] = {
    "PCMU": "mulaw",
    "PCMA": "alaw",
    "L16": "s16le",
    "OPUS": "s16le",  # as it is decoded
    "CN": None,
    "TELEPHONE-EVENT": None,
}


class Format(NamedTuple):
    """What a payload type stands for.

    Attributes:
        name: As in SDP.
        rate_hz: Rate of audio and timestamps.
        codec: Sample type; None for what is no audio (comfort noise, events).
        is_coded: Whether the samples come out of a decoder, and are no samples yet.
    """

    name: str
    rate_hz: int
    codec: SampleType | None
    is_coded: bool = False


STATIC: dict[int, Format] = {
    0: Format("PCMU", 8_000, "mulaw"),
    8: Format("PCMA", 8_000, "alaw"),
    11: Format("L16", 44_100, "s16le"),
    13: Format("CN", 8_000, None),
}


class RtpPacket(NamedTuple):
    """A packet as it stands on the wire."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


def formats(dynamic: Iterable[str], where: str = "sources.rtp.payload_types") -> dict[int, Format]:
    """Read dynamic payload types, and give them with the static ones.

    >>> formats(["96 L16/16000"])[96]
    Format(name='L16', rate_hz=16000, codec='s16le', is_coded=False)

    Raises:
        ConfigError: One is not written as `NUMBER NAME/RATE`, or is not known.
    """
    known = dict(STATIC)
    for text in dynamic:
        match = _FORMAT.fullmatch(text.strip())
        if match is None or int(match[1]) > 127 or match[2].upper() not in _CODECS:
            raise ConfigError(
                f"{where} has {text!r}",
                "write it as '96 L16/16000', with one of PCMU, PCMA, L16, opus, CN",
            )
        codec, rate_hz, is_opus = _CODECS[match[2].upper()], int(match[3]), match[2].upper() == "OPUS"
        if is_opus and rate_hz != OPUS_RATE_HZ:
            raise ConfigError(f"{where} has {text!r}", "write Opus as '111 opus/48000/2'")
        if match[4] == "2" and not is_opus:
            raise ConfigError(f"{where} has {text!r}", "one channel is taken; take out the '/2'")
        if codec is not None and rate_hz not in RATES_HZ:
            raise ConfigError(f"{where} has {text!r}", f"use a rate of {', '.join(map(str, RATES_HZ))}")
        known[int(match[1])] = Format(match[2], rate_hz, codec, is_opus)
    return known


def is_rtcp(data: bytes) -> bool:
    """Tell whether a datagram is RTCP on the port of RTP."""
    return len(data) > 1 and data[1] in _RTCP


def left(data: bytes) -> list[int]:
    """Give the SSRCs that an RTCP datagram says goodbye to."""
    begin, gone = 0, []
    while begin + 4 <= len(data) and data[begin] >> 6 == 2:
        words = int.from_bytes(data[begin + 2 : begin + 4])
        if data[begin + 1] == _BYE:
            body = data[begin + 4 : begin + 4 + 4 * min(data[begin] & 31, words)]
            gone += [int.from_bytes(body[at : at + 4]) for at in range(0, len(body) - 3, 4)]
        begin += 4 * (words + 1)
    return gone


def decode(data: bytes) -> RtpPacket:
    """Read a packet, believing nothing.

    Raises:
        PeerError: It is none.
    """
    if len(data) < _HEADER.size or data[0] >> 6 != 2:
        raise PeerError(f"sent {len(data)} bytes that are no RTP packet")
    flags, kind, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
    begin = _HEADER.size + 4 * (flags & 15)
    if flags & 16:
        begin += 4 + 4 * int.from_bytes(data[begin + 2 : begin + 4])
    end = len(data) - (data[-1] if flags & 32 else 0)
    if begin > end or (flags & 32 and not data[-1]):
        raise PeerError("sent an RTP packet whose header is longer than the packet")
    return RtpPacket(kind & 127, sequence, timestamp, ssrc, data[begin:end])


def samples_of(payload: bytes, format: Format) -> bytes:
    """Give the samples as the engine takes them: L16 is big-endian on the wire. What is coded stays as it is.

    Raises:
        PeerError: They are no whole samples, none at all, or more than a second.
    """
    if format.is_coded:
        count_samples(payload)
        return payload
    width = 2 if format.codec == "s16le" else 1
    if not payload or len(payload) % width or len(payload) > width * format.rate_hz:
        raise PeerError(f"sent {len(payload)} bytes of {format.name}/{format.rate_hz} in one packet")
    return np.frombuffer(payload, ">i2").astype("<i2").tobytes() if width == 2 else payload
