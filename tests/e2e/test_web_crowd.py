"""The web publisher against clients that ask nothing, take nothing or hang on: nobody else is kept out."""

import json
import socket
import struct
import urllib.request
from contextlib import ExitStack

import pytest

from tests.e2e.test_web import ACME, OTHER, TOKENS, faults, get, get_or_none, wait_until, web_socket
from tests.fakes.raw_web_socket import PINGS, flood, shake
from tests.fakes.web_events import Served, call_events

pytestmark = [pytest.mark.e2e, pytest.mark.timed]


@pytest.fixture(scope="module")
def served():
    made = Served(max_clients=8, requests_per_s=1000.0)
    made.say(*call_events("a"))
    wait_until(lambda: get_or_none(made, "/readyz"))
    yield made
    made.close()


def port_of(made):
    return int(made.url.rpartition(":")[2])


def raw(made, request=b""):
    peer = socket.create_connection(("127.0.0.1", port_of(made)), timeout=5)
    peer.sendall(request)
    return peer


def is_cut(peer):
    peer.setblocking(False)
    try:
        return peer.recv(4096) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def clients(made):
    text = get(made, "/metrics")[1]
    return [line for line in text.splitlines() if line.startswith("rtemo_web_clients{")]


def test_connections_that_ask_nothing_keep_nobody_out_and_are_cut_off(served):
    idle = [raw(served, b"GET / HTTP/1.1\r\nHost: a\r\n" if number % 2 else b"") for number in range(40)]
    try:
        assert get(served, "/v1/calls")[0] == 200
        wait_until(lambda: sum(map(is_cut, idle)) >= 32, 5.0)
        assert get(served, "/v1/calls")[0] == 200
    finally:
        for peer in idle:
            peer.close()


def test_clients_that_go_before_their_first_event_are_forgotten(served):
    request = b"GET /v1/events/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
    for _ in range(40):
        peer = raw(served, request)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
    wait_until(lambda: 'rtemo_web_clients{view="events"} 0.0' in clients(served))


@pytest.mark.parametrize("number", ["%C2%B2", "9" * 5000, "-1", "x"])
def test_an_event_that_never_was_begins_a_stream_with_a_snapshot(served, number):
    epoch = get(served, "/v1/calls")[1]["epoch"]
    url = f"{served.url}/v1/events/stream?after={epoch}-{number}"
    with urllib.request.urlopen(url, timeout=10) as stream:
        assert stream.readline() == b"event: snapshot\n"
    wait_until(lambda: 'rtemo_web_clients{view="events"} 0.0' in clients(served))
    with web_socket(served, f"?after={epoch}-{number}") as client:
        assert json.loads(client.recv(10))["type"] == "snapshot"
    wait_until(lambda: 'rtemo_web_clients{view="events"} 0.0' in clients(served))


def test_web_sockets_beyond_the_most_are_refused_and_room_comes_back(request):
    served = Served(max_clients=8)
    request.addfinalizer(served.close)
    wait_until(lambda: get_or_none(served, "/healthz"))
    with ExitStack() as held:
        for _ in range(8):
            held.enter_context(web_socket(served, "?view=calls"))
        with pytest.raises(faults.InvalidStatus) as refused:
            web_socket(served)
        assert refused.value.response.status_code == 503
        assert get(served, "/v1/calls")[0] == 503
        assert get(served, "/healthz")[0] == 200
        assert 'rtemo_web_clients{view="rows"} 8.0' in clients(served)
    wait_until(lambda: get(served, "/v1/calls")[0] == 200)


def test_one_token_cannot_take_the_room_of_another(tmp_path):
    path = tmp_path / "tokens.toml"
    path.write_text(TOKENS)
    path.chmod(0o600)
    made = Served(tokens=str(path), max_clients=4)
    try:
        wait_until(lambda: get_or_none(made, "/healthz"))
        with web_socket(made, "?view=calls", ACME), web_socket(made, "?view=calls", ACME):
            with pytest.raises(faults.InvalidStatus) as refused:
                web_socket(made, "?view=calls", ACME)
            assert refused.value.response.status_code == 503
            with web_socket(made, "?view=calls", OTHER) as other:
                assert json.loads(other.recv(10))["type"] == "snapshot"
    finally:
        made.close()


def test_an_origin_that_makes_no_sense_is_another(served):
    with pytest.raises(faults.InvalidStatus) as refused:
        web_socket(served, origin="http://[::1")
    assert refused.value.response.status_code == 403


def test_who_asks_for_answers_to_pings_and_reads_none_is_cut_off(served):
    with shake(port_of(served), "/v1/ws?view=calls") as peer:
        assert b" 101 " in peer.recv(64)
        assert flood(peer, PINGS, 24 << 20) < 24 << 20
    assert get(served, "/v1/calls")[0] == 200
