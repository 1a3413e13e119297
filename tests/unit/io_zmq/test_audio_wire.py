import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtemo.io.audio_wire import (
    CODECS,
    HEADER_BYTES,
    MAGIC,
    RATES_HZ,
    Open,
    Opened,
    decode_packet,
    decode_request,
    decode_response,
    encode_control,
    encode_packet,
    split_names,
    stream_names,
)
from rtemo.io.pcm import BYTES_PER_SAMPLE, SampleType
from rtemo.io.wire import WireError

pytestmark = pytest.mark.unit

names = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=60)
GOOD = encode_packet(stream_names("call", "0"), "s16le", 8_000, 1, 160, 10, bytes(320))


@given(
    call=names,
    channel=names,
    codec=st.sampled_from(CODECS),
    rate_hz=st.sampled_from(RATES_HZ),
    sequence=st.integers(0, 2**32 - 1),
    start_sample=st.integers(0, 2**62 - 1),
    capture_ns=st.integers(0, 2**63 - 1),
    count_samples=st.integers(1, 400),
)
def test_packet_comes_back_as_it_was_sent(
    call: str, channel: str, codec: SampleType, rate_hz: int, sequence: int, start_sample: int, capture_ns: int,
    count_samples: int,
) -> None:  # fmt: skip
    payload = bytes(i % 256 for i in range(count_samples * BYTES_PER_SAMPLE[codec]))
    stream = stream_names(call, channel)
    packet = decode_packet(encode_packet(stream, codec, rate_hz, sequence, start_sample, capture_ns, payload))
    assert packet[:7] == (stream, codec, rate_hz, sequence, start_sample, capture_ns, count_samples)
    assert bytes(packet.payload) == payload
    assert split_names(packet.names) == (call, channel)


@given(st.binary(max_size=400))
def test_any_bytes_are_refused_without_another_exception(message: bytes) -> None:
    for decode in (decode_packet, decode_request, decode_response):
        with pytest.raises(WireError):
            decode(message)


@given(st.binary(min_size=HEADER_BYTES - 4, max_size=400))
def test_any_bytes_behind_the_magic_are_read_or_refused(rest: bytes) -> None:
    with contextlib.suppress(WireError):
        packet = decode_packet(MAGIC + rest)
        assert len(packet.payload) == packet.count_samples * BYTES_PER_SAMPLE[packet.codec]


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4), st.integers(0, len(GOOD)))
def test_damaged_packet_is_read_or_refused(changes: list[tuple[int, int]], length: int) -> None:
    message = bytearray(GOOD)
    for position, value in changes:
        message[position] = value
    with contextlib.suppress(WireError):
        packet = decode_packet(bytes(message[:length]))
        assert len(packet.payload) == packet.count_samples * BYTES_PER_SAMPLE[packet.codec]


def changed(offset: int, form: str, value: int) -> bytes:
    message = bytearray(GOOD)
    struct.pack_into("<" + form, message, offset, value)
    return bytes(message)


@pytest.mark.parametrize(
    ("message", "trouble"),
    [
        (b"", "0 bytes"),
        (GOOD[:30], "30 bytes"),
        (GOOD[:-1], "announces"),
        (GOOD + b"x", "announces"),
        (b"RTMB" + GOOD[4:], "magic"),
        (changed(4, "B", 2), "version 2"),
        (changed(5, "B", 0), "codec 0"),
        (changed(5, "B", 9), "codec 9"),
        (changed(6, "B", 0), "name"),
        (changed(7, "B", 0), "name"),
        (changed(8, "I", 384_000), "384000 Hz"),
        (changed(8, "I", 0), "0 Hz"),
        (changed(16, "Q", 2**63), "position"),
        (changed(24, "Q", 2**64 - 1), "time"),
        (changed(32, "I", 0), "0 samples"),
        (changed(32, "I", 2**32 - 1), "4294967295 samples"),
    ],
)
def test_each_contradiction_is_named(message: bytes, trouble: str) -> None:
    with pytest.raises(WireError, match=trouble):
        decode_packet(message)


@pytest.mark.parametrize("name", ["", "x" * 256, "ä" * 128, "line\nfeed", "\x1b[2J", "nul\x00"])
def test_name_that_cannot_travel_is_refused(name: str) -> None:
    with pytest.raises(WireError, match="name"):
        stream_names(name, "0")
    with pytest.raises(WireError, match="name"):
        stream_names("call", name)


def test_control_messages_come_back_as_they_were_sent() -> None:
    request = Open(call="a", channel="left", codec="mulaw", sample_rate_hz=8_000, role="customer", prefill_ms=60.0)
    assert decode_request(encode_control(request)) == request
    response = Opened(call="a", channel="left", limit_bytes=3_200)
    assert decode_response(encode_control(response)) == response


@pytest.mark.parametrize(
    "message",
    [
        b"{}",
        b'{"op": "dance"}',
        b'{"op": "open"}',
        b'{"op": "open", "call": ""}',
        b'{"op": "open", "call": "a", "sample_rate_hz": 44101}',
        b'{"op": "open", "call": "a", "codec": "mp3"}',
        b'{"op": "open", "call": "a", "prefill_ms": -1}',
        b'{"op": "open", "call": "\\ud800"}',
        b'{"op": "open", "call": 7}',
        b"[" * 10_000,
    ],
)
def test_request_that_makes_no_sense_is_refused(message: bytes) -> None:
    with pytest.raises(WireError):
        decode_request(message)


def test_header_is_laid_out_as_documented() -> None:
    message = encode_packet(stream_names("ab", "c"), "mulaw", 8_000, 7, 160, 5, b"\xff" * 4)
    assert message == (
        b"RTMA" + bytes([1, 3, 2, 1]) + (8_000).to_bytes(4, "little") + (7).to_bytes(4, "little")
        + (160).to_bytes(8, "little") + (5).to_bytes(8, "little") + (4).to_bytes(4, "little") + b"abc" + b"\xff" * 4
    )  # fmt: skip
