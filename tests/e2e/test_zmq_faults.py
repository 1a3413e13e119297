"""What happens to the rest when one publisher fails or is in the way, in a running session."""

import time
from pathlib import Path

import numpy as np
import pytest

import rtemo
from rtemo.api import EndpointError, Publisher
from rtemo.client import Subscriber, decode_event
from rtemo.io.publishers.jsonl import JsonlPublisher
from rtemo.io.publishers.zmq import ZmqPublisher
from tests.fakes.zmq_ends import options

pytestmark = pytest.mark.e2e

SOUND = (0.1 * np.sin(np.arange(16_000) / 10)).astype(np.float32)


def run(*publishers: Publisher) -> list[str]:
    """Push three seconds in two calls and give the kinds of all events."""
    with rtemo.Session(rtemo.Config(chain=("level",)), publishers=publishers, mode="freewheel") as session:
        for call in ("first", "second"):
            stream = session.stream(call)
            for _ in range(3):
                stream.push(SOUND)
            stream.end()
            time.sleep(0.1)
        return [
            f"{event.call} {event.kind}" if event.call else f"{event.kind} {getattr(event.data, 'where', '')}".strip()
            for event in session.events(0.5)
        ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_full_disk_is_one_fault_and_the_session_goes_on() -> None:
    kinds = run(JsonlPublisher("/dev/full"))
    assert kinds.count("fault jsonl") == 1
    assert "second level" in kinds
    assert "second stream_end" in kinds


def test_port_in_use_fails_the_start_with_one_clear_error() -> None:
    publisher = ZmqPublisher(options())
    publisher.open()
    taken = str(publisher.endpoints["events"])
    with pytest.raises(EndpointError, match="already in use"):
        run(ZmqPublisher(options(events=taken, state="tcp://127.0.0.1:*", query="tcp://127.0.0.1:*")))
    publisher.close()


def test_two_publishers_of_one_session_say_the_same(tmp_path: Path) -> None:
    publisher = ZmqPublisher(options())
    path = tmp_path / "events.jsonl"
    with rtemo.Session(rtemo.Config(chain=("level",)), publishers=[publisher, JsonlPublisher(path)]) as session:
        ends = {name: str(end) for name, end in publisher.endpoints.items()}
        with Subscriber(ends["events"], query=ends["query"], calls=["call"]) as reader:
            reader.receive(0.5)
            stream = session.stream("call")
            stream.push(SOUND)
            stream.end()
            received = [wire.stream_seq for wire in reader.events(0.8)]

    written = [decode_event(line) for line in path.read_bytes().splitlines()]
    assert received == [wire.stream_seq for wire in written if wire.call == "call"]
    assert len(received) >= 3
