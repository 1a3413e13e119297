"""Gateways in front of several workers: real processes and sockets, and the workers' ingests without their engines."""

import asyncio
import base64
import contextlib
import json
import multiprocessing
import os
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.fakes.desk import FakeDesk, FakeWriter
from rtemo.api import Fault, Payload, SourceState, StreamFormat
from rtemo.cluster.gateways import FrontGateways
from rtemo.cluster.ingest import FrontIngest
from rtemo.cluster.room import Room
from rtemo.cluster.source_line import SourceLine
from rtemo.cluster.starter import Address
from rtemo.config.admission import Admission
from rtemo.config.policy import Policy
from rtemo.config.workers import WorkersOptions
from rtemo.io.gateways.gateway_process import GatewayProcess
from rtemo.io.gateways.options import TwilioOptions
from rtemo.io.gateways.relay_desk import RelayDesk
from rtemo.io.gateways.twilio import TwilioSource
from rtemo.io.pcm import encode_pcm
from rtemo.io.sources.relayed import RelayedIngest
from rtemo.io.zmq_options import IngestOptions
from tests.fakes.gateways import expected, sound
from tests.fakes.zmq_ends import free_ports, pumping, wait_until

client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed: rtemo[telephony]")

pytestmark = pytest.mark.e2e

TRACKS = ("inbound", "outbound")


class Front:
    """A front with one gateway, and workers that are desks."""

    def __init__(self, folder: Path, stack: contextlib.ExitStack, **changes: Any) -> None:
        self.desk = FakeDesk(is_live=True)  # of the gateway: what it reports
        self.desks: dict[int, FakeDesk] = {}
        self.rooms: dict[int, Room] = {}
        self._folder, self._stack = folder, stack
        line = SourceLine(f"ipc://{folder}/sources")
        options = IngestOptions(endpoint=f"ipc://{folder}/in")
        self.ingest = FrontIngest(options, Admission(Policy()), 100, self.rooms, own=line, is_public=False)
        stack.enter_context(pumping(self.ingest, self.desk))
        twilio = TwilioOptions(**{"endpoint": "tcp://127.0.0.1:0", "unsigned": True, "lost_s": 600.0, **changes})
        self.endpoint = line.endpoint
        self.gateway = GatewayProcess(TwilioSource(twilio), twilio, line.endpoint)

    def open(self, workers: int = 2, capacity: int = 64) -> "Front":
        for number in range(1, workers + 1):
            self.join(number, capacity)
        self._stack.enter_context(pumping(self.gateway, self.desk))
        return self

    def join(self, number: int, capacity: int = 64) -> None:
        endpoint = f"ipc://{self._folder}/{number}"
        desk = self.desks[number] = FakeDesk(is_live=True, capacity=capacity)
        self._stack.enter_context(pumping(RelayedIngest(IngestOptions(endpoint=endpoint)), desk, desk.drain))
        room = self.rooms[number] = Room(WorkersOptions())
        room.is_open = True
        self.ingest.join(number, Address(endpoint))

    def lose(self, number: int) -> None:
        self.rooms.pop(number)
        self.ingest.leave(number)

    @property
    def port(self) -> int:
        return int(str(self.gateway.endpoints["twilio"]).rpartition(":")[2])

    @property
    def faults(self) -> list[str]:
        return [report.problem for report in self.desk.reports if isinstance(report, Fault)]

    def where(self, call: str) -> int:
        """Wait for a call, and tell which worker has it."""

        def found() -> list[int]:
            return [number for number, desk in self.desks.items() if (call, "inbound") in desk.writers]

        assert wait_until(found, 10.0), self.faults
        (number,) = found()
        return number


@contextlib.contextmanager
def front(folder: Path, **changes: Any) -> Iterator[Front]:
    with contextlib.ExitStack() as stack:
        yield Front(folder, stack, **changes)


@contextlib.contextmanager
def call(port: int, name: str = "CA1", tracks: tuple[str, ...] = TRACKS) -> Iterator[Any]:
    with client.connect(f"ws://127.0.0.1:{port}/", compression=None) as peer:
        peer.send(json.dumps({"event": "start", "start": {"callSid": name, "tracks": tracks}}))
        yield peer


