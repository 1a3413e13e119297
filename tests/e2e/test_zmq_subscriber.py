"""Subscriber against real publishers, in this process and in processes that are killed."""

import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from rtemo.api import EndpointError, QueryScore, SpeechStart, StreamStart
from rtemo.cli.main import main
from rtemo.client import Notice, Subscriber
from rtemo.config import Config
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.session import Session
from tests.fakes.program import call
from tests.fakes.zmq_ends import Publishing, emotion, event, free_ports, options, wait_until

pytestmark = pytest.mark.e2e


def subscriber(publishing: Publishing, notices: list[Notice] | None = None, **changes: Any) -> Subscriber:
    keep = (notices if notices is not None else []).append
    return Subscriber(publishing.events, query=publishing.query, on_notice=keep, **changes)


def at(publishing: Publishing) -> list[str]:
    """The words that lead a command there."""
    ends = {"query": publishing.query, "events": publishing.events}
    return [word for name, end in ends.items() for word in ("--set", f"publishers.zmq.{name}={end}")]


def test_late_joiner_gets_last_values_first_and_misses_nothing_after() -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        publishing.send(event("a", 1, StreamStart()), event("a", 2), event("a", 3, emotion("sad")))
        publishing.flush()
        with subscriber(publishing) as reader:
            first = next(reader.events(3.0))
            assert reader.is_live
            for number in range(4, 104):
                publishing.send(event("a", number))
            got = [first, *reader.events(0.5)]
    assert [(wire.kind, wire.seq) for wire in got[:2]] == [("stream_start", 1), ("emotion", 2)]
    assert got[1].data == emotion("sad")
    assert [wire.seq for wire in got[1:]] == list(range(2, 103))
    assert reader.lost_events == 0


def test_joining_takes_a_fraction_of_a_heartbeat() -> None:
    with Publishing(ZmqPublisher(options(heartbeat_s=30.0))) as publishing:
        publishing.send(event("a"))
        publishing.flush()
        start_s = time.monotonic()
        with subscriber(publishing) as reader:
            assert next(reader.events(5.0)).seq == 1
        assert time.monotonic() - start_s < 2.0


def test_only_wanted_calls_and_kinds_arrive() -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        publishing.send(event("a", 1), event("b b", 1), event("c", 1), event("a", 2, SpeechStart()))
        publishing.flush()
        with subscriber(publishing, calls=["a", "b b"], kinds=["emotion"]) as reader:
            reader.receive(1.0)
            publishing.send(event("c", 2), event("b b", 2, SpeechStart()), event("b b", 3), event("a", 3))
            got = list(reader.events(0.5))
    assert [(wire.call, wire.stream_seq) for wire in got] == [("b b", 3), ("a", 3)]
    assert reader.lost_events == 0


def test_queries_are_listed_asked_and_taken_back_over_the_query_socket(capfd: pytest.CaptureFixture[str]) -> None:
    session = Session(Config(chain=("meaning",), plugins={"meaning": {"queries": ["tense"], "takes_queries": True}}))
    publisher = ZmqPublisher(options())
    assert session.queries is not None
    publisher.lend_queries(session.queries)
    with Publishing(publisher) as publishing:
        with subscriber(publishing) as reader:
            assert reader.queries() == ["tense"]
            assert reader.queries(ask=["in  tears", "calm | tense"], forget=["tense"]) == ["in tears", "calm | tense"]
            with pytest.raises(EndpointError, match="describes no voice"):
                reader.queries(ask=[""])
            with pytest.raises(EndpointError, match="2000 characters"):
                reader.queries(ask=["x" * 2000])
        assert session.queries.texts() == ("in tears", "calm | tense")
        where = at(publishing)
        with pytest.raises(SystemExit, match="0"):
            main(["ask", "bored", "--forget", "in tears", *where])
        assert capfd.readouterr().out.splitlines() == ["calm | tense", "bored"]
        with pytest.raises(SystemExit, match="2"):
            main(["ask", "--forget", "nothing", *where])
        assert capfd.readouterr().err.count("\n") == 1


