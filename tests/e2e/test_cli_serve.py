import json
import signal
import socket
import time

import numpy as np
import pytest

from rtemo.api import CapacityError
from rtemo.client import AudioSender
from tests.fakes.program import call, start
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.e2e

CHAIN = ("--chain", "level,vad")
PACKET = RATE_HZ // 50


def free_port():
    """A port with the two above it free: events, state and query."""
    while True:
        with socket.socket() as one, socket.socket() as two, socket.socket() as three:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            try:
                two.bind(("127.0.0.1", port + 1))
                three.bind(("127.0.0.1", port + 2))
            except OSError:
                continue
            return port


class Server:
    """A running `rtemo serve`."""

    def __init__(self, *arguments):
        self.ingest = f"tcp://127.0.0.1:{free_port()}"
        self.events = f"tcp://127.0.0.1:{free_port()}"
        self.process = start("serve", "--ingest", self.ingest, "--publish", self.events, *arguments)
        self.said = []
        self.wait_for("streams ")

    def wait_for(self, words):
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if words in line:
                return line
        raise AssertionError(f"{words!r} did not come: {self.said} {self.process.stderr.read()}")

    def stop(self, number=signal.SIGTERM):
        start_s = time.monotonic()
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=10)
        return time.monotonic() - start_s, out, err


@pytest.fixture
def server():
    made = Server(*CHAIN, "--capacity", "4")
    yield made
    if made.process.poll() is None:
        made.process.kill()
        made.process.communicate()


