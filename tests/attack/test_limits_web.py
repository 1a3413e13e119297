"""The web server under requests that nobody's program would send: it answers each or drops it, and goes on serving."""

import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread

import pytest

for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed, reason="the extra `web` is not installed")

from tests.attack.web_requests import ask, storm, valid  # noqa: E402
from tests.fakes.gateways import is_closed  # noqa: E402
from tests.fakes.raw_web_socket import PIECES, SHORT_PINGS, flood, shake, text_frame  # noqa: E402
from tests.fakes.served import WebServer  # noqa: E402

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

SHORT, LONG = 4_000, 100_000
SEEDS = (1, 20_261_202)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[WebServer]:
    """`rtemo serve` with a wall, which takes as many requests as come."""
    limits = ("--set", "publishers.web.requests_per_s=10000", "--set", "publishers.web.request_burst=10000")
    with WebServer(tmp_path / "log", *limits) as made:
        yield made


def attack(server: WebServer, count: int) -> Counter[str]:
    """Storm the server; see that it goes on as it was, and that nothing broke in it."""
    assert {ask(server.port, request, 1.0) for request in valid(server.port)} <= {"200", "101", "404"}
    before = server.web_process()
    found: Counter[str] = Counter()
    for seed in SEEDS:
        found += storm(server.port, count // len(SEEDS), seed)
    assert not {status for status in found if status.startswith("5") or status == "1011"}, found
    assert found.keys() >= {"200", "400", "404", "101", "none"}  # many got far, and many did not
    with urllib.request.urlopen(server.url + "/v1/calls", timeout=10) as answer:
        assert answer.status == 200
    assert server.web_process() == before
    assert server.process.poll() is None
    assert "Traceback" not in server.log.read_text()
    return found


def test_no_malformed_request_breaks_the_web_server(server: WebServer) -> None:
    attack(server, SHORT)


def test_a_text_that_is_no_text_in_one_piece_with_a_close_is_cut_off_and_leaves_nothing_in_the_log(
    server: WebServer,
) -> None:
    (request, _) = (one for one in valid(server.port) if b"/v1/ws" in one)
    no_text = b"\x81\x82\0\0\0\0\xe5a"
    close = b"\x88\x82\0\0\0\0\x03\xe8"
    assert ask(server.port, request.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + no_text + close, 1.0) == "101"
    assert server.log.read_text().count("Traceback") == 0


@pytest.mark.parametrize("frames", [SHORT_PINGS, PIECES, text_frame("") * 5_000], ids=["pings", "pieces", "messages"])
def test_crowd_that_floods_with_frames_is_cut_off_and_others_are_served(server: WebServer, frames: bytes) -> None:
    crowd = [shake(server.port, "/v1/ws") for _ in range(8)]
    for peer in crowd:
        assert peer.recv(12) == b"HTTP/1.1 101"
        Thread(target=is_closed, args=(peer, 30.0)).start()  # it reads what it is answered
    with ThreadPoolExecutor(len(crowd)) as pool:
        sent = [pool.submit(flood, peer, frames, 16 << 20) for peer in crowd]
        begun_s = time.monotonic()
        with urllib.request.urlopen(server.url + "/v1/calls", timeout=10) as answer:
            assert answer.status == 200
        assert time.monotonic() - begun_s < 1.0
        assert all(done.result() < 16 << 20 for done in sent)
    for peer in crowd:
        peer.close()


@pytest.mark.attack
@pytest.mark.timeout(3600)
def test_no_malformed_request_of_a_hundred_thousand_breaks_the_web_server(server: WebServer) -> None:
    attack(server, LONG)
