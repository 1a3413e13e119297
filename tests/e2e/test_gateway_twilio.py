"""TwilioSource over real WebSockets: calls as Twilio sends them, and peers that send something else."""

import base64
import json
import os
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import rtemo
from bench.fakes.desk import FakeDesk
from rtemo.api import ConfigError, EndpointError, SourceState
from rtemo.config import Config
from rtemo.io.gateways.options import TwilioOptions
from rtemo.io.gateways.twilio import TwilioSource
from rtemo.io.pcm import encode_pcm
from tests.fakes.gateways import Gate, expected, gate, is_closed, sound
from tests.fakes.zmq_ends import wait_until

client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed: rtemo[telephony]")

pytestmark = pytest.mark.e2e

FRAME = 160


class Caller:
    """Twilio's side of a stream."""

    def __init__(self, port: int, call: str = "CA1", tracks: tuple[str, ...] = ("inbound",), **headers: str) -> None:
        self.socket = client.connect(f"ws://127.0.0.1:{port}/", additional_headers=headers, compression=None)
        self.socket.__enter__()
        self.number = 0
        self.call = call
        self.tracks = tracks

    def say(self, event: str, **body: Any) -> None:
        self.number += 1
        self.socket.send(json.dumps({"event": event, "sequenceNumber": str(self.number), "streamSid": "MZ1", **body}))

    def start(self, **media_format: Any) -> "Caller":
        self.say("connected", protocol="Call", version="1.0.0")
        layout = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1, **media_format}
        self.say("start", start={"callSid": self.call, "tracks": list(self.tracks), "mediaFormat": layout})
        return self

    def media(self, samples: np.ndarray, chunk: int, track: str = "inbound", frame: int = FRAME) -> None:
        """Send the chunk (from 1) of a track."""
        begin = (chunk - 1) * frame
        payload = base64.b64encode(encode_pcm(samples[begin : begin + frame], "mulaw")).decode()
        place = {"track": track, "chunk": str(chunk), "timestamp": str(begin // 8), "payload": payload}
        self.say("media", media=place)

    def stop(self) -> None:
        self.say("stop", stop={"callSid": self.call})
        self.socket.close()


def twilio(**changes: Any) -> Any:
    return gate(TwilioSource, **{"unsigned": True, **changes})


def frames(samples: np.ndarray) -> range:
    return range(1, len(samples) // FRAME + 1)


def test_both_tracks_arrive_to_the_sample_in_their_roles() -> None:
    voices = {"inbound": sound(seed=1), "outbound": sound(seed=2)}
    with twilio() as made:
        caller = Caller(made.port, tracks=("inbound", "outbound")).start()
        for chunk in frames(voices["inbound"]):
            for track, samples in voices.items():
                caller.media(samples, chunk, track)
        caller.say("dtmf", dtmf={"track": "inbound_track", "digit": "1"})
        caller.say("mark", mark={"name": "m"})
        caller.stop()
        for track, samples in voices.items():
            writer = made.ended("CA1", track)
            np.testing.assert_allclose(writer.samples, expected(samples), atol=1e-6)
            assert writer.end_reason == "end"
            assert writer.lost_samples == 0
        assert (made.desk.writers["CA1", "inbound"].role, writer.role) == ("caller", "agent")
        assert not made.faults


def test_missing_repeated_and_swapped_chunks_are_placed_by_their_numbers() -> None:
    samples = sound()
    with twilio(reorder_s=1.0) as made:
        caller = Caller(made.port).start()
        for chunk in (1, 2, 4, 3, 5, 5, 9, *range(10, 21)):
            caller.media(samples, chunk)
        caller.stop()
        writer = made.ended("CA1", "inbound")
    whole = expected(samples)
    hole = slice(5 * 320 + 120, 8 * 320 - 120)  # but for what the filter carries across the edges
    assert len(writer.samples) == len(whole)
    assert sum(length for _, length in writer.gaps) == writer.lost_samples == 3 * 320
    np.testing.assert_allclose(writer.samples[: 5 * 320 - 120], whole[: 5 * 320 - 120], atol=1e-6)
    np.testing.assert_allclose(writer.samples[8 * 320 + 120 :], whole[8 * 320 + 120 :], atol=1e-6)
    assert not writer.samples[hole].any()


def test_audio_carries_the_time_at_which_it_was_spoken_through_a_burst() -> None:
    samples = sound()
    with twilio() as made:
        caller = Caller(made.port).start()
        caller.media(samples, 1)
        began_ns = time.time_ns()
        time.sleep(0.3)
        for chunk in range(2, 16):  # held up, then all at once
            caller.media(samples, chunk)
        caller.stop()
        writer = made.ended("CA1", "inbound")
    spoken_s = [(capture_ns - began_ns) * 1e-9 for _, capture_ns in writer.captures if capture_ns]
    assert spoken_s[-1] - spoken_s[0] == pytest.approx(14 * 0.02, abs=0.012)  # a turn


def test_frames_of_any_size_without_numbers_are_taken() -> None:
    samples = sound()
    with twilio() as made:
        caller = Caller(made.port).start()
        for begin, end in ((0, 320), (320, 640), (640, 641), (641, 3_200)):
            payload = base64.b64encode(encode_pcm(samples[begin:end], "mulaw")).decode()
            caller.say("media", media={"payload": payload})
        caller.stop()
        np.testing.assert_allclose(made.ended("CA1", "inbound").samples, expected(samples), atol=1e-6)


def test_stand_ins_that_send_320_bytes_as_20_ms_lose_nothing() -> None:
    samples = sound(0.8)
    with twilio() as made:
        caller = Caller(made.port).start()
        for chunk in range(1, 21):
            payload = base64.b64encode(encode_pcm(samples[320 * (chunk - 1) : 320 * chunk], "mulaw")).decode()
            caller.say("media", media={"payload": payload, "chunk": chunk, "timestamp": 20 * chunk})
        caller.stop()
        np.testing.assert_allclose(made.ended("CA1", "inbound").samples, expected(samples), atol=1e-6)


def test_stream_that_breaks_off_and_comes_again_is_the_same_call() -> None:
    samples = sound()
    with twilio() as made:
        first = Caller(made.port).start()
        for chunk in range(1, 11):
            first.media(samples, chunk)
        assert wait_until(lambda: made.desk.writers and made.desk.only().position_samples > 9 * 320)
        first.socket.socket.shutdown(socket.SHUT_RDWR)
        time.sleep(0.3)
        second = Caller(made.port).start()
        for chunk in range(1, 11):
            second.media(samples[1600:], chunk)
        second.stop()
        writer = made.ended("CA1", "inbound")
        assert len(made.desk.writers) == 1
    missing = writer.lost_samples
    assert 0.2 * 16_000 < missing < 1.5 * 16_000  # the time in between, as a hole
    assert len(writer.samples) == len(expected(samples)) + missing
    np.testing.assert_allclose(writer.samples[-2_000:], expected(samples)[-2_000:], atol=1e-6)


def test_call_that_is_not_taken_up_again_ends() -> None:
    with twilio(resume_s=0.1) as made:
        caller = Caller(made.port).start()
        caller.media(sound(), 1)
        assert wait_until(lambda: made.desk.writers)
        caller.socket.socket.shutdown(socket.SHUT_RDWR)
        assert made.ended("CA1", "inbound").end_reason == "lost"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hello", "no JSON"),
        ('{"event": 3}', "without an `event`"),
        ('{"event": "media", "media": {"payload": "%%"}}', "cannot be read"),
        ('{"event": "media", "media": {"payload": "//8="}}', "before `start`"),
        ('{"event": "start", "start": {"callSid": "x", "tracks": ["sideways"]}}', "no track"),
        ('{"event": "start", "start": {"callSid": "x", "mediaFormat": {"sampleRate": 16000}}}', "of 16000 Hz"),
        ("[" * 60_000, "without an `event`"),
        ('{"event": "start", "start": 7, oops}', "no JSON"),
        ('{"event": "x", "a": ' + "[" * 60_000, "no JSON"),
    ],
)
def test_what_is_no_twilio_stream_is_closed_with_one_line_and_hurts_nobody(text: str, told: str) -> None:
    samples = sound()
    with twilio() as made:
        good = Caller(made.port).start()
        good.media(samples, 1)
        with client.connect(f"ws://127.0.0.1:{made.port}/") as bad:
            bad.send(text)
            assert told in made.broken()
        assert len(made.faults) == 1
        for chunk in range(2, 21):
            good.media(samples, chunk)
        good.stop()
        np.testing.assert_allclose(made.ended("CA1", "inbound").samples, expected(samples), atol=1e-6)


def test_message_of_a_gigabyte_is_refused_at_its_announcement() -> None:
    with twilio() as made:
        caller = Caller(made.port).start()
        caller.socket.socket.sendall(b"\x81\xff" + struct.pack(">Q", 1 << 30) + b"mask" + bytes(64))
        assert "more than 65536 bytes" in made.broken()


def test_peers_that_say_nothing_or_dribble_are_closed() -> None:
    with twilio(hello_s=0.3) as made:
        dribbling = socket.create_connection(("127.0.0.1", made.port))
        dribbling.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        with client.connect(f"ws://127.0.0.1:{made.port}/") as silent:
            made.broken(2)
            assert any("has not begun a call" in line for line in made.faults)
            assert any("came without a WebSocket handshake" in line for line in made.faults)
            with pytest.raises(Exception, match="has not begun a call"):
                silent.recv(timeout=3.0)
        assert is_closed(dribbling)
        assert not made.desk.writers


def test_half_open_connection_is_closed_when_its_peer_is_gone() -> None:
    with twilio(idle_s=0.4, resume_s=0.1) as made:
        caller = Caller(made.port).start()
        caller.media(sound(), 1)
        assert "was silent" in made.broken()
        assert made.ended("CA1", "inbound").end_reason == "lost"


def test_flood_far_faster_than_real_time_costs_its_own_audio_alone() -> None:
    samples = np.zeros(8_000, np.float32)
    payload = base64.b64encode(encode_pcm(samples[:4_000], "mulaw")).decode()
    with twilio() as made:
        caller = Caller(made.port).start()
        for _ in range(60):
            caller.say("media", media={"payload": payload})
        caller.stop()
        writer = made.ended("CA1", "inbound")
        assert made.source.counts.dropped > 10
        assert len(writer.samples) < 25 * 16_000
        assert [fault for fault in made.faults if "faster than real time" in fault] == made.faults[:1]


def test_connection_beyond_the_most_is_refused() -> None:
    with twilio(max_connections=1) as made:
        Caller(made.port).start()
        assert wait_until(lambda: made.desk.writers)
        with pytest.raises(Exception, match="503"):
            Caller(made.port, "CA2")
        assert "all 1 connections" in made.broken()


def test_signature_of_twilio_is_checked() -> None:
    validator = pytest.importorskip("twilio.request_validator", reason="twilio is not installed: rtemo[twilio]")
    url = "wss://example.com/stream"
    os.environ["TWILIO_AUTH_TOKEN"] = "secret"
    try:
        with twilio(unsigned=False, public_url=url) as made:
            for headers in ({}, {"X-Twilio-Signature": "bm90aGluZw=="}):
                with pytest.raises(Exception, match="403"):
                    Caller(made.port, **headers)
            assert "is not of this account" in made.broken(2)
            signature = validator.RequestValidator("secret").compute_signature(url, {})
            Caller(made.port, **{"X-Twilio-Signature": signature}).start()
            assert wait_until(lambda: made.desk.writers)
    finally:
        del os.environ["TWILIO_AUTH_TOKEN"]


def test_unsigned_streams_are_taken_at_a_loopback_address_only() -> None:
    pytest.importorskip("twilio", reason="twilio is not installed: rtemo[twilio]")
    with pytest.raises(EndpointError, match="anybody's calls"):
        TwilioSource(TwilioOptions(endpoint="tcp://0.0.0.0:5580", unsigned=True, insecure_plaintext=True)).check()
    with pytest.raises(EndpointError, match="plain text"):
        TwilioSource(TwilioOptions(endpoint="tcp://0.0.0.0:5580", unsigned=True)).check()
    with pytest.raises(ConfigError, match="public_url"):
        TwilioSource(TwilioOptions(endpoint="tcp://127.0.0.1:5580")).check()


def test_stream_whose_audio_stays_away_is_reported_lost_and_recovered() -> None:
    with twilio(lost_s=0.3) as made:
        caller = Caller(made.port).start()
        caller.media(sound(), 1)
        assert wait_until(lambda: made.desk.writers)
        writer = made.desk.only()
        assert wait_until(lambda: writer.reports)
        caller.media(sound(), 2)
        assert wait_until(lambda: len(writer.reports) > 1)
    assert [report.state for report in writer.reports if isinstance(report, SourceState)] == ["lost", "recovered"]


def test_full_engine_takes_what_it_can_and_says_so() -> None:
    with twilio(desk=FakeDesk(is_live=True, capacity=1)) as made:
        Caller(made.port, tracks=("inbound", "outbound")).start()
        assert wait_until(lambda: made.faults, 4.0)
        assert "all 1 streams are in use" in made.faults[0]
        assert list(made.desk.writers) == [("CA1", "inbound")]


def test_engine_says_when_the_caller_speaks_and_never_analyses_the_agent() -> None:
    source = TwilioSource(TwilioOptions(endpoint="tcp://127.0.0.1:0", unsigned=True))
    speaking = 0.3 * np.sign(np.sin(2 * np.pi * 120 * np.arange(12_000) / 8_000)).astype(np.float32)
    with rtemo.Session(Config(chain=("level",)), sources=[source]) as session:
        made = Gate(source, FakeDesk())
        caller = Caller(made.port, tracks=("inbound", "outbound")).start()
        for chunk in range(1, 76):
            for track in ("inbound", "outbound"):
                caller.media(speaking, chunk, track)
            time.sleep(0.004)
        caller.stop()
        events = []
        until_s = time.monotonic() + 10.0
        while time.monotonic() < until_s and sum(event.kind == "stream_end" for event in events) < 2:
            events += list(session.events(0.2))
        (counts,) = session.engine.driver.health().sources
    assert (counts.name, counts.connections, counts.messages, counts.broken) == ("twilio", 1, 153, 0)
    starts = {event.channel: event for event in events if event.kind == "stream_start"}
    assert {(event.call, event.channel) for event in starts.values()} == {("CA1", "inbound"), ("CA1", "outbound")}
    assert {name: event.data.analysis for name, event in starts.items()} == {"inbound": "person", "outbound": "timing"}
    ends = [event for event in events if event.kind == "stream_end"]
    assert all(event.data.reason == "end" for event in ends)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_streams_come_over_tls_where_there_is_a_certificate(tmp_path: Path) -> None:
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-out", str(certificate), "-keyout", str(key)]
    subprocess.run([*command, *names, *files], check=True, capture_output=True)
    with pytest.raises(ConfigError, match="certificate of the source 'twilio'"):
        TwilioSource(TwilioOptions(certificate_file=str(key), unsigned=True)).check()
    with twilio(certificate_file=str(certificate), certificate_key_file=str(key), hello_s=0.5) as made:
        silent = socket.create_connection(("127.0.0.1", made.port))  # never begins to shake hands
        trusted = ssl.create_default_context(cafile=str(certificate))
        with client.connect(f"wss://127.0.0.1:{made.port}/", ssl=trusted) as peer:
            peer.send('{"event": "start", "start": {"callSid": "CA1"}}')
            peer.send('{"event": "stop"}')
            made.ended("CA1", "inbound")
        assert is_closed(silent)


def test_example_client_brings_a_call() -> None:
    example = Path(__file__).parents[2] / "examples" / "twilio_call.py"
    with twilio() as made:
        command = [sys.executable, str(example), str(example.with_name("call.flac"))]
        url = f"ws://127.0.0.1:{made.port}/"
        done = subprocess.run([*command, url, "0.5"], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        (call, _), *_ = made.desk.writers
        assert done.stdout == f"{call}: inbound, outbound sent in 53 messages\n"
        for track in ("inbound", "outbound"):
            writer = made.ended(call, track)
            assert (len(writer.samples), writer.lost_samples) == (8_000, 0)


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="/proc is Linux's")
def test_ten_thousand_connections_leave_nothing_behind() -> None:
    sizes = []
    with twilio() as made:
        for number in range(8_000):  # a quarter of them comes twice
            caller = Caller(made.port, f"CA{number}").start()
            caller.media(np.zeros(160, np.float32), 1)
            if number % 4:
                caller.stop()
            else:
                caller.socket.socket.shutdown(socket.SHUT_RDWR)
                Caller(made.port, f"CA{number}").start().stop()
            if number in (500, 7_999):
                assert wait_until(lambda: not made.source.count_streams, 20.0)
                made.desk.writers.clear()
                pages = int(Path("/proc/self/statm").read_text().split()[1])
                sizes.append((4096 * pages, len(list(Path("/proc/self/fd").iterdir()))))
            if number % 100 == 0:
                made.desk.writers.clear()
        assert not made.source._connections
        assert not made.source._closing
    (before, files_before), (after, files_after) = sizes
    assert after - before < 8 << 20
    assert files_after <= files_before + 4