def speak(stream, duration_s, seed=1):
    """Send speech in packets of 20 ms at its own pace."""
    pcm = (voice(duration_s, seed) * 32767).astype("<i2")
    start_s = time.monotonic()
    for index in range(len(pcm) // PACKET):
        stream.send(pcm[index * PACKET : (index + 1) * PACKET].tobytes())
        time.sleep(max(0.0, start_s + (index + 1) * 0.02 - time.monotonic()))


def test_serve_says_where_it_listens_and_stops_within_five_seconds_under_load(server):
    said = "\n".join(server.said)
    assert f"audio in  {server.ingest}" in said
    assert f"events    {server.events}" in said
    assert "query     tcp://" in said
    assert "purpose   customer_care" in said
    assert "streams   4" in said
    with AudioSender(server.ingest) as sender:
        speak(sender.open("call-1", sample_rate_hz=RATE_HZ), 1.0)
        took_s, out, err = server.stop()
    assert took_s < 5
    assert server.process.returncode == 0
    # One line that a supervisor can wait for, when everything is open and compiled.
    (ready,) = err.splitlines()
    assert ready.startswith(f"rtemo: ready: audio in {server.ingest}, events {server.events}, state tcp://")
    assert ready.endswith(", 4 slots")
    assert "call-1/0  stream opens" in out
    assert "call-1/0  stream ends (source closed)" in out
    assert "session ends (stopped)" in out


def test_subscribe_prints_what_calls_say(server):
    reader = start("subscribe", server.events)
    with AudioSender(server.ingest) as sender:
        stream = sender.open("call-1", sample_rate_hz=RATE_HZ, role="customer")
        speak(stream, 5.0)
        stream.end()
        server.wait_for("stream ends")
    time.sleep(0.5)
    reader.send_signal(signal.SIGINT)
    out, err = reader.communicate(timeout=10)
    assert (reader.returncode, err) == (0, "")
    for words in (
        "call-1/0  stream opens",
        "(customer)",
        "call-1/0  speech begins",
        "call-1/0  speech ends",
        "stream ends",
    ):
        assert words in out


def test_subscribe_as_json_gives_the_wire_events_of_the_kinds_asked_for(server):
    reader = start("subscribe", server.events, "--json", "--kind", "level", "--count", "3", "--call", "b")
    with AudioSender(server.ingest) as sender:
        streams = [sender.open(name, sample_rate_hz=RATE_HZ, role="caller") for name in ("a", "b")]
        for _ in range(250):
            for stream in streams:
                stream.send(np.zeros(PACKET, "<i2").tobytes())
            time.sleep(0.02)
            if reader.poll() is not None:
                break
        out, err = reader.communicate(timeout=10)
    assert (reader.returncode, err) == (0, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert len(events) == 3
    assert {(event["call"], event["kind"], event["schema"]) for event in events} == {("b", "level", "rtemo.event/1")}


def test_top_shows_every_plugin_of_the_running_engine(server, capsys):
    done = call(capsys, "top", server.events, "--once")
    assert done.code == 0
    for word in ("WAIT", "BUSY", "level", "vad", "of 4 streams", "xruns"):
        assert word in done.out
    health = json.loads(call(capsys, "top", server.events, "--once", "--json").out)
    assert [plugin["name"] for plugin in health["plugins"]] == ["level", "vad"]


def test_a_stream_beyond_capacity_is_refused_with_a_reason(server):
    with AudioSender(server.ingest) as sender:
        for index in range(4):
            sender.open(f"call-{index}", sample_rate_hz=RATE_HZ)
        with pytest.raises(CapacityError, match="all 4 streams are in use"):
            sender.open("one-more", sample_rate_hz=RATE_HZ)


def test_a_second_server_on_the_same_port_says_so(server, capsys):
    done = call(capsys, "serve", *CHAIN, "--ingest", server.ingest, "--publish", f"tcp://127.0.0.1:{free_port()}")
    assert done.code == 2
    assert server.ingest.rsplit(":", 1)[1] in done.complaint
    assert "in use" in done.complaint


@pytest.mark.parametrize("edge", ["--ingest", "--publish", "--audio-out"])
def test_an_address_in_use_is_found_before_the_warm_up(edge, capsys, monkeypatch):
    def warms(*_):
        raise AssertionError("it warms up")

    monkeypatch.setattr("rtemo.session.Warming", warms)
    ports = {name: f"tcp://127.0.0.1:{free_port()}" for name in ("--ingest", "--publish", "--audio-out")}
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        ports[edge] = f"tcp://127.0.0.1:{other.getsockname()[1]}"
        done = call(capsys, "serve", *CHAIN, *(word for pair in ports.items() for word in pair))
        assert done.code == 2
        assert f"port {other.getsockname()[1]} on 127.0.0.1 is already in use" in done.complaint
        other.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            other.accept()  # nobody came to see


def test_two_ends_of_one_server_at_the_same_address_are_refused_before_the_warm_up(capsys):
    port = free_port()
    words = ("--ingest", f"tcp://127.0.0.1:{port + 1}", "--publish", f"tcp://127.0.0.1:{port}")
    done = call(capsys, "serve", *CHAIN, *words)
    assert done.code == 2
    assert f"tcp://127.0.0.1:{port + 1} is wanted for two things; events take their port and the two" in done.complaint


def test_a_file_of_events_that_cannot_be_written_is_found_before_the_warm_up(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr("rtemo.session.Warming", None)
    done = call(capsys, "serve", *CHAIN, "--publish", "jsonl", "--jsonl", tmp_path / "none" / "events.jsonl")
    assert done.code == 2
    assert "No such file or directory; check that the folder exists" in done.complaint


@pytest.mark.parametrize("verb", ["subscribe", "top"])
def test_when_nobody_publishes_the_mend_is_told(capsys, verb):
    done = call(capsys, verb, f"tcp://127.0.0.1:{free_port()}", "--wait", "1")
    assert done.code == 2
    assert "nothing was heard from tcp://127.0.0.1:" in done.complaint
    assert "check that rtemo runs there" in done.complaint


def test_subscribe_survives_the_death_of_the_publisher(server):
    reader = start("subscribe", server.events)
    with AudioSender(server.ingest) as sender:
        speak(sender.open("call-1", sample_rate_hz=RATE_HZ), 0.5)
    server.process.kill()
    server.process.wait()
    time.sleep(4.0)
    assert reader.poll() is None
    reader.send_signal(signal.SIGTERM)
    _, err = reader.communicate(timeout=10)
    assert reader.returncode == 0
    assert "Traceback" not in err


def test_subscribe_waits_for_a_publisher_that_comes_later():
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    reader = start("subscribe", endpoint, "--wait", "30", "--json", "--count", "2")
    time.sleep(1.0)
    publisher = start("serve", *CHAIN, "--ingest", f"tcp://127.0.0.1:{free_port()}", "--publish", endpoint)
    try:
        out, err = reader.communicate(timeout=30)
    finally:
        publisher.terminate()
        publisher.communicate(timeout=10)
    assert (reader.returncode, err) == (0, "")
    assert len(out.splitlines()) == 2
