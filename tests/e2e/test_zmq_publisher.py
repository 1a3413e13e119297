"""ZmqPublisher over real sockets, read with nothing but pyzmq: what any client in any language sees."""

import json
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import zmq

from rtemo.api import Counters, EndpointError, SpeechStart, StreamEnd, StreamStart
from rtemo.io.publishers.state import StateFeed
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.wire import decode_event, decode_state
from tests.fakes.zmq_ends import Publishing, emotion, event, options, wait_until

pytestmark = pytest.mark.e2e


@pytest.fixture
def context() -> Iterator[zmq.Context[Any]]:
    with zmq.Context() as context:
        yield context
        context.destroy(linger=0)


def subscribe(context: zmq.Context[Any], publishing: Publishing, prefix: str = "v1/main/") -> zmq.Socket[Any]:
    """Connect a SUB socket and wait until its subscription is in force."""
    reader = context.socket(zmq.SUB)
    reader.connect(publishing.events)
    reader.subscribe(prefix)
    reader.subscribe("v1/main/_hb/")
    assert reader.poll(3000), "no heartbeat"
    reader.unsubscribe("v1/main/_hb/")
    return reader


def receive(reader: zmq.Socket[Any], count: int) -> list[list[bytes]]:
    """Receive events, leaving heartbeats out."""
    found: list[list[bytes]] = []
    while len(found) < count:
        assert reader.poll(3000), f"got {len(found)} of {count}"
        frames = reader.recv_multipart()
        if not frames[0].endswith(b"/_hb/"):
            found.append(frames)
    return found


def ask(context: zmq.Context[Any], publishing: Publishing, **request: Any) -> tuple[dict[str, Any], list[Any]]:
    with context.socket(zmq.REQ) as question:
        question.connect(publishing.query)
        question.send_json(request)
        assert question.poll(3000), "no answer"
        header, *frames = question.recv_multipart()
        return json.loads(header), [decode_event(frame) for frame in frames]


def test_event_arrives_as_topic_and_json(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options(), purpose="research")) as publishing:
        reader = subscribe(context, publishing)
        publishing.send(event("call 1", 3, capture_ns=time.time_ns()))
        ((topic, message),) = receive(reader, 1)
    assert topic == b"v1/main/call%201/0/emotion/"
    told = json.loads(message)
    assert told["schema"] == "rtemo.event/1"
    assert told["call"] == "call 1"
    assert (told["seq"], told["pub_seq"], told["stream_seq"]) == (1, 1, 3)
    assert (told["start_sample"], told["t1_ms"]) == (320, 30.0)
    assert told["data"]["kind"] == told["kind"] == "emotion"
    assert told["policy"] == {"purpose": "research"}
    assert 0 <= told["age_ms"] < 1000
    assert abs(time.time() * 1000 - told["t_pub_ms"]) < 5000


def test_prefix_of_one_call_does_not_bring_another(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        reader = subscribe(context, publishing, "v1/main/call1/0/")
        publishing.send(event("call12"), event("call1", 1), event("call", 1), event("call1", 2))
        assert [decode_event(message).call for _, message in receive(reader, 2)] == ["call1", "call1"]


def test_msgpack_is_sent_when_asked_for(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options(encoding="msgpack"))) as publishing:
        reader = subscribe(context, publishing)
        publishing.send(event(data=emotion("sad")))
        ((_, message),) = receive(reader, 1)
    assert msgspec.msgpack.decode(message)["data"]["label"] == "sad"
    assert decode_event(message).data == emotion("sad")


