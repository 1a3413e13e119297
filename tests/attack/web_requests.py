"""Requests to the web that nobody's program would send: what a valid one becomes when it is torn, bent and stuffed."""

import contextlib
import random
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.fakes.raw_web_socket import text_frame

_WAIT_S = 0.03  # for an answer; what is torn off gets none
_CLIENTS = 8
_INTERNAL_ERROR = re.compile(rb"\x88.\x03\xf3", re.DOTALL)  # a WebSocket's close frame with code 1011
_UPGRADE = (
    b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: rtemo.v1\r\n"
)
_MARK = b'{"call": "a", "mark": "acknowledged"}'
_TYPE = b"Content-Type: application/json\r\n"
_PATHS = (
    *(b"/", b"/wall/wall.js", b"/healthz", b"/metrics", b"/v1/openapi.json", b"/v1/calls?prefix=a", b"/v1/calls/a"),
    *(b"/v1/events?after_seq=0&limit=3&kind=emotion&call=a", b"/v1/events/stream?kind=level&after=x-3"),
)
_JUNK = (
    *(
        b"\x00",
        b"\xff\xfe",
        b"%",
        b"%00",
        b"%ff%fe",
        b"\r\n",
        b"\r\n\r\n",
        b"..%2f..%2f",
        b"/../../etc/passwd",
        b"?#&=",
    ),
    *(b"9" * 5_000, b"a" * 5_000, b"-1", b"1e999", b"NaN", b"\xed\xa0\x80", b"\\ud800", b"[" * 3_000, b'{"a":' * 2_000),
    *(b"Transfer-Encoding: chunked\r\n", b"Content-Length: -1\r\n", b"Content-Length: 99999999999999999999\r\n"),
    *(b"Expect: 100-continue\r\n", b"Host: a\r\n", b"Upgrade: h2c\r\n", b"X: y\r\n" * 500, "٣é\U0001f600".encode()),
)


def valid(port: int) -> list[bytes]:
    """Give one request of each kind."""
    host = b"Host: 127.0.0.1:%d\r\n" % port
    made = [b"GET %s HTTP/1.1\r\n%s\r\n" % (path, host) for path in _PATHS]
    body = b"%sContent-Length: %d\r\n\r\n%s" % (_TYPE, len(_MARK), _MARK)
    chunks = b"%sTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (_TYPE, len(_MARK), _MARK)
    made += [b"POST /v1/alerts/e-1 HTTP/1.1\r\n%s%s" % (host, rest) for rest in (body, chunks)]
    frames = text_frame("hello") + b"\x89\x80\0\0\0\0" + b"\x88\x82\0\0\0\0\x03\xe8"
    made += [
        b"GET /v1/ws?view=%s HTTP/1.1\r\n%s%s\r\n%s" % (view, host, _UPGRADE, frames) for view in (b"calls", b"events")
    ]
    return made


def malformed(port: int, count: int, seed: int) -> Iterator[bytes]:
    """Give requests, each made of a valid one by some of: bits turned, a part torn out or said twice, junk, an end."""
    dice, seeds = random.Random(seed), valid(port)
    for _ in range(count):
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.randint(1, 4)):
            first = dice.randrange(len(data) + 1)
            last = min(len(data), first + dice.randint(1, 40))
            way = dice.random()
            if way < 0.3 and first < len(data):
                data[first] ^= 1 << dice.randrange(8)
            elif way < 0.7:
                data[first:first] = dice.choice(_JUNK)
            elif way < 0.8:
                del data[first:last]
            elif way < 0.95:
                data[first:first] = data[first:last]
            else:
                del data[first:]
        yield bytes(data)


def ask(port: int, request: bytes, wait_s: float = _WAIT_S) -> str:
    """Send a request and tell what came of it: a status, `1011` for a WebSocket that broke, or `none`."""
    head, end, frames = request.partition(b"\r\n\r\n") if b"Upgrade: websocket" in request else (request, b"", b"")
    with socket.create_connection(("127.0.0.1", port), timeout=10) as peer:
        answer = _exchange(peer, head + end, wait_s)
        if answer.startswith(b"HTTP/1.1 101"):
            answer += _exchange(peer, frames, wait_s)
    if _INTERNAL_ERROR.search(answer):
        return "1011"
    found = re.match(rb"HTTP/1\.1 (\d{3}) ", answer)
    return found[1].decode() if found else "none"


def _exchange(peer: socket.socket, data: bytes, wait_s: float) -> bytes:
    """Send, and give what comes first, or all that comes within the time after frames of a WebSocket."""
    answer, until_s = b"", time.monotonic() + wait_s
    peer.settimeout(wait_s)
    with contextlib.suppress(OSError):  # no answer yet, or it was cut off: either is right
        peer.sendall(data)
        while more := peer.recv(1 << 16):
            answer += more
            if answer.startswith(b"HTTP/") or time.monotonic() > until_s:
                break
    return answer


def storm(port: int, count: int, seed: int) -> Counter[str]:
    """Send so many malformed requests, some at a time; count what came of them."""
    with ThreadPoolExecutor(_CLIENTS) as pool:
        return Counter(pool.map(lambda request: ask(port, request), malformed(port, count, seed)))
