"""The audio feed over real sockets: what arrives, what is counted, and who may listen."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zmq

from bench.fakes.desk import FakeDesk
from rtemo.api import EndpointError, ProcessedBlock, StreamFormat
from rtemo.client import AudioReceiver, AudioSender, ReceivedAudio
from rtemo.engine.sink_thread import SinkThread
from rtemo.io.audio_wire import decode_packet, split_names
from rtemo.io.curve import generate_keys
from rtemo.io.sinks.zmq import ZmqAudioSink
from rtemo.io.sources.ingest import IngestSource
from rtemo.io.zmq_options import AudioOutOptions, CurveOptions, IngestOptions
from tests.engine.rig import noise
from tests.fakes.zmq_ends import ANY_PORT, pumping, wait_until

pytestmark = pytest.mark.e2e

HOP = 160


class Named:
    """A stream as the engine knows it."""

    def __init__(self, call: str, channel: str = "0", role: str = "") -> None:
        self.call, self.channel, self.role = call, channel, role


class Feeding:
    """A sink on its thread, fed as the driver would."""

    def __init__(self, **options: Any) -> None:
        self.sink = ZmqAudioSink(AudioOutOptions(**{"endpoint": ANY_PORT, "heartbeat_s": 0.1, **options}))
        self.faults: list[Any] = []
        self._thread = SinkThread(self.sink, StreamFormat(), 1000, self.faults.append)

    @property
    def endpoint(self) -> str:
        return str(self.sink.endpoint)

    def put(
        self, streams: list[Named], samples: np.ndarray, start: int, *, end: int | None = None, is_last: bool = False
    ) -> None:
        """Hand over one hop of every stream, all at the same position; `end` is where the streams end."""
        n = len(streams)
        heard = start + HOP if end is None else end
        self._thread.outbox.put(
            ProcessedBlock(
                tuple(streams),
                np.ascontiguousarray(np.broadcast_to(samples, (n, HOP)), np.float32),
                np.full(n, start, np.int64),
                np.full(n, heard, np.int64),
                np.full(n, 1_000_000_000 + start * 62_500, np.int64),
                np.full(n, is_last, np.bool_),
            )
        )

    def play(self, stream: Named, samples: np.ndarray, start: int = 0) -> None:
        """Hand over a whole recording, and its end."""
        total = samples.shape[0]
        for at in range(0, total, HOP):
            hop = np.zeros(HOP, np.float32)
            part = samples[at : at + HOP]
            hop[: part.shape[0]] = part
            self.put([stream], hop, start + at, end=min(start + total, start + at + HOP), is_last=at + HOP >= total)

    def flush(self) -> None:
        assert wait_until(lambda: self._thread.is_idle)

    def __enter__(self) -> "Feeding":
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        assert self._thread.stop(5.0), "the sink does not close"


@contextmanager
def hearing(feeding: Feeding, **options: Any) -> Iterator[AudioReceiver]:
    with AudioReceiver(feeding.endpoint, **options) as receiver:
        assert wait_until(lambda: receiver.receive(0.02) or receiver.is_connected)
        yield receiver


def collect(receiver: AudioReceiver, until: Any = lambda audio: audio.is_last) -> list[ReceivedAudio]:
    found: list[ReceivedAudio] = []
    deadline_s = time.monotonic() + 5.0
    while not any(map(until, found)):
        assert time.monotonic() < deadline_s, f"got {len(found)} stretches of audio"
        found += receiver.receive(0.05)
    return found


@pytest.mark.parametrize(("codec", "error"), [("s16le", 0.51 / 32_768), ("f32le", 0.0)])
@pytest.mark.parametrize("length", [1, HOP, 321, 4_321])
def test_a_recording_arrives_whole_and_at_its_place(codec: str, error: float, length: int) -> None:
    sound = noise(length)
    with Feeding(codec=codec) as feeding, hearing(feeding) as receiver:
        feeding.play(Named("call 1", "left"), sound)
        found = collect(receiver)
    assert {(audio.call, audio.channel, audio.sample_rate_hz) for audio in found} == {("call 1", "left", 16_000)}
    assert [audio.start_sample for audio in found] == [*range(0, length, 2 * HOP), length]
    np.testing.assert_allclose(np.concatenate([audio.samples for audio in found]), sound, atol=error)
    assert receiver.lost_samples == receiver.malformed_messages == 0


def test_a_packet_is_what_the_wire_format_says() -> None:
    with Feeding(packet_s=0.02) as feeding, zmq.Context() as context:
        reader = context.socket(zmq.SUB)
        reader.connect(feeding.endpoint)
        reader.subscribe("v1/main/")
        assert reader.poll(3000)
        assert json.loads(reader.recv_multipart()[1])["op"] == "beat"
        feeding.play(Named("call 1", role="customer"), noise(500))
        messages = []
        while not messages or b'"end"' not in messages[-1][1]:
            assert reader.poll(3000)
            messages += [message for message in [reader.recv_multipart()] if not message[0].endswith(b"/_hb/")]
        reader.close(0)
    assert {topic for topic, _ in messages} == {b"v1/main/call%201/0/audio/"}
    start, *bodies, end = [body for _, body in messages]
    assert {key: value for key, value in json.loads(start).items() if key != "epoch"} == {
        "op": "start",
        "schema": "rtemo.audio/1",
        "call": "call 1",
        "channel": "0",
        "role": "customer",
        "codec": "s16le",
        "sample_rate_hz": 16_000,
    }
    packets = [decode_packet(body) for body in bodies]
    assert [(packet.sequence, packet.start_sample, packet.count_samples) for packet in packets] == [
        (0, 0, 320),
        (1, 320, 180),
    ]
    assert split_names(packets[0].names) == ("call 1", "0")
    # The hop's time is that of its last sample; the end of the recording lies 140 samples before that of its hop.
    assert [packet.capture_ns for packet in packets] == [
        1_000_000_000 + 160 * 62_500,
        1_000_000_000 + 480 * 62_500 - 140 * 62_500,
    ]
    assert (json.loads(end)["sequence"], json.loads(end)["end_sample"]) == (2, 500)


def test_only_the_calls_asked_for_arrive_and_nothing_is_sent_for_nobody() -> None:
    a, b = Named("a"), Named("ab")
    with Feeding() as feeding:
        feeding.put([a, b], noise(HOP), 0)
        feeding.put([a, b], noise(HOP), HOP)
        feeding.flush()
        assert feeding.sink.sent_packets == 0
        with hearing(feeding, calls=["a"]) as receiver:
            for index in range(2, 10):
                feeding.put([a, b], noise(HOP), index * HOP)
            feeding.put([a, b], noise(HOP), 10 * HOP, is_last=True)
            found = collect(receiver)
        assert {audio.call for audio in found} == {"a"}
        assert found[0].start_sample == 2 * HOP  # joined in the middle: no loss
        assert receiver.lost_samples == 0
        assert feeding.sink.sent_packets == 5


def test_feed_wants_what_is_subscribed_to_from_the_moment_it_is() -> None:
    a, b, early = Named("a"), Named("ab"), Named("a", "early")
    with Feeding() as feeding:
        sink = feeding.sink
        feeding.put([a, b], noise(HOP), 0)
        feeding.flush()
        assert not any(map(sink.wants, (a, b, early)))  # type: ignore[arg-type]
        with hearing(feeding, calls=["a"]):
            assert wait_until(lambda: sink.wants(a))  # type: ignore[arg-type]
            assert sink.wants(early)  # type: ignore[arg-type] # of which no hop has come yet
            assert not sink.wants(b)  # type: ignore[arg-type]
        assert wait_until(lambda: not sink.wants(a))  # type: ignore[arg-type]
    assert not ZmqAudioSink(AudioOutOptions(endpoint=ANY_PORT)).wants(a)  # type: ignore[arg-type] # not open yet


def test_audio_that_the_engine_has_dropped_is_counted_and_the_numbers_of_its_packets_are_missing() -> None:
    stream = Named("a")
    with Feeding() as feeding, hearing(feeding) as receiver:
        for index in (0, 1, 2, 10, 11):
            feeding.put([stream], noise(HOP), index * HOP)
        feeding.put([stream], noise(HOP), 12 * HOP, end=14 * HOP, is_last=True)
        found = collect(receiver)
    assert [(audio.start_sample // HOP, audio.lost_samples // HOP) for audio in found] == [
        (0, 0),
        (2, 0),
        (10, 7),
        (12, 0),
        (14, 1),
    ]
    assert receiver.lost_samples == 8 * HOP


def test_a_name_that_is_used_again_is_no_loss() -> None:
    with Feeding() as feeding, hearing(feeding) as receiver:
        for length in (5_000, 700):
            feeding.play(Named("a"), noise(length))
            assert sum(audio.samples.shape[0] for audio in collect(receiver)) == length
        assert receiver.lost_samples == 0


def test_a_restarted_engine_is_noticed_and_goes_on_at_the_same_place(tmp_path: Path) -> None:
    endpoint = f"ipc://{tmp_path}/audio"
    with Feeding(endpoint=endpoint) as feeding, AudioReceiver(endpoint) as receiver:
        assert wait_until(lambda: receiver.receive(0.02) or receiver.is_connected)
        stream = Named("a")
        feeding.put([stream], noise(HOP), 50 * HOP)
        feeding.put([stream], noise(HOP), 51 * HOP)
        collect(receiver, lambda audio: True)
        feeding.__exit__()
        receiver.receive(0.1)  # the end of the stream
        with Feeding(endpoint=endpoint) as again:
            assert wait_until(lambda: receiver.receive(0.02) or receiver.restarts == 1)
            again.play(Named("a"), noise(900))
            assert sum(audio.samples.shape[0] for audio in collect(receiver)) == 900
        feeding._thread = again._thread


def test_a_reader_that_does_not_read_delays_nobody_and_can_tell_what_it_missed() -> None:
    stream, seconds = Named("a"), 15
    with Feeding(send_queue_messages=20, send_buffer_bytes=4096) as feeding:
        with zmq.Context() as context, hearing(feeding) as receiver:
            idle = context.socket(zmq.SUB)
            idle.rcvhwm = 10
            idle.setsockopt(zmq.RCVBUF, 4096)
            idle.connect(feeding.endpoint)
            idle.subscribe("v1/main/")
            assert idle.poll(3000)
            found: list[ReceivedAudio] = []
            for index in range(100 * seconds):
                feeding.put([stream], noise(HOP, index % 7), index * HOP)
                if index % 20 == 19:  # ten packets, and half of the queue
                    feeding.flush()
                    while not found or found[-1].start_sample < (index - 1) * HOP:
                        found += receiver.receive(2.0)
            feeding.put([stream], noise(HOP), 100 * seconds * HOP, is_last=True)
            feeding.flush()
            found += collect(receiver)
            assert sum(audio.samples.shape[0] for audio in found) == (100 * seconds + 1) * HOP
            assert receiver.lost_samples == 0
            late = []
            deadline_s = time.monotonic() + 0.5
            while time.monotonic() < deadline_s:
                if idle.poll(50):
                    late.append(idle.recv_multipart()[1])
            idle.close(0)
        packets = [decode_packet(body) for body in late if body[:1] != b"{"]
        assert len(packets) < 50 * seconds  # the newest were dropped, for this one alone
        assert feeding.faults == []


def test_nobody_there_is_said_with_a_mend() -> None:
    with (
        AudioReceiver("tcp://127.0.0.1:1", connect_timeout_s=0.2) as receiver,
        pytest.raises(EndpointError, match="nothing was heard") as caught,
    ):
        list(receiver.audio(2.0))
    assert "check that rtemo runs there" in caught.value.mend


def test_strangers_messages_are_counted_and_left_alone(tmp_path: Path) -> None:
    with zmq.Context() as context:
        pub = context.socket(zmq.PUB)
        port = pub.bind_to_random_port("tcp://127.0.0.1")
        with AudioReceiver(f"tcp://127.0.0.1:{port}", connect_timeout_s=None) as receiver:
            topic = b"v1/main/a/0/audio/"
            junk = [
                [topic],
                [topic, b""],
                [topic, b"{"],
                [topic, b"RTMA" + bytes(40)],
                [topic, b'{"op":"sing"}'],
                [topic, b"x", b"y"],
            ]
            deadline_s = time.monotonic() + 5
            while receiver.malformed_messages < len(junk) and time.monotonic() < deadline_s:
                for frames in junk:
                    pub.send_multipart(frames)
                assert receiver.receive(0.02) == []
            assert receiver.malformed_messages >= len(junk)
        pub.close(0)


def test_beyond_this_machine_it_wants_keys() -> None:
    for endpoint, words in (
        ("tcp://0.0.0.0:*", "would carry plain text"),
        ("tcp://127.0.0.1:70000", "port 70000"),
        ("http://x", "endpoint"),
    ):
        with pytest.raises(EndpointError, match=words) as caught, Feeding(endpoint=endpoint):
            pass
        if "plain" in words:
            assert "sinks.zmq.curve.key_file" in caught.value.mend


def test_an_endpoint_in_use_is_named() -> None:
    with Feeding() as feeding, pytest.raises(EndpointError, match="already in use") as caught:
        Feeding(endpoint=feeding.endpoint).__enter__()
    assert "sinks.zmq.endpoint" in caught.value.mend


@pytest.mark.skipif(not zmq.has("curve"), reason="libzmq was built without CURVE")
def test_only_clients_on_the_list_hear_anything(tmp_path: Path) -> None:
    keys = {name: tuple(map(str, generate_keys(tmp_path, name))) for name in ("server", "friend", "stranger")}
    curve = CurveOptions(key_file=keys["server"][1], allowed_clients=(keys["friend"][0],))
    friend = {"server_key": keys["server"][0], "key_file": keys["friend"][1]}
    with Feeding(endpoint="tcp://0.0.0.0:*", curve=curve) as feeding:
        endpoint = feeding.endpoint.replace("0.0.0.0", "127.0.0.1")
        for security in (
            {},
            {**friend, "key_file": keys["stranger"][1]},
            {**friend, "server_key": keys["stranger"][0]},
        ):
            with (
                AudioReceiver(endpoint, connect_timeout_s=0.7, **security) as receiver,
                pytest.raises(EndpointError, match="nothing was heard"),
            ):
                list(receiver.audio(3.0))
        assert feeding.sink.refused_clients > 0
        with AudioReceiver(endpoint, **friend) as receiver:
            assert wait_until(lambda: receiver.receive(0.02) or receiver.is_connected)
            feeding.play(Named("a"), noise(900))
            assert sum(audio.samples.shape[0] for audio in collect(receiver)) == 900


def test_what_one_engine_sends_another_takes(tmp_path: Path) -> None:
    sound, desk = noise(8_000), FakeDesk(is_live=False)
    ingest = IngestSource(IngestOptions(endpoint=ANY_PORT))
    with (
        Feeding() as feeding,
        hearing(feeding) as receiver,
        pumping(ingest, desk, each=desk.drain),
        AudioSender(str(ingest.endpoint)) as sender,
    ):
        stream = sender.open("a", sample_rate_hz=16_000)
        feeding.play(Named("a"), sound)
        for audio in collect(receiver):
            if audio.samples.shape[0]:
                stream.send(audio.samples)
        stream.end()
    np.testing.assert_allclose(desk.only().samples, sound, atol=1.1 / 32_768)