def test_heartbeat_tells_active_calls_and_last_numbers(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        publishing.send(event("a", 1), event("a", 2), event("b", 1, SpeechStart()))
        publishing.flush()
        reader = context.socket(zmq.SUB)
        reader.connect(publishing.events)
        reader.subscribe("v1/main/_hb/")
        reader.subscribe("v1/main/a/_hb/")
        beats: dict[str, dict[str, Any]] = {}
        while len(beats) < 2:
            assert reader.poll(3000)
            topic, message = reader.recv_multipart()
            beats[topic.decode()] = json.loads(message)
        start_s = time.monotonic()
        for _ in range(4):
            assert reader.poll(3000)
            reader.recv_multipart()
        assert 0.2 < time.monotonic() - start_s < 1.5, "two beats of each"
    assert beats["v1/main/_hb/"]["calls"] == {"a": 2, "b": 3}
    assert beats["v1/main/_hb/"]["pub_seq"] == 3
    assert beats["v1/main/a/_hb/"]["seqs"] == {"v1/main/a/0/emotion/": 2}


def test_list_snapshot_and_health_are_answered(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        publishing.send(
            event("a", 1, StreamStart(role="customer")), event("a", 2), event("a", 3, emotion("sad")), event("b", 1)
        )
        publishing.flush()
        listed, _ = ask(context, publishing, op="list", id="x")
        assert listed["id"] == "x"
        assert [(line["call"], line["is_open"], line["pub_seq"]) for line in listed["calls"]] == [
            ("a", True, 3),
            ("b", False, 4),
        ]
        header, events = ask(context, publishing, op="snapshot", call="a")
        assert header["epoch"] == publishing.publisher.epoch
        assert header["pub_seq"] == 4
        assert header["seqs"] == {"v1/main/a/0/stream_start/": 1, "v1/main/a/0/emotion/": 2}
        assert [(wire.kind, wire.seq, wire.role) for wire in events] == [
            ("stream_start", 1, "customer"),
            ("emotion", 2, "customer"),
        ]
        assert events[1].data == emotion("sad")
        _, events = ask(context, publishing, op="snapshot")
        assert [wire.call for wire in events] == ["a", "a", "b"]
        health = ask(context, publishing, op="health")[0]["health"]
        assert health["published_events"] == 4
        assert health["open_calls"] == 1


def test_replay_gives_what_was_missed_page_by_page(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        publishing.send(*(event(call, number) for number in range(1, 21) for call in "ab"))
        publishing.flush()
        header, events = ask(context, publishing, op="replay", call="a", after_pub_seq=10, limit=6)
        assert [wire.pub_seq for wire in events] == [11, 13, 15, 17, 19, 21]
        assert header["more"]
        header, events = ask(context, publishing, op="replay", call="a", after_pub_seq=35)
        assert [wire.pub_seq for wire in events] == [37, 39]
        assert header["more"] is False


def test_replay_says_when_it_no_longer_reaches_back(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options(replay_call_bytes=3000))) as publishing:
        publishing.send(*(event("a", number) for number in range(1, 51)))
        publishing.flush()
        header, events = ask(context, publishing, op="replay", call="a")
        assert header["is_complete"] is False
        assert 0 < len(events) < 10
        header, _ = ask(context, publishing, op="replay", call="a", after_pub_seq=49)
        assert header["is_complete"] is True


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (b"", "not a request"),
        (b"\xff\x00", "not a request"),
        (b'{"op": "dance"}', "not a request"),
        (b'{"op": "replay"}', "needs a `call`"),
        (b'{"op": "snapshot", "call": "nobody"}', "no call 'nobody'"),
    ],
)
def test_question_that_makes_no_sense_is_answered_with_the_mend(
    context: zmq.Context[Any], request_: bytes, problem: str
) -> None:
    with Publishing(ZmqPublisher(options())) as publishing, context.socket(zmq.DEALER) as question:
        question.connect(publishing.query)
        question.send(request_)
        assert question.poll(3000)
        reply = json.loads(question.recv())
    assert not reply["ok"]
    assert problem in reply["error"]["problem"]
    assert reply["error"]["mend"]


def test_state_socket_gives_the_latest_state_with_conflate(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options(state_interval_s=0.01))) as publishing:
        publishing.send(event("a", 1, StreamStart(role="customer")), event("b", 1))
        reader = context.socket(zmq.SUB)
        reader.setsockopt(zmq.CONFLATE, 1)
        reader.connect(publishing.state)
        reader.subscribe("v1/main/a/")
        assert reader.poll(3000), "the state is sent again for somebody new"
        for number in range(2, 300):
            publishing.send(event("a", number, emotion("sad", speech_s=number)))
            time.sleep(0.001)
        publishing.flush()

        def is_last() -> bool:
            time.sleep(0.02)
            state = decode_state(reader.recv())
            latest = state.channels["0"].latest
            return "emotion" in latest and latest["emotion"].seq == 298

        assert wait_until(is_last)
        publishing.send(event("a", 300, StreamEnd(reason="end", duration_s=3.0, counters=Counters())))
        assert wait_until(lambda: not decode_state(reader.recv()).channels["0"].is_open)


