"""GatewayProcess: gateways in a process of their own, with real sockets on both sides of them."""

import base64
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import rtemo
from bench.fakes.desk import FakeDesk
from rtemo.api import EndpointError, Fault, PolicyError
from rtemo.cli.edges import sources
from rtemo.config import Config
from rtemo.io.gateways.gateway_keeper import GatewayKeeper, in_own_process
from rtemo.io.gateways.gateway_process import GatewayProcess
from rtemo.io.gateways.options import AudioSocketOptions, TwilioOptions
from rtemo.io.gateways.twilio import TwilioSource
from rtemo.io.pcm import encode_pcm
from tests.fakes.gateways import expected, sound
from tests.fakes.zmq_ends import free_ports, pumping, wait_until

client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed: rtemo[telephony]")

pytestmark = pytest.mark.e2e


def apart(**changes: Any) -> GatewayKeeper:
    options = TwilioOptions(**{"endpoint": "tcp://127.0.0.1:0", "unsigned": True, "lost_s": 600.0, **changes})
    source = in_own_process(TwilioSource(options))
    assert isinstance(source, GatewayKeeper)
    return source


@contextmanager
def running(desk: FakeDesk, **changes: Any) -> Iterator[GatewayKeeper]:
    source = apart(**changes)
    with pumping(source, desk, desk.drain):
        yield source


def port_of(source: GatewayKeeper) -> int:
    return int(str(source.endpoints["twilio"]).rpartition(":")[2])


def of(events: list[Any], kind: str) -> list[Any]:
    return [event for event in events if event.kind == kind]


@contextmanager
def call(port: int, name: str = "CA1", tracks: tuple[str, ...] = ("inbound", "outbound")) -> Iterator[Any]:
    with client.connect(f"ws://127.0.0.1:{port}/", compression=None) as peer:
        peer.send(json.dumps({"event": "start", "start": {"callSid": name, "tracks": tracks}}))
        yield peer


def send(peer: Any, samples: np.ndarray, *chunks: int, tracks: tuple[str, ...] = ("inbound", "outbound")) -> None:
    for chunk in chunks:
        coded = encode_pcm(samples[160 * chunk - 160 : 160 * chunk], "mulaw")
        for track in tracks:
            media = {"track": track, "chunk": chunk, "timestamp": 20 * chunk - 20}
            payload = base64.b64encode(coded).decode()
            peer.send(json.dumps({"event": "media", "media": {**media, "payload": payload}}))


def test_audio_comes_through_to_the_sample_and_holes_and_ends_in_their_places() -> None:
    samples = sound()
    desk = FakeDesk(is_live=True)
    with running(desk) as source, call(port_of(source)) as peer:
        assert source.process_id not in (0, os.getpid())
        send(peer, samples, *range(1, 8), *range(10, 21))
        peer.send('{"event": "stop"}')
        key = ("CA1", "outbound")
        assert wait_until(lambda: key in desk.writers and desk.writers[key].end_reason, 10.0)
        for (_, channel), writer in desk.writers.items():
            whole = expected(samples)
            assert (writer.end_reason, writer.lost_samples, len(writer.samples)) == ("end", 2 * 320, len(whole))
            assert [length for _, length in writer.gaps] == [2 * 320]
            np.testing.assert_allclose(writer.samples[9 * 320 + 120 :], whole[9 * 320 + 120 :], atol=1e-6)
            np.testing.assert_allclose(writer.samples[: 7 * 320 - 120], whole[: 7 * 320 - 120], atol=1e-6)
            assert any(capture_ns for _, capture_ns in writer.captures)
            assert writer.role == {"inbound": "caller", "outbound": "agent"}[channel]
        assert wait_until(lambda: source.source_counts().messages == 38)
        assert (source.source_counts().name, source.count_streams) == ("twilio", 0)


def test_engine_hears_it_as_from_a_gateway_of_its_own_and_calls_that_come_back_after_its_death_go_on() -> None:
    source = apart()
    samples = np.tile(sound(0.4), 4)
    events: list[Any] = []
    with rtemo.Session(Config(chain=("level",)), sources=[source]) as session:

        def hears(is_there: Callable[[], object]) -> bool:
            events.extend(session.events(0.05))
            return bool(is_there())

        port, before = port_of(source), source.process_id
        with call(port) as peer:
            for chunk in range(1, 61):
                send(peer, samples, chunk)
                time.sleep(0.01)
            assert wait_until(lambda: hears(lambda: of(events, "level")), 10.0)
            os.kill(before, signal.SIGKILL)
            assert wait_until(lambda: hears(lambda: of(events, "source")[2:]), 20.0)
        assert source.process_id not in (0, before)
        assert port_of(source) == port
        with call(port) as peer:
            send(peer, samples, *range(1, 11))
            peer.send('{"event": "stop"}')
            assert wait_until(lambda: hears(lambda: of(events, "stream_end")[1:]), 20.0)
    assert {event.channel: event.data.analysis for event in of(events, "stream_start")} == {
        "inbound": "person",
        "outbound": "timing",
    }
    assert len(of(events, "stream_start")) == 2
    assert [event.data.reason for event in of(events, "stream_end")] == ["end", "end"]
    assert all(event.data.counters.source_lost_samples > 1_600 for event in of(events, "stream_end"))
    assert [(event.data.problem, event.data.action) for event in of(events, "fault")] == [
        ("the process of the source 'twilio' has died (signal 9)", "retrying")
    ]
    states = [(event.call, event.data.state) for event in of(events, "source")]
    assert states == [("CA1", "lost")] * 2 + [("", "recovered")] + [("CA1", "recovered")] * 2


