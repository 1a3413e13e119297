"""Gateways against peers that take nothing, come in crowds or lie about time: nobody else notices."""

import asyncio
import socket
import threading
import time
import uuid

import pytest

from bench.fakes.desk import FakeDesk
from rtemo.api import EndpointError
from rtemo.io.gateways import gateway, rtp
from rtemo.io.gateways.audiosocket import AudioSocketSource
from rtemo.io.gateways.connection import Connection
from rtemo.io.gateways.options import RtpOptions
from tests.fakes.gateways import gate, is_closed
from tests.fakes.raw_web_socket import PIECES, PINGS, SHORT_PINGS, flood, shake, text_frame
from tests.fakes.zmq_ends import wait_until

pytest.importorskip("websockets.asyncio.server", reason="websockets is not installed: rtemo[telephony]")

from rtemo.io.gateways.audiohook import AudioHookSource
from rtemo.io.gateways.freeswitch import Address, FreeSwitchSource, read_address

pytestmark = [pytest.mark.e2e, pytest.mark.timed]


def is_in(made, call, channel="0"):
    return wait_until(lambda: (call, channel) in made.desk.writers)


def test_who_asks_for_answers_to_pings_and_reads_none_is_cut_off() -> None:
    with gate(FreeSwitchSource) as made, shake(made.port, "/A") as peer:
        assert flood(peer, PINGS, 24 << 20) < 24 << 20
        with shake(made.port, "/B"):
            assert is_in(made, "B")
        assert "far too many pings" in made.broken()


@pytest.mark.parametrize("frames", [SHORT_PINGS, PIECES], ids=["pings", "pieces"])
def test_who_floods_with_frames_that_are_no_messages_is_cut_off_at_once_and_holds_nobody_up(
    frames: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with gate(FreeSwitchSource) as made, shake(made.port, "/A") as peer:
        threading.Thread(target=is_closed, args=(peer, 30.0)).start()  # it reads what it is answered
        assert flood(peer, frames, 16 << 20) < 16 << 20
        begun_s = time.monotonic()
        with shake(made.port, "/B"):
            assert is_in(made, "B")
        assert time.monotonic() - begun_s < 0.5
        assert "far too many pings or pieces of messages" in made.broken()
        assert len(made.faults) == 1
    assert not caplog.records


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        (b"\x81\x82" + bytes(4) + b"\xff\xfe", "sent text that is no UTF-8"),
        (b"\xf1\x80" + bytes(4), "sent what is no frame of a WebSocket"),
        (b"\x00\x80" + bytes(4), "sent what is no frame of a WebSocket"),
    ],
)
def test_what_is_wrong_below_the_protocol_is_told_too(frames: bytes, told: str) -> None:
    with gate(FreeSwitchSource) as made, shake(made.port, "/A") as peer:
        assert is_in(made, "A")
        peer.sendall(frames)
        assert told in made.broken()
        assert len(made.faults) == 1


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"\x16\x03\x01\x00\x05hello", "speaks TLS to a plain port"),
        (b"nonsense\r\n\r\n", "without a WebSocket handshake"),
    ],
)
def test_who_does_not_ask_for_a_web_socket_is_told_of_and_who_just_looks_is_not(data: bytes, told: str) -> None:
    with gate(FreeSwitchSource, hello_s=0.5) as made:
        socket.create_connection(("127.0.0.1", made.port)).close()
        with socket.create_connection(("127.0.0.1", made.port)) as peer:
            peer.sendall(data)
            assert is_closed(peer)
        assert told in made.broken()
        assert len(made.faults) == 1


class Deaf(Connection):
    """A peer that takes nothing, so that saying goodbye takes for ever."""

    is_cut = False

    async def hang_up(self, reason: str, is_broken: bool) -> None:
        await asyncio.sleep(60)

    def cut_off(self) -> None:
        self.is_cut = True


def test_a_peer_that_does_not_let_itself_be_hung_up_on_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gateway, "_HANG_UP_S", 0.05)
    with gate(AudioSocketSource) as made:
        deaf = Deaf("10.0.0.1", 1)
        assert made.source._loop is not None
        made.source._loop.call_soon_threadsafe(made.source.break_off, deaf, "sent nonsense")
        assert wait_until(lambda: deaf.is_cut)
        assert wait_until(lambda: not made.source._closing)


