"""Frames of Asterisk's AudioSocket: a byte of kind, two of length (big-endian), and a payload.

Source: Asterisk's `res_audiosocket` and the AudioSocket page of its documentation; audio is 16-bit linear PCM,
little-endian, mono.
"""

import uuid

from rtemo.io.gateways.peer import PeerError

HEADER_BYTES = 3
HANGUP, UUID, DTMF, ERROR = 0x00, 0x01, 0x03, 0xFF
RATES_HZ = {0x10: 8_000, 0x11: 12_000, 0x12: 16_000, 0x13: 24_000, 0x14: 32_000, 0x15: 44_100, 0x16: 48_000}
"""Kind of an audio frame → its rate. Asterisk before 21 has the first alone."""

_UUID_BYTES = 16
_ERRORS = {0x01: "the caller hung up", 0x02: "a frame could not be forwarded", 0x04: "out of memory"}


def check_header(header: bytes) -> tuple[int, int]:
    """Give kind and length of a frame, before its payload is read.

    >>> check_header(bytes([0x10, 1, 64]))
    (16, 320)

    Raises:
        PeerError: It is none.
    """
    kind, count_bytes = header[0], int.from_bytes(header[1:])
    rate_hz = RATES_HZ.get(kind)
    if rate_hz is not None:
        if count_bytes % 2:
            raise PeerError(f"sent {count_bytes} bytes of 16-bit audio, expected whole samples")
        if count_bytes > 2 * rate_hz:
            raise PeerError(f"sent {count_bytes} bytes of {rate_hz} Hz audio in one frame, expected a second at most")
    elif kind not in (HANGUP, UUID, DTMF, ERROR):
        raise PeerError(f"sent a frame of kind 0x{kind:02x}, which AudioSocket does not have")
    elif count_bytes > _UUID_BYTES:
        raise PeerError(f"sent a frame of kind 0x{kind:02x} with {count_bytes} bytes, expected {_UUID_BYTES} at most")
    return kind, count_bytes


def call_name(payload: bytes) -> str:
    """Give the call's name from the payload of a UUID frame.

    Raises:
        PeerError: It is no UUID.
    """
    if len(payload) != _UUID_BYTES:
        raise PeerError(f"sent a UUID of {len(payload)} bytes, expected {_UUID_BYTES}")
    return str(uuid.UUID(bytes=payload))


def error_text(payload: bytes) -> str:
    """Say what an error frame tells."""
    code = payload[0] if payload else 0
    return _ERRORS.get(code, f"error 0x{code:02x}")
