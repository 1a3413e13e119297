"""Whatever bytes arrive: every decoder gives a message or one clear error, and no placement breaks."""

import contextlib
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

from bench.fakes.desk import FakeWriter
from rtemo.api import RtemoError
from rtemo.io.audio_feed_wire import AudioEnd, decode_note, encode_note
from rtemo.io.audio_wire import (
    Credit,
    Open,
    decode_packet,
    decode_request,
    decode_response,
    encode_control,
    encode_packet,
    stream_names,
)
from rtemo.io.query_wire import decode_reply
from rtemo.io.query_wire import decode_request as decode_query
from rtemo.io.sources.lanes import Batch, Lanes
from rtemo.io.sources.placement import Placement
from rtemo.io.topics import unescape
from rtemo.io.wire import decode_event, decode_heartbeat, decode_state, encode
from tests.attack.edge_decoders import EDGES, Decoder
from tests.fakes.wire_samples import sample
from tests.fakes.zmq_ends import emotion

SEEDS = (1, 20_261_201)
SHORT, LONG = 2_000, 1_000_000
KEPT = Path(__file__).with_name("fuzz_kept.txt")
"""Inputs that once broke a decoder: its name and the bytes in hexadecimal, one a line."""

_EVENT = sample(emotion())
_BEAT = {
    "schema": "rtemo.heartbeat/1",
    "epoch": "e",
    "pub_seq": 1,
    "t_pub_ms": 1.0,
    "interval_ms": 1e3,
    "seqs": {"a": 1},
}
_STATE = {"schema": "rtemo.state/1", "epoch": "e", "pub_seq": 1, "t_pub_ms": 1.0, "call": "a", "channels": {}}
_REPLY = {"schema": "rtemo.reply/1", "op": "list", "ok": True, "epoch": "e", "pub_seq": 1, "t_pub_ms": 1.0, "calls": []}
_PACKET = encode_packet(stream_names("call", "0"), "s16le", 8_000, 7, 1_120, 1_700_000_000 * 10**9, bytes(range(80)))

DECODERS: dict[str, tuple[Decoder, list[bytes]]] = {
    "packet": (
        decode_packet,
        [_PACKET, encode_packet(stream_names("é" * 20, "x"), "f32le", 48_000, 0, 0, 0, bytes(40))],
    ),
    "request": (decode_request, [encode_control(Open(call="a", from_sample=3)), b'{"op":"end","call":"a"}']),
    "response": (decode_response, [encode_control(Credit("a", "0", 6_400, 320)), b'{"op":"welcome"}']),
    "query": (decode_query, [b'{"op":"replay","call":"a","after_pub_seq":4,"limit":10}', b'{"op":"list","id":[1]}']),
    "reply": (decode_reply, [json.dumps(_REPLY).encode()]),
    "event": (decode_event, [encode(_EVENT), encode(_EVENT, "msgpack")]),
    "heartbeat": (decode_heartbeat, [json.dumps(_BEAT).encode()]),
    "state": (decode_state, [b"v1/main/a/ " + json.dumps(_STATE).encode()]),
    "note": (
        decode_note,
        [encode_note(AudioEnd(schema="rtemo.audio/1", epoch="e", call="a", channel="0", sequence=7, end_sample=1_120))],
    ),
    "topic": (lambda message: unescape(message.decode("utf-8", "replace")), [b"call%20%C3%A9", b"%", b"_%5f"]),
    **EDGES,
}

TOKENS = (
    b"null",
    b"-1",
    b"1e999",
    b"18446744073709551616",
    b'""',
    b"[]",
    b"{}",
    b"\\ud800",
    b"\xff\xfe",
    b"NaN",
    b"[" * 600,
)


def mutate(rng: random.Random, samples: list[bytes]) -> bytes:
    """Change a valid message in a few places: bits, bytes, lengths, tokens, order."""
    message = bytearray(rng.choice(samples))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 8))):
        where = rng.randrange(len(message) + 1)
        match rng.randrange(7):
            case 0 if message:
                message[where % len(message)] ^= 1 << rng.randrange(8)
            case 1 if message:
                message[where % len(message)] = rng.choice((0, 1, 127, 128, 255, 34, 123, 125))
            case 2:
                message[where:where] = rng.randbytes(rng.choice((1, 2, 4, 40)))
            case 3:
                del message[where : where + rng.choice((1, 2, 4, 40))]
            case 4:
                message[where : where + rng.randrange(6)] = rng.choice(TOKENS)
            case 5:
                del message[where:]
            case _:
                message += rng.choice(samples)[where:]
    return bytes(message)


