"""`rtemo serve --workers` with telephone gateways: real calls, over real sockets, at several workers."""

import os
import signal
import time
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.telephone import TRACKS, AudioSocket, Twilio
from tests.fakes.workers import Heard, Served, Talk, serving, strain
from tests.fakes.zmq_ends import free_ports

pytest.importorskip("websockets.sync.client", reason="websockets is not installed: rtemo[telephony]")

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

CALLS = [f"CA{number}" for number in range(6)]


class Lines:
    """Ports of the gateways, and the words that set them."""

    def __init__(self) -> None:
        self.twilio = free_ports(7) + 5  # the server takes the five before
        self.audiosocket = self.twilio + 1
        self.words = ["--source", "twilio,audiosocket", "--set", "sources.twilio.unsigned=true"]
        for name, port in (("twilio", self.twilio), ("audiosocket", self.audiosocket)):
            self.words += ["--set", f"sources.{name}.endpoint=tcp://127.0.0.1:{port}"]


def gateway_processes(server: Served) -> list[int]:
    """The processes of a server that are none of its workers."""
    tasks = Path(f"/proc/{server.process.pid}/task").iterdir()
    children = {int(word) for task in tasks for word in (task / "children").read_text().split()}
    return sorted(children - set(server.processes.values()))


def streams(heard: Heard, kind: str, calls: list[str] = CALLS) -> Counter[tuple[str, str]]:
    return Counter(
        (event.call, event.channel) for event in list(heard.events) if event.kind == kind and event.call in calls
    )


def all_of(kind: str, calls: list[str] = CALLS, least: int = 1) -> Any:
    def is_there(heard: Heard) -> bool:
        counted = streams(heard, kind, calls)
        return all(counted[call, track] >= least for call in calls for track in TRACKS)

    return is_there


def lost_samples(heard: Heard, call: str) -> list[int]:
    return [event.data.counters.source_lost_samples for event in heard.of(call, "stream_end")]


def test_calls_of_gateways_are_shared_beside_those_of_other_clients_and_come_as_from_one_engine() -> None:
    lines, asterisk = Lines(), uuid.UUID("0f1e2d3c-4b5a-6978-8796-a5b4c3d2e1f0")
    with serving(*lines.words) as server, Heard(server.events) as heard:
        assert {line.split()[0] for line in server.said} >= {"twilio", "audiosocket", "audio", "control"}
        with Twilio(lines.twilio, CALLS) as telephone, Talk(server.ingest, ["direct"]):
            heard.wait_for(all_of("speech_start"), 60.0)
            call = AudioSocket(lines.audiosocket, asterisk)
            call.speak(2.0)
            placed = {number: one.streams for number, one in server.workers.items()}
            assert sum(placed.values()) == 2 * len(CALLS) + 2
            assert all(placed.values())
            call.hang_up()
            telephone.stop()
            heard.wait_for(all_of("stream_end"))
            heard.wait_for(lambda heard: heard.of(str(asterisk), "stream_end"))
            health = heard.of("", "health")[-1].data
        starts = [event.data for event in heard.events if event.kind == "stream_start" and event.call in CALLS]
        assert {(one.source, one.role, one.analysis) for one in starts} == {
            ("twilio", "caller", "person"),
            ("twilio", "agent", "timing"),
        }
        (start,) = heard.of(str(asterisk), "stream_start")
        assert (start.data.source, start.data.role, start.channel) == ("audiosocket", "caller", "caller")
        assert heard.of("direct", "stream_start")[0].data.source == "ingest"
        ends = [event.data for event in heard.events if event.kind == "stream_end" and event.call in CALLS]
        assert {one.reason for one in ends} == {"end"}
        left_out = {one.name: one.dropped for one in health.sources}
        assert set(left_out) == {"front", "twilio", "audiosocket"}
        if not any(left_out.values()):  # the machine had time for everything
            assert sum(one.counters.source_lost_samples for one in ends) == 0
            assert {round(one.duration_s, 2) for one in ends} == {round(telephone.sent_chunks * 0.02, 2)}
        assert heard.lost_events == 0


