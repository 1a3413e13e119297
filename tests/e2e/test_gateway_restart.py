"""`rtemo serve` with one engine, whose gateway dies: real processes, a call of Twilio's shape and one over ZeroMQ."""

import os
import signal
import time
from contextlib import ExitStack

import pytest

from tests.fakes.program import child_of
from tests.fakes.telephone import TRACKS, Twilio, come_back
from tests.fakes.workers import Heard, Talk, serving, strain
from tests.fakes.zmq_ends import free_ports

pytest.importorskip("websockets.sync.client", reason="websockets is not installed: rtemo[telephony]")

pytestmark = pytest.mark.e2e

GATEWAY = "rtemo.io.gateways.process_child"


def has_all(heard: Heard, call: str, kind: str) -> bool:
    return {event.channel for event in heard.of(call, kind)} == set(TRACKS)


def test_gateway_that_is_killed_takes_calls_again_within_three_seconds_and_the_same_call_goes_on() -> None:
    port = free_ports(7) + 5  # the server takes the five before
    words = ["--source", "twilio", "--set", "sources.twilio.unsigned=true"]
    words += ["--set", f"sources.twilio.endpoint=tcp://127.0.0.1:{port}"]
    with (
        serving(*words, workers=0) as server,
        Heard(server.events) as heard,
        Talk(server.ingest, ["direct"]) as direct,
        Twilio(port, ["CA1"]) as telephone,
    ):
        heard.wait_for(lambda heard: has_all(heard, "CA1", "speech_start"), 60.0)
        heard.wait_for(lambda heard: heard.of("direct", "speech_start"), 60.0)
        before = child_of(server.process.pid, GATEWAY)
        killed_s = time.monotonic()
        os.kill(before, signal.SIGKILL)
        telephone.abandon()
        with ExitStack() as clients:
            come_back(clients, port, "CA2")
            on_s = heard.wait_for(lambda heard: has_all(heard, "CA2", "stream_start"))
            assert on_s - killed_s < 3.0 * strain()
            come_back(clients, port, "CA1")
            heard.wait_for(lambda heard: {one.data.state for one in heard.of("CA1", "source")} >= {"recovered"})
            came = len(heard.of("CA1", "level"))
            heard.wait_for(lambda heard: len(heard.of("CA1", "level")) > came + 4)
        assert child_of(server.process.pid, GATEWAY) != before
        heard.wait_for(lambda heard: has_all(heard, "CA1", "stream_end"))
        direct.stop()
        heard.wait_for(lambda heard: heard.of("direct", "stream_end"))
    assert len(heard.of("CA1", "stream_start")) == 2  # one for each party, all the while
    for end in heard.of("CA1", "stream_end"):
        assert end.data.reason == "end"
        assert end.data.counters.source_lost_samples > 0
    (fault,) = heard.of("", "fault")
    assert (fault.data.where, fault.data.action) == ("twilio", "retrying")
    assert fault.data.problem == "the process of the source 'twilio' has died (signal 9)"
    assert [event.data.state for event in heard.of("", "source")] == ["recovered"]
    assert not heard.of("direct", "source")
    (end,) = heard.of("direct", "stream_end")
    assert end.data.counters.source_lost_samples == direct.streams["direct"].account.lost_samples
    assert any("twilio" in line and "has died (signal 9)" in line for line in server.complained)