def test_the_floor_is_ordered_by_words_that_somebody_has_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    words = "losing patience"
    session = Session(Config(chain=("meaning",), plugins={"meaning": {"queries": [words]}}))
    publisher = ZmqPublisher(options())
    assert session.queries is not None
    publisher.lend_queries(session.queries)
    with Publishing(publisher) as publishing:
        for name, z in (("calm", -1.0), ("cross", 2.0), ("new", None)):
            publishing.send(event(name, 1, QueryScore(query=words, score=0.1, z=z)))
        publishing.flush()
        where = at(publishing)
        board = json.loads(call(capsys, "board", "--by", " losing  patience", "--once", "--json", *where).out)
        assert [entry["call"] for entry in board["entries"]] == ["cross", "calm"]
        assert (board["ranked"], board["unsure"]) == (2, 1)
        assert f"most like  {words}" in call(capsys, "board", "--by", words, "--once", *where).out
        done = call(capsys, "board", "--by", "in tears", "--once", *where)
        assert done.code == 2
        assert "that is 'losing patience'; have it asked first: rtemo ask" in done.complaint
    with Publishing(ZmqPublisher(options())) as publishing:
        where = at(publishing)
        assert "looks for nothing in words" in call(capsys, "board", "--by", words, "--once", *where).complaint


def test_a_chain_that_looks_for_nothing_in_words_says_so_to_who_asks() -> None:
    assert Session(Config(chain=("level",))).queries is None
    with Publishing(ZmqPublisher(options())) as publishing, subscriber(publishing) as reader:
        with pytest.raises(EndpointError, match="looks for nothing in words"):
            reader.queries(ask=["tense"])
        with pytest.raises(TypeError, match="collections"):
            reader.queries(ask="tense")


def test_one_name_in_place_of_a_collection_is_a_clear_mistake() -> None:
    with pytest.raises(TypeError, match="collections"):
        Subscriber(calls="call-1")


def test_iteration_ends_when_nothing_comes_for_the_time_given() -> None:
    with Publishing(ZmqPublisher(options())) as publishing, subscriber(publishing) as reader:
        reader.receive(1.0)
        start_s = time.monotonic()
        assert list(reader.events(0.3)) == []
        assert 0.25 < time.monotonic() - start_s < 1.5


def test_nobody_there_is_one_clear_error_within_the_time_given() -> None:
    start_s = time.monotonic()
    with (
        Subscriber(f"tcp://127.0.0.1:{free_ports()}", connect_timeout_s=0.5) as reader,
        pytest.raises(EndpointError, match=r"nothing was heard from tcp://127.0.0.1:\d+ within 0.5 s") as caught,
    ):
        list(reader)
    assert time.monotonic() - start_s < 3.0
    assert "port" in caught.value.mend


def test_questions_to_nobody_end_in_one_clear_error() -> None:
    with Subscriber(f"tcp://127.0.0.1:{free_ports()}") as reader, pytest.raises(EndpointError, match="no answer"):
        reader.list_calls(timeout_s=0.3)


def test_events_are_iterated_asynchronously_without_blocking_the_loop() -> None:
    async def read(publishing: Publishing) -> tuple[list[int], int]:
        turns = 0

        async def turn() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0.005)

        other = asyncio.create_task(turn())
        seqs: list[int] = []
        with subscriber(publishing) as reader:
            async for wire in reader:
                seqs.append(wire.seq)
                if len(seqs) < 50:
                    await asyncio.sleep(0.002)
                    publishing.send(event("a", wire.seq + 1))
                else:
                    break
        other.cancel()
        return seqs, turns

    with Publishing(ZmqPublisher(options())) as publishing:
        publishing.send(event("a", 1))
        publishing.flush()
        seqs, turns = asyncio.run(asyncio.wait_for(read(publishing), 20))
    assert seqs == list(range(1, 51))
    assert turns > 20


def test_reader_that_stalls_counts_exactly_what_it_missed() -> None:
    notices: list[Notice] = []
    count = 30_000
    with (
        Publishing(ZmqPublisher(options(send_queue_messages=100))) as publishing,
        subscriber(publishing, notices, snapshot=False) as reader,
    ):
        reader.receive(1.0)
        for first in range(1, count, 500):
            publishing.send(*(event("a", number) for number in range(first, first + 500)))
        publishing.flush(60)
        received = sum(1 for _ in reader.events(1.0))
        assert wait_until(lambda: not reader.receive(0.1) and reader.lost_events + received == count)
    assert 0 < received < count
    assert "lost" in [notice.kind for notice in notices]


