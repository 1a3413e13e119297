"""Who is connected is counted, and who is one too many turned away."""

import time

import pytest
import zmq

from rtemo.io.connections import Connections

pytestmark = pytest.mark.unit


def until(watched: Connections, count: int, rebinds: int = 0) -> None:
    deadline_s = time.monotonic() + 5.0
    while watched.count != count:
        assert time.monotonic() < deadline_s, f"{watched.count} connections, expected {count}"
        watched.serve(rebinds)
        time.sleep(0.005)


def test_connections_that_ended_with_a_rebind_are_not_taken_for_those_that_came_after() -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as server:
        watched = Connections(server, limit=2)
        port = server.bind_to_random_port("tcp://127.0.0.1")
        clients = [context.socket(zmq.DEALER) for _ in range(2)]
        try:
            for client in clients:
                client.linger = 0
                client.reconnect_ivl = 20
                client.connect(f"tcp://127.0.0.1:{port}")
            until(watched, 2)
            server.unbind(f"tcp://127.0.0.1:{port}")
            watched.serve(1)
            assert watched.count == 0
            deadline_s = time.monotonic() + 5.0
            while True:
                try:
                    server.bind(f"tcp://127.0.0.1:{port}")
                    break
                except zmq.ZMQError:
                    assert time.monotonic() < deadline_s
                    time.sleep(0.01)
            for _ in range(2):
                clients.append(context.socket(zmq.DEALER))
                clients[-1].linger = 0
                clients[-1].connect(f"tcp://127.0.0.1:{port}")
            until(watched, 2, rebinds=1)
            assert watched.refused == 0
        finally:
            server.disable_monitor()
            for client in clients:
                client.close()
