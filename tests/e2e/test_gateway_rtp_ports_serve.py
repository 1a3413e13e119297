"""`rtemo serve` that hands out RTP ports: real processes, whether one engine does the work or several workers."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

import pytest

from rtemo.dsp.resample import resample
from rtemo.io.pcm import encode_pcm
from tests.fakes.program import child_of
from tests.fakes.rtp import FRAME, Phone
from tests.fakes.rtp_ports import Asker, free_udp_range
from tests.fakes.voice import RATE_HZ, voice
from tests.fakes.workers import Heard, Served, serving
from tests.fakes.zmq_ends import free_ports

pytestmark = pytest.mark.e2e

SPEECH = encode_pcm(resample(voice(4.0), RATE_HZ, 8_000), "mulaw")[: 190 * FRAME]
GATEWAY = "rtemo.io.gateways.process_child"


@contextmanager
def lending(workers: int, pairs: int = 2) -> Iterator[tuple[Served, Asker]]:
    endpoint = f"tcp://127.0.0.1:{free_ports(7) + 6}"  # the server takes the five before
    words = ["--source", "rtp", "--set", "policy.others=refuse"]
    options = {
        "first_port": 0,
        "lines": 1,
        "resume_s": 60,
        "ports.range": free_udp_range(pairs),
        "ports.endpoint": endpoint,
    }
    for name, value in options.items():
        words += ["--set", f"sources.rtp.{name}={value}"]
    with serving(*words, workers=workers) as server, Asker(endpoint) as asker:
        yield server, asker


@contextmanager
def speaking(reply: dict[str, Any]) -> Iterator[None]:
    """Somebody speaks into the first port, in real time, until the block ends and says goodbye."""
    assert reply["ok"], reply
    phone, stop = Phone(None, port=reply["legs"][0]["port"]), threading.Event()

    def run() -> None:
        begin_s = time.monotonic()
        for number in count():
            if stop.wait(max(0.0, begin_s + 0.02 * number - time.monotonic())):
                return
            with contextlib.suppress(ConnectionRefusedError):  # the gateway was killed
                phone.raw(number, number * FRAME, 0, SPEECH[number * FRAME % len(SPEECH) :][:FRAME])

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        with contextlib.suppress(ConnectionRefusedError):
            phone.bye()


@pytest.mark.parametrize("workers", [0, 2])
def test_call_is_heard_at_the_ports_it_asked_for_and_a_refused_role_is_told_before(workers: int) -> None:
    with lending(workers) as (server, asker), Heard(server.events) as heard:
        reply = asker.ports("call 1", "caller", "agent")
        assert (reply["ok"], reply["error"]["code"]) == (False, "policy")
        assert "'agent'" in reply["error"]["problem"]
        reply = asker.ports("call 2", "caller")
        with speaking(reply):
            heard.wait_for(lambda heard: heard.of("call 2", "speech_start"))
            assert asker.refused("call 2", "caller") == "in_use"
        heard.wait_for(lambda heard: heard.of("call 2", "stream_end"))
        (end,) = heard.of("call 2", "stream_end")
        assert end.data.reason == "end"
        again = asker.ports("call 2", "caller")
        assert again["free_ports"] == 1
        assert asker.give_back("call 2", again["ticket"])["free_ports"] == 2
    (named,) = [line.split()[1] for line in server.said if line.startswith("ports ")]
    assert named == asker.endpoint


@pytest.mark.parametrize(("workers", "streams"), [(0, 1), (2, 2)])
def test_gateway_that_is_killed_leaves_no_port_behind_and_the_call_comes_again(workers: int, streams: int) -> None:
    with lending(workers, pairs=1) as (server, asker), Heard(server.events) as heard:
        before = child_of(server.process.pid, GATEWAY)
        with speaking(asker.ports("call", "caller")):
            heard.wait_for(lambda heard: heard.of("call", "speech_start"))
            os.kill(before, signal.SIGKILL)
            heard.wait_for(lambda heard: "recovered" in {event.data.state for event in heard.of("", "source")})
        assert asker.refused("other", "caller", "caller") == "exhausted"  # one pair is all there is
        with speaking(asker.ports("call", "caller")):
            heard.wait_for(lambda heard: len(heard.of("call", "stream_start")) == streams)
            came = len(heard.of("call", "level"))
            heard.wait_for(lambda heard: len(heard.of("call", "level")) > came + 4)
        heard.wait_for(lambda heard: len(heard.of("call", "stream_end")) == streams)
    assert len(heard.of("call", "stream_start")) == streams  # with one engine the stream waits, and goes on
    *_, end = heard.of("call", "stream_end")
    assert end.data.reason == "end"
    assert end.data.counters.source_lost_samples > 0 or workers