def test_reader_that_lags_drops_its_backlog_and_goes_on_with_the_last_values() -> None:
    notices: list[Notice] = []
    with Publishing(ZmqPublisher(options())) as publishing, subscriber(publishing, notices) as reader:
        reader.receive(1.0)
        publishing.send(*(event("a", number) for number in range(1, 900)))
        time.sleep(2.3)
        publishing.send(event("a", 900, emotion("sad")))
        publishing.flush()
        got = list(reader.events(1.0))
        assert reader.lost_events + len(got) == 900
        publishing.send(event("a", 901))
        assert next(reader.events(2.0)).seq == 901
    assert len(got) < 900
    assert got[-1].data == emotion("sad")
    assert [notice.kind for notice in notices][:2] == ["lagging", "resync"]


def test_killed_publisher_comes_back_with_a_new_epoch_and_its_values_are_fetched() -> None:
    endpoint = f"tcp://127.0.0.1:{free_ports()}"
    notices: list[Notice] = []
    with running_publisher(endpoint, 3, 50.0) as first, Subscriber(endpoint, on_notice=notices.append) as reader:
        before = take(reader, 60, 5.0)
        first.kill()
        first.wait()
        old = before[-1].epoch
        list(reader.events(0.3))
        with running_publisher(endpoint, 3, 50.0):
            start_s = time.monotonic()
            after = [wire for wire in take(reader, 90, 5.0) if wire.epoch != old]
            assert time.monotonic() - start_s < 5.0
            assert reader.restarts == 1
            assert reader.epoch == after[0].epoch
    for number in range(3):
        mine = [wire for wire in after if wire.call == f"call {number}"]
        assert mine[0].kind == "stream_start", "known from the snapshot, although it was sent before we were back"
        numbers = [wire.seq for wire in mine if wire.kind == "emotion"]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "without a hole"
    kinds = [notice.kind for notice in notices]
    assert kinds.count("restarted") == 1
    assert "resync" in kinds


def test_publisher_that_dies_is_told_and_waited_for() -> None:
    endpoint = f"tcp://127.0.0.1:{free_ports()}"
    notices: list[Notice] = []
    with running_publisher(endpoint, 1, 20.0) as process, Subscriber(endpoint, on_notice=notices.append) as reader:
        next(reader.events(5.0))
        process.kill()
        process.wait()
        list(reader.events(1.5))
    assert [notice.kind for notice in notices] == ["silent"]


def test_recorder_fills_its_gap_by_replay() -> None:
    with (
        Publishing(ZmqPublisher(options(send_queue_messages=50, replay_call_bytes=4 << 20))) as publishing,
        subscriber(publishing, snapshot=False) as reader,
    ):
        reader.receive(1.0)
        publishing.send(event("a", 1))
        last = next(reader.events(3.0))
        publishing.send(*(event("a", number) for number in range(2, 1501)))
        publishing.flush()
        replayed = reader.replay("a", last.pub_seq)
    assert [wire.seq for wire in replayed] == list(range(2, 1501))


def test_list_and_health_are_answered_while_events_flow() -> None:
    with Publishing(ZmqPublisher(options())) as publishing, subscriber(publishing) as reader:
        publishing.send(event("a", 1, StreamStart()), event("b", 1, StreamStart()))
        publishing.flush()
        assert [line.call for line in reader.list_calls()] == ["a", "b"]
        assert reader.health().open_calls == 2
        with pytest.raises(EndpointError, match="no call 'c'"):
            reader.replay("c")


def test_somebody_elses_messages_are_counted_and_left_out() -> None:
    import zmq

    with zmq.Context() as context, context.socket(zmq.PUB) as stranger:
        port = stranger.bind_to_random_port("tcp://127.0.0.1")
        with Subscriber(f"tcp://127.0.0.1:{port}", connect_timeout_s=1.0) as reader:

            def spoke() -> bool:
                for frames in ([b"v1/main/a/0/emotion/", b"{}"], [b"v1/main/a"], [b"v1/main/\xff", b"x", b"y"]):
                    stranger.send_multipart(frames)
                assert reader.receive(0.01) == []
                return reader.malformed_messages >= 3

            assert wait_until(spoke, 0.9)


def take(reader: Subscriber, count: int, timeout_s: float) -> list[Any]:
    found: list[Any] = []
    deadline_s = time.monotonic() + timeout_s
    while len(found) < count and time.monotonic() < deadline_s:
        found += reader.receive(0.05)
    return found


@contextlib.contextmanager
def running_publisher(endpoint: str, calls: int, per_s: float) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "tests.fakes.zmq_publisher", endpoint, str(calls), str(per_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"open\n"
        yield process
    finally:
        process.kill()
        process.communicate()
