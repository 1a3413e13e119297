"""A worker behind the network: its keeper and its front are in this program, the worker in its own."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import zmq

from rtemo.cluster.keeper import Keeper, Kept
from rtemo.cluster.messages import Begin, Happened, Reached, Stop, from_worker
from rtemo.cluster.remote_worker import RemoteWorker
from rtemo.cluster.starter import Place
from rtemo.config import load_config
from rtemo.io.audio_wire import Hello, encode_control
from rtemo.io.curve import ClientKeys, generate_keys, load_public_key
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.relay_wire import Bundle, split
from rtemo.io.sockets import connect, make_socket, open_context
from rtemo.io.worker_wire import Ready, Refused

pytestmark = pytest.mark.e2e


class Here:
    """A hold on a keeper of this program."""

    def __init__(self, front_key: str, host: str = "127.0.0.1") -> None:
        self.keeper = Keeper(front_key)
        self.kept: Kept | None = None
        self.waits = 0
        self._host = host

    def started(self, wait_s: float) -> Kept | None:
        if self.waits:
            self.waits -= 1
            return None
        self.kept = self.keeper.start(self._host)
        return self.kept

    def ending(self, wait_s: float) -> str:
        return self.keeper.end()

    def kill(self) -> None:
        self.keeper.end()


class Started:
    """A worker that has been started, and what it has said."""

    def __init__(self, folder: Path, **changes: str) -> None:
        public_file, self.key_file = generate_keys(folder, "front")
        self.hold = Here(load_public_key(public_file).decode(), **changes)
        self.said: list[object] = []
        self.worker = RemoteWorker(self.hold, begin, self.key_file, "a node")

    def hear(self, kind: type, timeout_s: float = 60.0) -> object:
        until_s = time.monotonic() + timeout_s
        while time.monotonic() < until_s:
            for data in self.worker.link.arrived():
                self.said.append(from_worker(data))
            for message in self.said:
                if isinstance(message, kind):
                    return message
            time.sleep(0.01)
        raise AssertionError(f"no {kind.__name__}: {self.said}")

    def hear_end(self, timeout_s: float = 5.0) -> float:
        """Wait until the link ends; gives how long that took, in s."""
        begin_s = time.monotonic()
        while time.monotonic() < begin_s + timeout_s:
            try:
                for data in self.worker.link.arrived():
                    self.said.append(from_worker(data))
            except (EOFError, OSError):
                return time.monotonic() - begin_s
            time.sleep(0.01)
        raise AssertionError(f"it did not end: {self.said[-3:]}")


def begin(place: Place) -> Begin:
    edge = {"zmq": {"endpoint": place.ingest, "curve": dict(place.curve)}}
    sink = {"zmq": {"endpoint": place.audio_out, "curve": dict(place.curve)}}
    config = msgspec.structs.replace(load_config(), chain=("level", "vad"), sources=edge, sinks=sink, publishers={})
    return Begin(config=msgspec.to_builtins(config), has_sink=True)


@pytest.fixture
def started(tmp_path: Path) -> Iterator[Started]:
    one = Started(tmp_path)
    yield one
    one.worker.end()
    one.hold.keeper.end()


def welcome(endpoint: str, keys: ClientKeys | None) -> bool:
    """Whether an ingest answers who comes with these keys."""
    context = open_context()
    socket = make_socket(context, zmq.DEALER)
    connect(socket, parse_endpoint(endpoint), keys)
    bundle = Bundle()
    bundle.add(b"c1", encode_control(Hello()))
    socket.send(bundle.take())
    answers = list(split(socket.recv())) if socket.poll(1_000) else []
    context.destroy(linger=0)
    return any(b'"welcome"' in message for _, message in answers)


def test_a_worker_is_reached_over_tcp_by_who_has_the_key_of_its_front_alone(started: Started, tmp_path: Path) -> None:
    reached = started.hear(Reached)
    started.hear(Ready)
    assert isinstance(reached, Reached)
    assert all(at.startswith("tcp://127.0.0.1:") for at in (reached.ingest, reached.audio_out))
    assert started.worker.node == "127.0.0.1"
    started.worker.take_address(reached)
    address, kept = started.worker.address, started.hold.kept
    assert address is not None
    assert kept is not None
    assert welcome(address.ingest, address.keys)
    _, stranger = generate_keys(tmp_path, "stranger")
    assert not welcome(address.ingest, ClientKeys(kept.public_key, stranger))
    assert not welcome(address.ingest, None)
    assert os.stat(kept.curve["key_file"]).st_mode & 0o077 == 0


def test_a_worker_that_is_told_to_stop_says_everything_and_leaves_nothing_behind(started: Started) -> None:
    started.hear(Ready)
    kept = started.hold.kept
    assert kept is not None
    started.worker.send(Stop("enough"))
    started.hear_end()
    ends = [event for message in started.said if isinstance(message, Happened) for event in message.events]
    assert [event.data.reason for event in ends if event.kind == "session_end"] == ["enough"]
    assert started.worker.end() == "exit status 0"
    assert not Path(kept.curve["key_file"]).parent.exists()
    assert not os.path.exists(f"/proc/{kept.pid}")


def test_a_worker_that_dies_is_seen_at_once(started: Started) -> None:
    started.hear(Ready)
    os.kill(started.worker.pid, signal.SIGKILL)
    assert started.hear_end() < 1.5
    assert started.worker.end() == "signal 9"


def test_a_worker_that_hangs_is_ended(started: Started) -> None:
    started.hear(Ready)
    pid = started.worker.pid
    os.kill(pid, signal.SIGSTOP)
    started.worker.kill()
    started.worker.end()
    until_s = time.monotonic() + 5.0
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_a_worker_ends_with_its_front(started: Started) -> None:
    started.hear(Ready)
    pid = started.worker.pid
    started.worker.link.close()
    until_s = time.monotonic() + 20.0
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < until_s
        time.sleep(0.02)


def test_a_machine_without_the_address_is_told_of_in_one_line(tmp_path: Path) -> None:
    one = Started(tmp_path, host="203.0.113.7")
    refused = one.hear(Refused)
    assert isinstance(refused, Refused)
    assert "203.0.113.7" in refused.problem
    one.worker.end()