def send(peer: Any, samples: np.ndarray, *chunks: int, tracks: tuple[str, ...] = TRACKS) -> None:
    for chunk in chunks:
        coded = encode_pcm(samples[160 * chunk - 160 : 160 * chunk], "mulaw")
        for track in tracks:
            media = {"track": track, "chunk": chunk, "timestamp": 20 * chunk - 20}
            payload = base64.b64encode(coded).decode()
            peer.send(json.dumps({"event": "media", "media": {**media, "payload": payload}}))


def ended(desk: FakeDesk, name: str, track: str) -> FakeWriter:
    assert wait_until(lambda: (name, track) in desk.writers and desk.writers[name, track].end_reason, 10.0)
    return desk.writers[name, track]


def test_audio_comes_through_to_the_sample_and_holes_and_ends_in_their_places(tmp_path: Path) -> None:
    samples, whole = sound(), expected(sound())
    with front(tmp_path) as made, call(made.open().port) as peer:
        send(peer, samples, *range(1, 8), *range(10, 21))
        peer.send('{"event": "stop"}')
        desk = made.desks[made.where("CA1")]
        for track, role in zip(TRACKS, ("caller", "agent"), strict=True):
            writer = ended(desk, "CA1", track)
            assert (writer.end_reason, writer.lost_samples, len(writer.samples)) == ("end", 2 * 320, len(whole))
            assert [length for _, length in writer.gaps] == [2 * 320]
            np.testing.assert_allclose(writer.samples[9 * 320 + 120 :], whole[9 * 320 + 120 :], atol=1e-6)
            np.testing.assert_allclose(writer.samples[: 7 * 320 - 120], whole[: 7 * 320 - 120], atol=1e-6)
            assert any(capture_ns for _, capture_ns in writer.captures)
            assert (writer.role, writer.source, writer.prefill_s) == (role, "twilio", 0.04)
        assert wait_until(lambda: made.gateway.source_counts().messages == 38)
        assert wait_until(lambda: made.ingest.count_streams == made.gateway.count_streams == 0)


def test_parties_of_many_calls_are_two_and_two_at_the_workers(tmp_path: Path) -> None:
    with front(tmp_path) as made, contextlib.ExitStack() as calls:
        made.open()
        names = [f"CA{number}" for number in range(12)]
        for name in names:
            send(calls.enter_context(call(made.port, name)), sound(), 1, 2)
        assert wait_until(lambda: sum(len(desk.writers) for desk in made.desks.values()) == 24, 10.0), made.faults
        for desk in made.desks.values():
            assert desk.writers
            assert all((name, track) in desk.writers for name, _ in desk.writers for track in TRACKS)


def test_call_whose_worker_is_lost_goes_on_at_another_one_and_what_was_missed_is_counted(tmp_path: Path) -> None:
    samples = sound(20.0)
    with front(tmp_path) as made, call(made.open().port) as peer:
        number = made.where("CA1")
        send(peer, samples, *range(1, 11))
        before = made.desks[number].writers["CA1", "inbound"]
        assert wait_until(lambda: before.position_samples > 9 * 320)
        made.lose(number)
        other = made.desks[3 - number]
        sent = 10

        def has_moved() -> bool:
            nonlocal sent
            sent += 1
            send(peer, samples, sent)
            writers = [other.writers.get(("CA1", track)) for track in TRACKS]
            return all(writer is not None and writer.position_samples for writer in writers)

        assert wait_until(has_moved), made.faults
        send(peer, samples, *range(sent + 1, sent + 11))
        peer.send('{"event": "stop"}')
        for track in TRACKS:
            writer = ended(other, "CA1", track)
            assert writer.end_reason == "end"
            taken = len(writer.samples) - sum(length for _, length in writer.gaps)
            assert taken + writer.lost_samples >= sent * 320 - 240
            assert writer.lost_samples <= (sent + 10) * 320 - taken


def test_party_that_finds_no_room_is_told_of_with_the_reason_of_every_worker_and_the_other_goes_on(
    tmp_path: Path,
) -> None:
    with front(tmp_path) as made, call(made.open(workers=1, capacity=1).port) as peer:
        send(peer, sound(), *range(1, 6))
        assert wait_until(lambda: made.faults, 15.0)
        (problem,) = made.faults
        assert "brings a party that is not taken: all 1 streams are in use" in problem
        desk = made.desks[1]
        assert wait_until(lambda: desk.writers["CA1", "inbound"].position_samples > 1_000)


