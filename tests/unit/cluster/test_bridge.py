"""A link that goes on over the network: real sockets, real keys."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from rtemo.cluster.bridge import MAX_MESSAGE_BYTES, Bridge, limit_queues
from rtemo.cluster.link import Link, link_pair
from rtemo.cluster.messages import Stop, to_worker
from rtemo.io.curve import ClientKeys, Door, generate_keys, load_public_key
from rtemo.io.endpoints import Endpoint, parse_endpoint
from rtemo.io.sockets import bind, connect, make_socket, open_context
from rtemo.io.zmq_options import CurveOptions

pytestmark = pytest.mark.unit

LOOPBACK = parse_endpoint("tcp://127.0.0.1:*")


class End:
    """One bridge on a thread of its own, and the link that it carries."""

    def __init__(self) -> None:
        ours, self._near = link_pair()
        self.link = Link(ours)
        self.how = ""
        self._context = open_context()
        self._far = make_socket(self._context, zmq.DEALER)
        limit_queues(self._far)

    def bind(self, keys: Path, allowed: Path) -> Endpoint:
        door = Door(self._context, CurveOptions(key_file=str(keys), allowed_clients=(str(allowed),)))
        endpoint = bind(self._far, LOOPBACK, MAX_MESSAGE_BYTES, door, "")
        self._bridge = Bridge(self._far, self._near, door)
        return endpoint

    def connect(self, endpoint: Endpoint, server: Path, keys: Path) -> None:
        self._bridge = Bridge(self._far, self._near, is_sharp=True)
        connect(self._far, endpoint, ClientKeys(load_public_key(server).decode(), keys))

    def start(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.how = self._bridge.run()
        self._near.close()
        self._context.destroy(linger=500)

    def stop(self) -> None:
        self._bridge.stop()
        self.thread.join(5.0)
        self.link.close()


@pytest.fixture
def keys(tmp_path: Path) -> dict[str, tuple[Path, Path]]:
    return {name: generate_keys(tmp_path, name) for name in ("front", "worker", "stranger")}


@pytest.fixture
def ends(keys: dict[str, tuple[Path, Path]]) -> Iterator[tuple[End, End]]:
    front, worker = End(), End()
    endpoint = worker.bind(keys["worker"][1], keys["front"][0])
    front.connect(endpoint, keys["worker"][0], keys["front"][1])
    for end in (front, worker):
        end.start()
    yield front, worker
    for end in (front, worker):
        end.stop()


def messages(count: int) -> list[Stop]:
    """Some of which are longer than a chunk."""
    return [Stop("x" * (7 + (number % 50 == 0) * 2 * MAX_MESSAGE_BYTES) + str(number)) for number in range(count)]


def talk(link: Link, said: list[Stop]) -> threading.Thread:
    def run() -> None:
        for message in said:
            link.send(message)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def hear(link: Link, count: int) -> list[object]:
    return [to_worker(link.receive()) for _ in range(count)]


def test_messages_of_any_length_arrive_whole_and_in_order_both_ways_at_once(ends: tuple[End, End]) -> None:
    front, worker = ends
    said = messages(200)
    threads = [talk(end.link, said) for end in ends]
    heard: list[list[object]] = []
    back = threading.Thread(target=lambda: heard.append(hear(front.link, len(said))), daemon=True)
    back.start()
    assert hear(worker.link, len(said)) == said
    back.join(30.0)
    assert heard == [said]
    for thread in threads:
        thread.join(5.0)


def test_who_does_not_read_holds_up_who_writes_and_nothing_is_lost(ends: tuple[End, End]) -> None:
    front, worker = ends
    said = [Stop("y" * MAX_MESSAGE_BYTES + str(number)) for number in range(200)]  # 50 MiB
    thread = talk(worker.link, said)
    thread.join(1.5)
    assert thread.is_alive()
    assert hear(front.link, len(said)) == said
    thread.join(5.0)
    assert not thread.is_alive()


def test_what_was_said_last_arrives_before_the_end(ends: tuple[End, End]) -> None:
    front, worker = ends
    worker.link.send(Stop("last"))
    worker.link.close()
    closed_s = time.monotonic()
    assert hear(front.link, 1) == [Stop("last")]
    with pytest.raises(EOFError):
        front.link.receive()
    assert time.monotonic() - closed_s < 2.0
    front.thread.join(5.0)
    assert (front.how, worker.how) == ("far", "near")


def test_who_has_no_key_is_not_let_in_and_ends_nothing(keys: dict[str, tuple[Path, Path]]) -> None:
    front, worker, stranger = End(), End(), End()
    endpoint = worker.bind(keys["worker"][1], keys["front"][0])
    front.connect(endpoint, keys["worker"][0], keys["front"][1])
    stranger.connect(endpoint, keys["worker"][0], keys["stranger"][1])
    for end in (front, worker, stranger):
        end.start()
    stranger.link.send(Stop("let me in"))
    front.link.send(Stop("it is me"))
    assert hear(worker.link, 1) == [Stop("it is me")]
    with socket.create_connection((endpoint.host, endpoint.port)) as knock:
        knock.sendall(b"GET / HTTP/1.1\r\n\r\n")
    time.sleep(0.3)
    front.link.send(Stop("still here"))
    assert hear(worker.link, 1) == [Stop("still here")]
    for end in (front, worker, stranger):
        end.stop()
    assert worker.how == "stopped"
