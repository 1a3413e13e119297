"""Death of each process of a server: worker, gateway, web server; see docs/reliability-machine.md."""

import os
import signal
import time
from collections.abc import Callable
from contextlib import ExitStack

from tests.attack.fault_table import Promise
from tests.attack.process_faults import Hearing
from tests.attack.server import Crowd, Server
from tests.fakes.program import child_of
from tests.fakes.telephone import Twilio, come_back
from tests.fakes.workers import Heard, Talk, serving
from tests.fakes.zmq_ends import free_ports, wait_until

CALLS = [f"c{number}" for number in range(6)]


def worker_killed(promise: Promise) -> None:
    with serving() as server, Heard(server.events) as heard, Talk(server.ingest, CALLS):
        heard.wait_for(lambda heard: all(heard.of(call, "level") for call in CALLS), 60.0)
        killed_s = time.monotonic()
        os.kill(server.processes[1], signal.SIGKILL)
        told_s = heard.wait_for(lambda heard: heard.of("", "fault"))
        assert told_s - killed_s <= promise.told_s
        moved = {event.call for event in heard.events if event.kind == "fault" and event.call}
        whole_s = heard.wait_for(lambda heard: all(len(heard.of(call, "stream_start")) == 2 for call in moved))
        assert whole_s - killed_s <= promise.whole_s
    assert moved
    actions = {event.call: event.data.action for event in heard.events if event.kind == "fault"}
    assert actions == {"": "retrying", **dict.fromkeys(moved, "moved")}
    assert all(len(heard.of(call, "stream_start")) == 1 for call in set(CALLS) - moved)


def gateway_killed(promise: Promise) -> None:
    port = free_ports(7) + 5  # the server takes the five before
    words = ["--source", "twilio", "--set", "sources.twilio.unsigned=true"]
    words += ["--set", f"sources.twilio.endpoint=tcp://127.0.0.1:{port}"]
    with (
        serving(*words, workers=0) as server,
        Heard(server.events) as heard,
        Talk(server.ingest, ["direct"]) as direct,
        Twilio(port, ["CA1"]) as telephone,
        ExitStack() as clients,
    ):
        heard.wait_for(lambda heard: heard.of("CA1", "level") and heard.of("direct", "level"), 60.0)
        killed_s = time.monotonic()
        os.kill(child_of(server.process.pid, "rtemo.io.gateways.process_child"), signal.SIGKILL)
        told_s = heard.wait_for(lambda heard: heard.of("", "fault"))
        assert told_s - killed_s <= promise.told_s
        telephone.abandon()
        come_back(clients, port, "CA1")
        whole_s = heard.wait_for(lambda heard: "recovered" in {one.data.state for one in heard.of("CA1", "source")})
        assert whole_s - killed_s <= promise.whole_s
        direct.stop()
        heard.wait_for(lambda heard: heard.of("direct", "stream_end"))
    assert [event.data.action for event in heard.of("", "fault")] == ["retrying"]
    assert [event.data.state for event in heard.of("", "source")] == ["recovered"]
    assert len(heard.of("CA1", "stream_start")) == 2, "one for each party, all the while"
    assert not heard.of("direct", "source")


def web_server_killed(promise: Promise) -> None:
    with (
        Server("--quiet", "--set", "publishers.web.port=0", publishers="web") as server,
        Hearing(server) as hearing,
        Crowd(server.ingest, 8, role="customer") as crowd,
    ):
        assert wait_until(lambda: hearing.of("level"), 20.0)
        killed_s = time.monotonic()
        os.kill(child_of(server.process.pid, "rtemo.io.web.server"), signal.SIGKILL)
        assert wait_until(lambda: hearing.of("fault"), promise.told_s + 1.0)
        at_s, fault = hearing.of("fault")[0]
        assert at_s - killed_s <= promise.told_s
        assert (fault.data.where, fault.data.action) == ("web", "closed")
        assert "the web server has died" in fault.data.problem
        count = len(hearing.of("level"))
        assert wait_until(lambda: len(hearing.of("level")) > count + 8)
        assert sum(stream.dropped_samples for stream in crowd.streams) == 0
        assert hearing.lost_events == 0
        server.signal(signal.SIGTERM)
        assert server.end() == 1, "who started it is told too"


FAULTS: dict[str, Callable[[Promise], None]] = {
    "process of a worker killed": worker_killed,
    "process of a gateway killed": gateway_killed,
    "process of the web server killed": web_server_killed,
}