def attack(name: str, count: int) -> int:
    """Feed a decoder; tell how many inputs it took for messages."""
    decode, samples = DECODERS[name]
    taken = silent = longest = 0
    for seed in SEEDS:
        rng = random.Random(f"{name} {seed}")
        for _ in range(count // len(SEEDS)):
            message = mutate(rng, samples)
            try:
                decode(message)
                taken += 1
            except RtemoError as error:
                longest = max(longest, len(error.problem))
                silent += not error.problem
            except Exception as error:
                raise AssertionError(f"keep this in {KEPT.name}: {name} {message.hex()}") from error
    assert not silent, "errors without a word"
    assert longest < 2_000
    return taken


@pytest.mark.parametrize("name", DECODERS)
def test_decoder_gives_a_message_or_one_clear_error(name: str) -> None:
    assert attack(name, SHORT) > 0


def test_inputs_that_once_broke_a_decoder_are_taken_or_refused() -> None:
    for line in KEPT.read_text().splitlines():
        name, digits = line.rsplit(maxsplit=1)
        with contextlib.suppress(RtemoError):
            DECODERS[name][0](bytes.fromhex(digits))


_LANES = Lanes(16_000)


def place(seed: int, count: int, jump_share: float = 0.1) -> None:
    """Packets with numbers and positions from everywhere; see that the books stay true and no packet costs much."""
    rng = random.Random(seed)
    lanes, batch = _LANES, Batch()
    writer = FakeWriter("call", "0", "fuzz", "", True, 1 << 40)
    placement = Placement(writer, 8_000, lanes, batch, is_live=True, reorder_s=0.04)
    now_s, sequence, position, sent = 0.0, rng.randrange(3), 0, 0
    interesting: tuple[Any, ...] = (0, 1, 2**31 - 1, 2**31, 2**32 - 1)
    for _ in range(count):
        if rng.random() < jump_share:
            sequence = rng.choice((*interesting, sequence + rng.randrange(-70, 70), rng.randrange(2**32))) % 2**32
        if rng.random() < jump_share:
            position = max(0, rng.choice((0, 2**61, position + rng.randrange(-40_000, 40_000), rng.randrange(2**61))))
        rate_hz = rng.choice((8_000,) * 50 + (16_000,))
        samples = rng.choice((1, 80, 160, 160))
        message = encode_packet(
            stream_names("call", "0"), "s16le", rate_hz, sequence, position, 0, rng.randbytes(2 * samples)
        )
        busy_s = time.process_time()
        for _ in range(rng.choice((1, 1, 1, 1, 2, 0))):
            placement.take(decode_packet(message), now_s, 0)
            sent += samples
        now_s += rng.choice((0.0, 0.02, 0.1))
        placement.settle(now_s, 0)
        batch.flush()
        assert time.process_time() - busy_s < 0.5, f"packet {sequence} at {position} of seed {seed}"
        sequence, position = (sequence + 1) % 2**32, position + samples
        writer.chunks.clear()
        writer.captures.clear()
        writer.gaps.clear()
    placement.finish(0)
    placement.close()
    counts = placement.counts
    assert 0 < counts.received_samples <= sent
    assert counts.lost_samples >= 0
    assert writer.lost_samples >= 0


def test_no_numbers_break_the_placement() -> None:
    for seed in SEEDS:
        place(seed, 2_000)


def test_no_numbers_at_the_beginning_of_a_stream_break_the_placement() -> None:
    for seed in range(400):
        place(seed, 6, jump_share=0.5)


@pytest.mark.attack
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", DECODERS)
def test_decoder_gives_a_message_or_one_clear_error_a_million_times(name: str) -> None:
    assert attack(name, LONG) > 0


@pytest.mark.attack
@pytest.mark.timeout(3600)
def test_no_numbers_break_the_placement_a_million_times() -> None:
    for seed in range(100):
        place(seed, 10_000)
