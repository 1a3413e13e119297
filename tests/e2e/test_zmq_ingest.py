"""IngestSource over real sockets: what well-behaved, careless and hostile clients get."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

import rtemo
from bench.fakes.desk import FakeDesk, FakeWriter
from rtemo.api import AudioInputError, CapacityError, EndpointError, SourceState
from rtemo.client import AudioSender, Subscriber
from rtemo.config import Config
from rtemo.dsp.resample import resample
from rtemo.io.audio_wire import MAGIC, encode_packet, stream_names
from rtemo.io.pcm import SampleType, decode_pcm, encode_pcm
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.sources.ingest import IngestSource
from rtemo.io.zmq_options import IngestOptions
from tests.fakes.zmq_ends import ANY_PORT, options, pumping, wait_until

pytestmark = pytest.mark.e2e


class House:
    """An ingest in front of a fake engine that reads at once, unless told not to."""

    def __init__(self, *, capacity: int = 64, is_live: bool = True, ring_samples: int = 80_000, **changes: Any) -> None:
        self.desk = FakeDesk(is_live=is_live, capacity=capacity, ring_samples=ring_samples)
        self.source = IngestSource(IngestOptions(**{"endpoint": ANY_PORT, **changes}))
        self.is_reading = True

    def read(self) -> None:
        if self.is_reading:
            self.desk.drain()

    @property
    def endpoint(self) -> str:
        return str(self.source.endpoint)

    def writer(self, call: str = "call", channel: str = "0") -> FakeWriter:
        return self.desk.writers[call, channel]


@contextmanager
def house(**options: Any) -> Iterator[House]:
    made = House(**options)
    with pumping(made.source, made.desk, made.read):
        yield made


class Client:
    """A DEALER that speaks the protocol by hand, and badly if asked to."""

    def __init__(self, endpoint: str, context: zmq.Context[Any]) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.linger = 0
        self.socket.connect(endpoint)

    def say(self, **request: Any) -> None:
        self.socket.send_json(request)

    def hear(self, timeout_s: float = 3.0) -> dict[str, Any]:
        assert self.socket.poll(timeout_s * 1000), "no answer"
        answer = json.loads(self.socket.recv())
        assert isinstance(answer, dict)
        return answer

    def ask(self, **request: Any) -> dict[str, Any]:
        self.say(**request)
        return self.hear()

    def audio(self, number: int, count_samples: int = 160, call: str = "call", rate_hz: int = 8_000) -> None:
        start = number * count_samples
        payload = bytes(2 * count_samples)
        self.socket.send(encode_packet(stream_names(call, "0"), "s16le", rate_hz, number, start, 0, payload))

    def close(self) -> None:
        self.socket.close(linger=0)


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    with zmq.Context() as context:
        yield context
        context.destroy(linger=0)


def states(writer: FakeWriter) -> list[str]:
    return [report.state for report in writer.reports if isinstance(report, SourceState)]


def tone(rate_hz: int, duration_s: float = 1.0) -> NDArray[np.float32]:
    time_s = np.arange(round(rate_hz * duration_s)) / rate_hz
    return (0.4 * np.sin(2 * np.pi * 440 * time_s)).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 48_000])
@pytest.mark.parametrize("codec", ["s16le", "f32le", "mulaw", "alaw"])
def test_every_codec_and_rate_arrives_as_what_was_sent(codec: SampleType, rate_hz: int) -> None:
    sound = tone(rate_hz)
    with house() as made, AudioSender(made.endpoint) as sender:
        stream = sender.open("call", sample_rate_hz=rate_hz, codec=codec)
        stream.send(sound)
        account = stream.end()
    assert account.received_samples == rate_hz
    assert account.lost_samples == 0
    writer = made.writer()
    expected = resample(decode_pcm(encode_pcm(sound, codec), codec), rate_hz, 16_000)
    np.testing.assert_allclose(writer.samples, expected, atol=1e-6)
    assert writer.lost_samples == writer.overrun_samples == 0
    assert writer.end_reason == "end"


def test_sender_cuts_any_length_and_takes_bytes_floats_and_integers() -> None:
    sound = tone(16_000)
    with house() as made, AudioSender(made.endpoint) as sender:
        stream = sender.open("call")
        integers = np.rint(sound * 32_767).astype(np.int16)
        stream.send(integers[:1])
        stream.send(memoryview(integers[1:2500]))
        stream.send(memoryview(integers[2500:5000].astype(np.float32) / np.float32(32_768)))
        stream.send(integers[5000:5000])
        stream.send(integers[5000:12_345])
        stream.send(integers[12_345:])
        stream.end()
    np.testing.assert_allclose(made.writer().samples, integers / np.float32(32_768), atol=1e-6)


@pytest.mark.parametrize(
    "bad", [b"\x00", np.zeros((2, 2), np.float32), np.zeros(3, np.int32)], ids=["odd", "2d", "int32"]
)
def test_audio_that_is_not_whole_samples_of_one_channel_is_refused_before_sending(bad: Any) -> None:
    with house() as made, AudioSender(made.endpoint) as sender:
        stream = sender.open("call")
        with pytest.raises(AudioInputError):
            stream.send(bad)


def test_role_and_jitter_buffer_reach_the_engine() -> None:
    with house(prefill_s=0.06) as made, AudioSender(made.endpoint) as sender:
        sender.open("a", "left", role="customer")
        sender.open("a", "right", role="agent", prefill_ms=120.0)
    assert made.writer("a", "left").role == "customer"
    assert made.writer("a", "left").prefill_s == 0.06
    assert made.writer("a", "right").prefill_s == 0.12
    assert {writer.end_reason for writer in made.desk.writers.values()} == {"end"}, "closing ends what is open"


def test_sender_that_is_faster_than_the_engine_is_slowed_down_and_nothing_is_lost() -> None:
    with house(ring_samples=16_000, window_s=0.2) as made, AudioSender(made.endpoint) as sender:
        made.is_reading = False
        stream = sender.open("call")
        sending = threading.Thread(target=stream.send, args=(tone(16_000, 3.0),))
        sending.start()
        time.sleep(0.5)
        assert made.writer().position_samples <= 0.2 * 16_000 + 320, "no more than the window while nobody reads"
        made.is_reading = True
        sending.join(10.0)
        assert stream.end().received_samples == 48_000
    assert made.writer().overrun_samples == 0
    assert made.writer().lost_samples == 0


def test_live_sender_drops_what_may_not_be_sent_and_the_server_counts_it() -> None:
    with house(window_s=0.2) as made, AudioSender(made.endpoint) as sender:
        made.is_reading = False
        stream = sender.open("call")
        sound = tone(16_000, 1.0)
        stream.send(sound, wait=False)
        assert 0 < stream.dropped_samples < 16_000
        made.is_reading = True
        assert wait_until(lambda: stream.send(b"") or stream.credit_bytes > 3_200)
        stream.send(sound[:320], wait=False)
        account = stream.end()
    assert account.lost_samples == stream.dropped_samples == made.writer().lost_samples
    assert made.writer().position_samples == 16_320


def test_freewheeling_engine_gets_a_whole_recording_without_loss() -> None:
    sound = tone(8_000, 5.0)
    with house(is_live=False, ring_samples=2_000) as made, AudioSender(made.endpoint) as sender:
        stream = sender.open("call", sample_rate_hz=8_000, codec="f32le")
        stream.send(sound)
        stream.end()
    np.testing.assert_allclose(made.writer().samples, resample(sound, 8_000, 16_000), atol=1e-6)
    assert made.writer().overrun_samples == 0


def test_client_that_exceeds_its_credit_is_told_and_the_audio_is_counted_as_lost(context: zmq.Context[Any]) -> None:
    with house(window_s=0.2) as made:
        made.is_reading = False
        client = Client(made.endpoint, context)
        assert client.ask(op="open", call="call", sample_rate_hz=8_000)["limit_bytes"] == 3_200
        for number in range(40):
            client.audio(number)
        errors = []
        while client.socket.poll(300):
            errors += [answer for answer in [client.hear()] if answer["op"] == "error"]
        assert [error["code"] for error in errors] == ["over_credit"], "told once, not for every packet"
        made.is_reading = True
        assert client.hear()["op"] == "credit"
        client.audio(40)
        client.say(op="end", call="call")
        while (ended := client.hear())["op"] != "ended":
            pass
    assert ended["over_credit_packets"] == 30
    assert ended["lost_samples"] == 30 * 160
    assert made.writer().lost_samples == 30 * 320


def test_engine_that_is_full_refuses_with_the_reason() -> None:
    with house(capacity=1) as made, AudioSender(made.endpoint) as sender:
        stream = sender.open("a")
        with pytest.raises(CapacityError, match="all 1 streams are in use"):
            sender.open("b")
        stream.end()
        sender.open("b")


def test_streams_of_one_client_are_bounded() -> None:
    with house(max_streams_per_client=2) as made, AudioSender(made.endpoint) as sender:
        sender.open("a")
        sender.open("b")
        with pytest.raises(CapacityError, match="2 streams open"):
            sender.open("c")


def test_call_that_is_open_elsewhere_is_refused_until_that_client_is_silent() -> None:
    with (
        house(lost_s=1.5) as made,
        AudioSender(made.endpoint) as first,
        AudioSender(made.endpoint, timeout_s=0.6) as second,
    ):
        first.open("call").send(bytes(640))
        with pytest.raises(CapacityError, match="open from another client"):
            second.open("call")
        time.sleep(1.5)
        stream = second.open("call")
        stream.send(bytes(640))
        stream.end()
    assert made.writer().end_reason == "end"


def test_client_that_crashes_is_reported_as_lost_and_ended_as_idle(context: zmq.Context[Any]) -> None:
    with house(lost_s=0.3, idle_s=1.0) as made:
        client = Client(made.endpoint, context)
        client.ask(op="open", call="call")
        client.audio(0)
        client.close()
        assert wait_until(lambda: made.writer().reports, 3.0)
        assert wait_until(lambda: made.writer().end_reason, 3.0)
    assert made.writer().end_reason == "idle"
    assert states(made.writer()) == ["lost"]


def test_muted_line_is_kept_and_its_return_is_reported() -> None:
    with house(lost_s=0.3, idle_s=0.8) as made, AudioSender(made.endpoint) as sender:
        stream = sender.open("call")
        stream.send(bytes(640))
        for _ in range(8):
            stream.pause(3_200)
            time.sleep(0.2)
        stream.send(bytes(640))
        assert stream.end().lost_samples == 0
    assert [report.state for report in made.writer().reports if isinstance(report, SourceState)] == [
        "lost",
        "recovered",
    ]


def test_stream_that_the_engine_ends_is_said_to_be_over() -> None:
    with house() as made, AudioSender(made.endpoint) as sender:
        stream = sender.open("call")
        stream.send(bytes(640))
        made.writer().is_closed = True
        assert wait_until(lambda: stream.send(b"") or not stream.is_open)
        with pytest.raises(CapacityError, match="closed by the engine"):
            stream.send(bytes(640))


def test_source_that_closes_ends_its_streams_and_says_so() -> None:
    made = House()
    with pumping(made.source, made.desk, made.read):
        sender = AudioSender(made.endpoint)
        stream = sender.open("call")
        stream.send(bytes(640))
    assert made.writer().end_reason == "source closed"
    assert stream.end().reason == "source closed"
    sender.close()


def test_sender_goes_on_after_the_server_was_restarted() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{probe.getsockname()[1]}"
    first, second = House(endpoint=endpoint), House(endpoint=endpoint)
    with AudioSender(endpoint) as sender:
        with pumping(first.source, first.desk, first.read):
            stream = sender.open("call")
            stream.send(bytes(6_400))
        sender._link.listen(0.2)
        stream.account = None  # as if the server had been killed before it could say so
        with pumping(second.source, second.desk, second.read):

            def arrived() -> bool:
                stream.send(bytes(640))
                return ("call", "0") in second.desk.writers and second.writer().position_samples > 1_600

            assert wait_until(arrived)
            assert stream.reopened == 1
            stream.end()
    assert second.writer().lost_samples == 0


def test_nobody_there_is_one_clear_error_within_the_time_given() -> None:
    start_s = time.monotonic()
    with (
        AudioSender("tcp://127.0.0.1:9", timeout_s=0.5) as sender,
        pytest.raises(EndpointError, match=r"no answer from tcp://127.0.0.1:9 within 0.5 s") as caught,
    ):
        sender.open("call")
    assert time.monotonic() - start_s < 3.0
    assert caught.value.mend


@pytest.mark.parametrize(
    ("changes", "problem"), [({"sample_rate_hz": 44_101}, "44101 Hz"), ({"codec": "mp3"}, "'mp3'")]
)
def test_format_that_cannot_be_sent_is_refused_at_once(changes: dict[str, Any], problem: str) -> None:
    with AudioSender("tcp://127.0.0.1:9") as sender, pytest.raises(AudioInputError, match=problem):
        sender.open("call", **changes)


def test_audio_of_a_stream_that_is_not_open_is_answered(context: zmq.Context[Any]) -> None:
    with house() as made:
        client = Client(made.endpoint, context)
        client.audio(0)
        answer = client.hear()
    assert (answer["op"], answer["code"], answer["call"]) == ("error", "not_open", "call")


def test_asking_twice_for_the_same_stream_is_no_mistake(context: zmq.Context[Any]) -> None:
    with house() as made:
        client = Client(made.endpoint, context)
        assert client.ask(op="open", call="call")["op"] == "opened"
        assert client.ask(op="open", call="call")["op"] == "opened"
        assert client.ask(op="hello")["schema"] == "rtemo.ingest/1"
    assert len(made.desk.writers) == 1


def test_flood_of_rubbish_is_not_answered_one_by_one_and_others_are_served(context: zmq.Context[Any]) -> None:
    with house() as made:
        flooder = Client(made.endpoint, context)
        for _ in range(5_000):
            flooder.socket.send(b"rubbish")
        with AudioSender(made.endpoint) as sender:
            stream = sender.open("call")
            stream.send(bytes(32_000))
            assert stream.end().lost_samples == 0
        answers = 0
        while flooder.socket.poll(300):
            flooder.hear()
            answers += 1
        assert wait_until(lambda: made.source.refused_messages == 5_000), made.source.refused_messages
    assert answers < 500


frames = st.lists(
    st.one_of(
        st.binary(max_size=80),
        st.binary(max_size=80).map(lambda rest: MAGIC + rest),
        st.dictionaries(st.sampled_from(["op", "call", "channel", "codec"]), st.sampled_from(
            ["open", "end", "alive", "hello", "call", "s16le", "", "\x00", 7, None, []])).map(
            lambda request: json.dumps(request).encode()),
        st.builds(
            lambda number, start, rate, count: encode_packet(
                stream_names("call", "0"), "s16le", rate, number, start, 0, bytes(2 * count)),
            st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1), st.sampled_from([8_000, 16_000, 48_000, 7]),
            st.integers(0, 9_000)),
    ),
    max_size=30,
)  # fmt: skip


def test_no_sequence_of_messages_brings_the_source_down(context: zmq.Context[Any]) -> None:
    with house(idle_s=0.2) as made:
        client = Client(made.endpoint, context)

        # The same sequences every time; ever new ones are the work of `make attack`.
        @settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(frames, st.booleans())
        def attack(messages: list[bytes], opens: bool) -> None:
            if opens:
                client.say(op="open", call="call")
            for message in messages:
                client.socket.send_multipart([message] * (1 + len(message) % 3 // 2))
            while client.socket.poll(0):
                client.socket.recv()

        attack()
        with AudioSender(made.endpoint) as sender:
            assert wait_until(lambda: made.source.count_streams == 0, 3.0)
            stream = sender.open("other")
            stream.send(bytes(640))
            assert stream.end().received_samples == 320


def test_message_beyond_the_limit_disconnects_its_sender_only(context: zmq.Context[Any]) -> None:
    with house() as made:
        client = Client(made.endpoint, context)
        client.socket.send(MAGIC + bytes(1_000_000))
        with AudioSender(made.endpoint) as sender:
            stream = sender.open("call")
            stream.send(bytes(640))
            assert stream.end().lost_samples == 0
        assert made.source.refused_messages == 0


def test_endpoint_open_to_the_network_in_plain_text_is_refused() -> None:
    with pytest.raises(EndpointError, match="plain text") as caught:
        IngestSource(IngestOptions(endpoint="tcp://*:5575")).open(FakeDesk())
    assert "sources.zmq.curve.key_file" in caught.value.mend


def test_port_in_use_is_one_clear_error() -> None:
    with house() as made:
        other = IngestSource(IngestOptions(endpoint=made.endpoint))
        with pytest.raises(EndpointError, match="already in use") as caught:
            other.open(FakeDesk())
        assert "sources.zmq.endpoint" in caught.value.mend


def test_client_in_another_process_that_is_killed_leaves_the_rest_running() -> None:
    code = (
        "import sys, time; from rtemo.client import AudioSender\n"
        "s = AudioSender(sys.argv[1]); t = s.open('theirs'); t.send(bytes(640))\n"
        "print('sent', flush=True); time.sleep(60)"
    )
    with house(lost_s=0.3, idle_s=0.8) as made, AudioSender(made.endpoint) as sender:
        mine = sender.open("mine")
        process = subprocess.Popen([sys.executable, "-c", code, made.endpoint], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.communicate()
        start_s = time.monotonic()
        while made.writer("theirs").end_reason is None and time.monotonic() - start_s < 5.0:
            mine.send(bytes(640))
            time.sleep(0.02)
        assert mine.end().lost_samples == 0
    assert made.writer("theirs").end_reason == "idle"


def test_calls_over_zeromq_go_through_the_engine_to_subscribers() -> None:
    """The whole road: sender, ingest, engine, publisher, subscriber."""
    calls = [f"call {index}" for index in range(5)]
    ingest = IngestSource(IngestOptions(endpoint=ANY_PORT))
    publisher = ZmqPublisher(options())
    config = Config(chain=("level",))
    with rtemo.Session(config, sources=[ingest], publishers=[publisher]):
        endpoints = {name: str(end) for name, end in publisher.endpoints.items()}
        with (
            Subscriber(endpoints["events"], query=endpoints["query"], calls=calls) as reader,
            AudioSender(str(ingest.endpoint)) as sender,
        ):
            reader.receive(0.5)
            streams = [sender.open(call, sample_rate_hz=8_000, codec="mulaw", role="customer") for call in calls]
            sound = tone(8_000, 2.5)
            for start in range(0, sound.size, 160):
                for stream in streams:
                    stream.send(sound[start : start + 160], capture_ns=time.time_ns(), wait=False)
                time.sleep(0.01)
            for stream in streams:
                assert stream.end().lost_samples == 0
            got = list(reader.events(1.0))
    for call in calls:
        mine = [wire for wire in got if wire.call == call]
        kinds = [wire.kind for wire in mine]
        assert kinds[0] == "stream_start"
        assert kinds[-1] == "stream_end"
        levels = [wire for wire in mine if wire.kind == "level"]
        assert len(levels) >= 2
        assert all(wire.role == "customer" for wire in mine)
        assert levels[0].data.rms_dbfs == pytest.approx(20 * np.log10(0.4 / np.sqrt(2)), abs=0.5)
        assert mine[-1].data.counters.source_lost_samples == 0
        assert 2.4 < mine[-1].data.duration_s < 2.6
    assert reader.lost_events == 0