def test_who_sends_far_too_many_messages_is_held_up_by_the_network_and_nobody_else() -> None:
    with gate(FreeSwitchSource) as made, shake(made.port, "/A") as peer:
        peer.settimeout(0.5)
        flood(peer, text_frame("{}") * 5_000, 1 << 30)
        with shake(made.port, "/B"):
            assert is_in(made, "B")
        assert 1_000 < made.source.counts.messages < 6_000


def test_crowd_whose_packets_come_at_once_lets_others_be_heard_meanwhile() -> None:
    with gate(AudioSocketSource, desk=FakeDesk(is_live=True, capacity=128)) as made:
        crowd = []
        for _ in range(100):
            crowd.append(socket.create_connection(("127.0.0.1", made.port)))
            crowd[-1].sendall(b"\x01\x00\x10" + uuid.uuid4().bytes)
        assert wait_until(lambda: len(made.desk.writers) == 100)
        burst = (b"\x10" + (2).to_bytes(2, "big") + bytes(2)) * 1_500  # of one sample each
        for peer in crowd:
            peer.sendall(burst)
        begun_s = time.monotonic()
        name = uuid.uuid4()
        with socket.create_connection(("127.0.0.1", made.port)) as peer:
            peer.sendall(b"\x01\x00\x10" + name.bytes)
            assert is_in(made, str(name), "caller")
        assert time.monotonic() - begun_s < 1.0
        for peer in crowd:
            peer.close()


def test_connections_without_a_handshake_keep_no_call_out() -> None:
    with gate(FreeSwitchSource, hello_s=60.0) as made:
        silent = [socket.create_connection(("127.0.0.1", made.port)) for _ in range(300)]
        with shake(made.port, "/A"):
            assert is_in(made, "A")
        for peer in silent:
            peer.close()


def test_connections_without_a_call_make_room_for_one_with_a_call() -> None:
    with gate(AudioSocketSource, hello_s=60.0, max_connections=4) as made:
        silent = [socket.create_connection(("127.0.0.1", made.port)) for _ in range(4)]
        assert wait_until(lambda: made.source.counts.connections == 4)
        name = uuid.uuid4()
        with socket.create_connection(("127.0.0.1", made.port)) as peer:
            peer.sendall(b"\x01\x00\x10" + name.bytes)
            assert is_in(made, str(name), "caller")
            assert "had not begun a call" in made.faults[0]
        for peer in silent:
            peer.close()


def test_a_header_that_comes_twice_is_refused_with_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIOHOOK_API_KEY", "a-key")
    monkeypatch.delenv("AUDIOHOOK_CLIENT_SECRET", raising=False)
    with gate(AudioHookSource) as made:
        with shake(made.port, "/hook", "X-API-KEY: a-key", "X-API-KEY: a-key") as peer:
            assert b" 403 " in peer.recv(64)
        assert "headers that cannot be read" in made.broken()
        assert made.source.counts.refused == 1


def test_a_loop_without_open_files_tells_it_in_a_line() -> None:
    with gate(FreeSwitchSource) as made:
        loop = made.source._loop
        assert loop is not None
        context = {"message": "socket.accept() out of system resource", "exception": OSError(24, "Too many open files")}
        loop.call_soon_threadsafe(loop.call_exception_handler, context)
        assert wait_until(lambda: made.faults)
        assert "out of system resource (OSError: [Errno 24] Too many open files)" in made.faults[0]


def test_more_lines_than_files_may_be_open_are_refused_with_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rtp, "file_limit", lambda: 1024)
    with pytest.raises(EndpointError, match="4096 lines take 16384 sockets"):
        rtp.RtpSource(RtpOptions(first_port=0, lines=4096)).check()


@pytest.mark.parametrize("path", ["//[/b?rate=16000", "http://[::1/b?rate=16000"])
def test_what_looks_like_a_host_in_the_path_of_a_request_is_none(path: str) -> None:
    assert read_address(path) == Address("b", 16_000, 1)
