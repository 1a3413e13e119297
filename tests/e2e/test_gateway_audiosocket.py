"""AudioSocketSource over real TCP connections: calls as Asterisk sends them, and peers that send something else."""

import socket
import time
import uuid
from typing import Any

import numpy as np
import pytest

from rtemo.dsp.resample import resample
from rtemo.io.gateways.audiosocket import AudioSocketSource
from rtemo.io.pcm import encode_pcm
from tests.fakes.gateways import expected, gate, is_closed, sound
from tests.fakes.zmq_ends import wait_until

pytestmark = pytest.mark.e2e

CALL = uuid.UUID("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")


class Asterisk:
    """The other end of a connection."""

    def __init__(self, port: int, call: uuid.UUID | None = CALL) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        if call is not None:
            self.say(0x01, call.bytes)

    def say(self, kind: int, payload: bytes = b"") -> None:
        self.socket.sendall(bytes([kind]) + len(payload).to_bytes(2) + payload)

    def audio(self, samples: np.ndarray, kind: int = 0x10, frame: int = 160) -> None:
        for begin in range(0, len(samples), frame):
            self.say(kind, encode_pcm(samples[begin : begin + frame], "s16le"))


def asterisk(**changes: Any) -> Any:
    return gate(AudioSocketSource, **changes)


@pytest.mark.parametrize(("kind", "rate_hz"), [(0x10, 8_000), (0x12, 16_000), (0x16, 48_000)])
def test_call_arrives_to_the_sample_at_every_rate(kind: int, rate_hz: int) -> None:
    samples = sound(rate_hz=rate_hz)
    with asterisk() as made:
        peer = Asterisk(made.port)
        peer.audio(samples[: rate_hz // 10], kind)
        peer.audio(samples[rate_hz // 10 :], kind, frame=rate_hz // 4)
        peer.say(0x03, b"5")
        peer.say(0x00)
        writer = made.ended(str(CALL), "caller")
        assert is_closed(peer.socket)
    np.testing.assert_allclose(writer.samples, expected(samples, "s16le", rate_hz), atol=1e-6)
    assert (writer.role, writer.end_reason, writer.lost_samples) == ("caller", "end", 0)
    assert not made.faults


def test_rate_that_changes_in_the_midst_loses_nothing() -> None:
    with asterisk() as made:
        peer = Asterisk(made.port)
        peer.audio(sound(0.2))
        peer.audio(sound(0.2, 16_000), 0x12)
        peer.socket.close()  # as Asterisk ends a call
        writer = made.ended(str(CALL), "caller")
    assert len(writer.samples) == 0.4 * 16_000
    assert writer.end_reason == "end"
    np.testing.assert_allclose(writer.samples[:3_200], resample(sound(0.2), 8_000, 16_000), atol=1e-4)


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "kind 0x47"),
        (b"\x01\x00\x04abcd", "UUID of 4 bytes"),
        (b"\x01\xff\xff", "with 65535 bytes"),
        (b"\x10\x01\x40" + bytes(320), "before the UUID"),
        (b"\x01\x00\x10" + CALL.bytes + b"\x10\x00\x03abc", "whole samples"),
        (b"\x01\x00\x10" + CALL.bytes + b"\x10\xff\xfe", "a second at most"),
        (b"\x01\x00\x10" + 2 * (CALL.bytes + b"\x01\x00\x10"), "second UUID"),
    ],
)
def test_what_is_no_audiosocket_is_closed_with_one_line_and_hurts_nobody(data: bytes, told: str) -> None:
    samples = sound()
    good_call = uuid.uuid4()
    with asterisk() as made:
        good = Asterisk(made.port, good_call)
        good.audio(samples[:1600])
        bad = Asterisk(made.port, None)
        bad.socket.sendall(data)
        assert told in made.broken()
        assert len(made.faults) == 1
        assert is_closed(bad.socket)
        good.audio(samples[1600:])
        good.say(0x00)
        writer = made.ended(str(good_call), "caller")
    np.testing.assert_allclose(writer.samples, expected(samples, "s16le"), atol=1e-6)


def test_error_ends_the_call_and_is_told() -> None:
    with asterisk() as made:
        peer = Asterisk(made.port)
        peer.audio(sound(0.1))
        peer.say(0xFF, b"\x04")
        assert made.ended(str(CALL), "caller").end_reason == "error"
        assert "out of memory" in made.faults[0]


def test_peers_that_say_nothing_dribble_or_stall_are_closed() -> None:
    with asterisk(hello_s=0.3, idle_s=0.5, resume_s=0.1) as made:
        silent, dribbling = Asterisk(made.port, None), Asterisk(made.port, None)
        dribbling.socket.sendall(b"\x01\x00")
        stalled = Asterisk(made.port)
        stalled.socket.sendall(b"\x10\x01\x40" + bytes(100))
        made.broken(3)
        assert sorted(problem.split(" ", 1)[1][:10] for problem in made.faults) == [
            "has not be",
            "has not be",
            "was silent",
        ]
        assert all(is_closed(peer.socket) for peer in (silent, dribbling, stalled))


def test_call_whose_connection_breaks_is_taken_up_again() -> None:
    samples = sound()
    with asterisk() as made:
        first = Asterisk(made.port)
        first.audio(samples[:1600])
        assert wait_until(lambda: made.desk.writers and made.desk.only().position_samples > 3_000)
        second = Asterisk(made.port)  # the first is half open: nobody has told that it is gone
        second.audio(samples[1600:])
        second.say(0x00)
        writer = made.ended(str(CALL), "caller")
        assert is_closed(first.socket)
        assert len(made.desk.writers) == 1
    assert len(writer.samples) == 6_400 + writer.lost_samples
    np.testing.assert_allclose(writer.samples[-2_000:], expected(samples, "s16le")[-2_000:], atol=1e-6)


def test_burst_after_a_stall_is_taken_whole() -> None:
    samples = sound(3.0)
    with asterisk() as made:
        peer = Asterisk(made.port)
        peer.audio(samples[:800])
        time.sleep(0.2)
        peer.audio(samples[800:])
        peer.say(0x00)
        np.testing.assert_allclose(made.ended(str(CALL), "caller").samples, expected(samples, "s16le"), atol=1e-6)