def test_answers_hold_their_fields_when_they_are_empty_too(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        assert ask(context, publishing, op="list")[0]["calls"] == []
        assert ask(context, publishing, op="snapshot")[0]["seqs"] == {}
        publishing.send(event("a"))
        publishing.flush()
        replay = ask(context, publishing, op="replay", call="a")[0]
        assert (replay["more"], replay["is_complete"]) == (False, True)


def test_no_state_is_made_while_nobody_reads_states(context: zmq.Context[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    original = StateFeed._state_of
    monkeypatch.setattr(StateFeed, "_state_of", lambda self, call: made.append(call) or original(self, call))
    with Publishing(ZmqPublisher(options(state_interval_s=0.01))) as publishing:
        publishing.send(event("a"))
        publishing.flush()
        time.sleep(0.1)
        assert made == []
        reader = context.socket(zmq.SUB)
        reader.connect(publishing.state)
        reader.subscribe("v1/main/a/")
        assert reader.poll(3000)
        reader.close(linger=0)
        time.sleep(0.3)
        made.clear()
        publishing.send(event("a", 2))
        publishing.flush()
        time.sleep(0.1)
        assert made == []


def test_port_in_use_is_one_clear_error_and_nothing_stays_open() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        publisher = ZmqPublisher(options(query=f"tcp://127.0.0.1:{port}"))
        with pytest.raises(EndpointError, match=f"port {port} on 127.0.0.1 is already in use") as caught:
            publisher.open()
    assert "publishers.zmq.query" in caught.value.mend
    publisher.open()
    publisher.close()
    publisher.close()


def test_ipc_endpoint_of_another_publisher_is_not_taken_from_it(tmp_path: Any) -> None:
    endpoint = f"ipc://{tmp_path}/events"
    with Publishing(ZmqPublisher(options(events=endpoint))) as publishing:
        with pytest.raises(EndpointError, match="already in use"):
            ZmqPublisher(options(events=endpoint)).open()
        assert publishing.query == f"{endpoint}-query"
    with Publishing(ZmqPublisher(options(events=endpoint))):
        assert os.path.exists(tmp_path / "events"), "a file left behind is no obstacle"


@pytest.mark.parametrize(
    ("endpoint", "problem"),
    [
        ("tcp://203.0.113.7:5570", "this machine has no address"),
        ("tcp://nosuchif:5570", "this machine has no address"),
        ("ipc:///no/such/folder/events", "there is no folder"),
    ],
)
def test_impossible_endpoint_is_one_clear_error(endpoint: str, problem: str) -> None:
    with pytest.raises(EndpointError, match=problem) as caught:
        ZmqPublisher(options(events=endpoint, insecure_plaintext=True)).open()
    assert caught.value.mend


@pytest.mark.parametrize("key", ["events", "state", "query"])
def test_no_socket_may_be_open_to_the_network_in_plain_text(key: str) -> None:
    with pytest.raises(EndpointError, match="plain text"):
        ZmqPublisher(options(**{key: "tcp://*:*"})).open()
    publisher = ZmqPublisher(options(**{key: "tcp://*:*"}, insecure_plaintext=True))
    publisher.open()
    publisher.close()


def test_stalled_subscriber_costs_the_others_nothing(context: zmq.Context[Any]) -> None:
    """A subscriber that never reads fills its queue; the other one gets every event, and publishing stays fast."""
    count, batch = 6_000, 20
    with Publishing(ZmqPublisher(options())) as publishing:
        stalled = context.socket(zmq.SUB)
        stalled.rcvhwm = 10
        stalled.setsockopt(zmq.RCVBUF, 4096)
        stalled.connect(publishing.events)
        stalled.subscribe("")
        assert stalled.poll(3000)
        healthy = subscribe(context, publishing)
        seqs: list[int] = []
        slowest_s = 0.0
        for first in range(1, count + 1, batch):
            publishing.busy_s = 0.0
            publishing.send(*(event("call", number) for number in range(first, first + batch)))
            publishing.flush()
            slowest_s = max(slowest_s, publishing.busy_s)
            seqs += [decode_event(message).seq for _, message in receive(healthy, batch)]
        assert seqs == list(range(1, count + 1)), "the healthy subscriber misses nothing"
        assert slowest_s < 0.5, "publishing never waits"
        stalled.rcvhwm = 100_000
        left = 0
        while stalled.poll(300):
            left += not stalled.recv_multipart()[0].endswith(b"/_hb/")
    assert 0 < left < count, "the stalled one was really full"


def test_subscriber_that_sends_too_much_is_disconnected_and_nobody_else(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        reader = subscribe(context, publishing)
        with context.socket(zmq.DEALER) as flooder:
            flooder.linger = 0
            flooder.connect(publishing.query)
            flooder.send(b"x" * 1_000_000)
            assert not flooder.poll(300)
        publishing.send(event())
        assert receive(reader, 1)
        assert ask(context, publishing, op="list")[0]["ok"]


def test_closing_is_bounded_although_a_subscriber_does_not_read(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options(linger_ms=200))) as publishing:
        stalled = context.socket(zmq.SUB)
        stalled.rcvhwm = 1
        stalled.setsockopt(zmq.RCVBUF, 4096)
        stalled.connect(publishing.events)
        stalled.subscribe("")
        assert stalled.poll(3000)
        publishing.send(*(event("a", number) for number in range(1, 5000)))
        publishing.flush()
        assert publishing.stop() < 1.0


def test_last_events_still_arrive_after_closing(context: zmq.Context[Any]) -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        reader = subscribe(context, publishing)
        publishing.send(*(event("a", number) for number in range(1, 101)))
        publishing.stop()
        assert [decode_event(message).seq for _, message in receive(reader, 100)] == list(range(1, 101))


def test_old_libzmq_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zmq, "zmq_version_info", lambda: (4, 3, 4))
    with pytest.raises(EndpointError, match="security holes"):
        ZmqPublisher(options()).open()