def test_calls_that_do_not_come_back_end_and_one_that_comes_under_another_role_is_not_let_in() -> None:
    desk = FakeDesk(is_live=True)
    with running(desk, resume_s=2.0) as source:
        with call(port_of(source)) as peer:
            send(peer, sound(), 1, 2)
            assert wait_until(lambda: source.count_streams == 2, 10.0)
            os.kill(source.process_id, signal.SIGKILL)
            assert wait_until(lambda: any(isinstance(report, Fault) for report in desk.reports), 10.0)
        assert source.count_streams == 2  # they wait
        with pytest.raises(PolicyError, match="is open as 'agent'"):
            source._desk.open_stream("CA1", "outbound", role="caller")
        assert wait_until(lambda: all(writer.end_reason for writer in desk.writers.values()), 10.0)
        assert {writer.end_reason for writer in desk.writers.values()} == {"source failed"}
        assert wait_until(lambda: source.process_id and source.count_streams == 0, 20.0)


def test_no_other_process_takes_the_place_of_one_that_dies_before_a_planned_stop() -> None:
    desk = FakeDesk(is_live=True)
    with running(desk) as source, call(port_of(source)) as peer:
        send(peer, sound(), 1)
        assert wait_until(lambda: source.count_streams == 2, 10.0)
        source.drain()
        os.kill(source.process_id, signal.SIGKILL)
        assert wait_until(lambda: source.count_streams == 0, 5.0)
        time.sleep(0.5)
        assert source.process_id == 0
        assert {writer.end_reason for writer in desk.writers.values()} == {"source failed"}


def test_party_that_is_not_taken_is_told_of_and_the_others_go_on() -> None:
    desk = FakeDesk(is_live=True, capacity=1)
    with running(desk) as source, call(port_of(source)) as peer:
        send(peer, sound(), *range(1, 6))
        assert wait_until(lambda: desk.reports, 10.0)
        (fault,) = desk.reports
        assert isinstance(fault, Fault)
        assert "all 1 streams are in use" in fault.problem
        assert wait_until(lambda: desk.writers["CA1", "inbound"].position_samples > 1_000)


def test_stream_that_the_engine_has_ended_is_let_go_and_can_be_opened_again() -> None:
    desk = FakeDesk(is_live=True)
    tracks = ("inbound",)
    with running(desk) as source:
        with call(port_of(source), tracks=tracks) as peer:
            send(peer, sound(), 1, 2, tracks=tracks)
            assert wait_until(lambda: desk.writers and desk.only().position_samples > 300, 10.0)
            first = desk.only()
            first.is_closed = True
            assert wait_until(lambda: source.count_streams == 0, 10.0)
        with call(port_of(source), tracks=tracks) as peer:
            send(peer, sound(), 1, 2, tracks=tracks)
            assert wait_until(lambda: desk.only() is not first and desk.only().position_samples > 300, 10.0)


def test_no_new_calls_are_taken_before_a_planned_stop() -> None:
    desk = FakeDesk(is_live=True)
    with running(desk) as source, call(port_of(source)) as peer:
        send(peer, sound(), 1)
        assert wait_until(lambda: source.count_streams == 2, 10.0)
        source.drain()
        time.sleep(0.3)
        with pytest.raises(Exception, match="503"), call(port_of(source), "CA2"):
            pass
        send(peer, sound(), 2, 3)
        assert wait_until(lambda: desk.writers["CA1", "inbound"].position_samples > 700)


def test_port_in_use_is_told_by_the_session_too() -> None:
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
        source = GatewayProcess(TwilioSource(TwilioOptions(unsigned=True)), TwilioOptions(unsigned=True))
        wrong = TwilioOptions(endpoint=f"tcp://127.0.0.1:{port}", unsigned=True)
        with pytest.raises(EndpointError, match="in use"):
            in_own_process(TwilioSource(wrong)).check()  # type: ignore[attr-defined]
        source._options = wrong  # as if somebody had come in between
        with pytest.raises(EndpointError, match=f"{port}"):
            source.open(FakeDesk(is_live=True))
        source.close()


def test_process_ends_with_its_session_however_that_ends() -> None:
    desk = FakeDesk(is_live=True)
    source = apart()
    source.open(desk)
    number = source.process_id
    os.kill(number, signal.SIGTERM)  # it is for the session to end it
    time.sleep(0.2)
    source.pump()
    edge = source._edge
    edge._pipe.close()  # as when the session is killed
    child = edge._child
    assert child is not None
    assert child.wait(10.0) == 0
    edge._child = None


def test_gateway_that_sends_audio_back_stays_with_the_engine() -> None:
    port = free_ports(1)
    table = {"endpoint": f"tcp://127.0.0.1:{port}", "unsigned": True}
    assert isinstance(sources(Config(sources={"twilio": table}), ["twilio"])[0], GatewayKeeper)
    for more in ({"enhanced": True}, {"assistant_role": "assistant"}, {"own_process": False}):
        assert isinstance(sources(Config(sources={"twilio": {**table, **more}}), ["twilio"])[0], TwilioSource)
    assert AudioSocketOptions().own_process