def test_stream_that_a_worker_has_ended_is_let_go_and_can_be_opened_again(tmp_path: Path) -> None:
    tracks = ("inbound",)
    with front(tmp_path) as made:
        made.open(workers=1)
        desk = made.desks[1]
        with call(made.port, tracks=tracks) as peer:
            send(peer, sound(), 1, 2, tracks=tracks)
            assert wait_until(lambda: desk.writers and desk.only().position_samples > 300, 10.0)
            assert wait_until(lambda: made.gateway.count_streams == 1)
            first = desk.only()
            first.is_closed = True
            assert wait_until(lambda: made.gateway.count_streams == 0, 10.0)
        with call(made.port, tracks=tracks) as peer:
            send(peer, sound(), 1, 2, tracks=tracks)
            assert wait_until(lambda: desk.only() is not first and desk.only().position_samples > 300, 10.0)


def test_gateway_that_is_gone_leaves_no_stream_behind(tmp_path: Path) -> None:
    with front(tmp_path) as made, call(made.open().port) as peer:
        send(peer, sound(), 1, 2)
        desk = made.desks[made.where("CA1")]
        assert wait_until(lambda: len(desk.writers) == 2)
        made.ingest.end_source("twilio", "source failed")
        assert {ended(desk, "CA1", track).end_reason for track in TRACKS} == {"source failed"}


def test_everything_that_a_gateway_knows_of_a_stream_comes_to_its_worker(tmp_path: Path) -> None:
    session, pipe = multiprocessing.Pipe()
    with front(tmp_path) as made:
        made.join(1)
        desk, source = RelayDesk(pipe, StreamFormat(), made.endpoint, "rtp"), TwilioSource()
        stream = desk.open_stream("call", "0", source="rtp", role="caller", prefill_s=0.1, is_estimate=True)

        async def run() -> None:
            opening = asyncio.create_task(stream.open(48_000, 0.2, 5.0))
            while not opening.done():
                desk.hand_over(source)
                await asyncio.sleep(0.01)
            await opening

        asyncio.run(run())
        writer = made.desks[1].only()
        assert (writer.call, writer.channel, writer.source, writer.role) == ("call", "0", "rtp", "caller")
        assert (writer.prefill_s, writer.is_estimate) == (0.1, True)
        stream.end("end")
        desk.close()
        assert ended(made.desks[1], "call", "0") is writer
    session.close()


def test_gateway_that_has_died_is_started_again_until_it_can_be(tmp_path: Path) -> None:
    desk, told, gone = FakeDesk(is_live=True), list[Payload](), list[str]()
    port = free_ports(1)
    source = TwilioSource(TwilioOptions(endpoint=f"tcp://127.0.0.1:{port}", unsigned=True))
    gateways = FrontGateways([source], f"ipc://{tmp_path}/sources", desk, told.append)
    (edge,) = gateways.edges

    def until(is_so: Any) -> bool:
        def turn() -> object:
            gone.extend(gateways.serve(time.monotonic()))
            return is_so()

        return wait_until(turn, 30.0)

    gateways.start()
    before = edge.process_id
    os.kill(before, signal.SIGKILL)
    with contextlib.ExitStack() as held:
        assert until(lambda: gone)
        held.enter_context(socket.create_server(("127.0.0.1", port)))
        assert until(lambda: told)
    assert told == [Fault(where="twilio", problem=f"port {port} on 127.0.0.1 is already in use", action="retrying")]
    assert until(lambda: told[-1] == SourceState(state="recovered", detail="twilio takes calls again"))
    assert edge.process_id not in (0, before)
    assert set(gone) == {"twilio"}
    assert [report.problem for report in desk.reports if isinstance(report, Fault)] == [
        "the process of the source 'twilio' has died (signal 9)"
    ]
    with client.connect(f"ws://127.0.0.1:{port}/", compression=None):
        pass
    gateways.stop()
    assert wait_until(lambda: not gateways.are_running, 10.0)