def test_both_parties_of_calls_go_on_together_elsewhere_within_three_seconds_when_their_worker_is_killed() -> None:
    lines = Lines()
    with serving(*lines.words) as server, Heard(server.events) as heard, Twilio(lines.twilio, CALLS) as telephone:
        heard.wait_for(all_of("speech_start"), 60.0)
        had = server.workers[1].streams
        assert 0 < had < 2 * len(CALLS)
        killed_s = time.monotonic()
        os.kill(server.processes[1], signal.SIGKILL)
        heard.wait_for(lambda heard: heard.of("", "fault"))
        moved = Counter(event.call for event in heard.events if event.kind == "fault" and event.call)
        assert sum(moved.values()) == had
        assert set(moved.values()) == {2}, "both parties were at one worker"
        on_s = heard.wait_for(all_of("stream_start", list(moved), 2))
        assert on_s - killed_s < 3.0 * strain()
        heard.wait_for(lambda heard: all(heard.of(name, "speech_start")[-1].stream_seq > 4 for name in moved))
        telephone.stop()
        heard.wait_for(all_of("stream_end", list(moved), 2))
        assert len(gateway_processes(server)) == 2
    for name in moved:
        ends = heard.of(name, "stream_end")
        assert [event.data.reason for event in ends] == ["worker lost"] * 2 + ["end"] * 2
        assert all(0 < lost < 16_000 * (on_s - killed_s + 2.0) for lost in lost_samples(heard, name)[2:])
        for track in TRACKS:
            numbers = [event.stream_seq for event in heard.of(name) if event.channel == track]
            assert numbers == list(range(1, len(numbers) + 1))
    stayed = [name for name in CALLS if name not in moved]
    assert all(count == 1 for count in streams(heard, "stream_start", stayed).values())
    assert heard.lost_events == 0


def test_calls_of_a_worker_that_is_to_go_move_and_those_of_a_gateway_that_dies_end() -> None:
    lines = Lines()
    with (
        serving(*lines.words, "--set", "workers.move_s=0.5") as server,
        Heard(server.events) as heard,
        Talk(server.ingest, ["direct"]),
        Twilio(lines.twilio, CALLS) as telephone,
    ):
        heard.wait_for(all_of("speech_start"), 60.0)
        assert server.workers[1].streams
        server.ask("remove", 1)
        heard.wait_for(lambda heard: set(server.workers) == {2}, 60.0)
        heard.wait_for(lambda heard: server.workers[2].streams == 2 * len(CALLS) + 1)
        assert {event.data.reason for event in heard.events if event.kind == "stream_end"} == {"moved"}
        for number in gateway_processes(server):
            os.kill(number, signal.SIGKILL)
        telephone.abandon()
        heard.wait_for(lambda heard: server.workers[2].streams == 1)
        heard.wait_for(lambda heard: streams(heard, "stream_end") == streams(heard, "stream_start"))
        last = {(event.call, event.channel): event.data.reason for event in heard.events if event.kind == "stream_end"}
        assert last == {(call, track): "source failed" for call in CALLS for track in TRACKS}
        problems = " ".join(event.data.problem for event in heard.of("", "fault"))
        assert "the process of the source 'twilio' has died (signal 9)" in problems
        assert not heard.of("direct", "stream_end")  # it is served all the while
        # Others take their places, and calls come again.
        heard.wait_for(lambda heard: len(heard.of("", "source")) == 2, 60.0)
        with Twilio(lines.twilio, ["again"]):
            heard.wait_for(all_of("speech_start", ["again"]), 60.0)


def test_a_drained_server_turns_new_calls_away_at_the_gateway_and_ends_with_the_last() -> None:
    lines = Lines()
    with serving(*lines.words, "--drain", "30", workers=1) as server, Heard(server.events) as heard:
        with Twilio(lines.twilio, CALLS[:1]) as telephone:
            heard.wait_for(all_of("speech_start", CALLS[:1]), 60.0)
            server.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            with pytest.raises(Exception, match="503"), Twilio(lines.twilio, CALLS[1:2]):
                pass
            assert server.process.poll() is None
            telephone.stop()
            heard.wait_for(all_of("stream_end", CALLS[:1]))
        server.process.wait(30.0)
        assert server.process.returncode == 0
    assert {event.data.reason for event in heard.of(CALLS[0], "stream_end")} == {"end"}


def test_a_server_of_gateways_alone_opens_no_other_door_and_parties_that_the_policy_turns_away_are_told() -> None:
    lines = Lines()
    words = [*lines.words, "--set", "policy.others=refuse"]
    with serving(*words, workers=1, has_ingest=False) as server, Heard(server.events) as heard:
        assert not any(line.startswith("audio in") for line in server.said)
        with Twilio(lines.twilio, CALLS[:1]):
            heard.wait_for(lambda heard: heard.of(CALLS[0], "level"), 60.0)
        heard.wait_for(lambda heard: heard.of(CALLS[0], "stream_end"))
        assert {event.channel for event in heard.of(CALLS[0], "stream_start")} == {"inbound"}
        (fault,) = (event.data for event in heard.of("", "fault"))
        assert (fault.where, fault.action) == ("twilio", "left out")
        assert "brings a party that is not taken" in fault.problem
        assert "agent" in fault.problem
