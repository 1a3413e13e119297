"""Gate: what every request passes first: to which name, whose it is, how many; and the headers of safety."""

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from urllib.parse import urlsplit

import msgspec
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rtemo.io.web.access import Access, RateLimit, Tokens
from rtemo.io.web.options import WebOptions
from rtemo.io.web.rows import Problem

PROTOCOL = "rtemo.v1"
"""Subprotocol of the WebSocket."""
_BEARER = "bearer."  # prefix of a subprotocol that carries a token: browsers can send no other header there
_FREE = ("/", "/healthz", "/readyz", "/v1/openapi.json", "/v1/asyncapi.json")  # nothing of a call is in them
_FREE_FOLDER = "/wall/"
_FAILURES_PER_S, _FAILURE_BURST = 0.5, 20
STALL_S = 15.0
"""A client that takes nothing for this long is given up."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")

HEADERS: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
"""Of every answer. There are no CORS headers: pages of other origins get nothing."""


def problem(status: int, error: str, mend: str, **headers: str) -> Response:
    """Make the answer to what cannot be done."""
    body = msgspec.json.encode(Problem(error=error, mend=mend))
    return Response(body, status, {"content-type": "application/json", **headers})


class Gate:
    """An ASGI application before the application.

    Args:
        app: What comes behind.
        options: Limits, names of this host.
        tokens: Who may read.
        free: Paths that need no token; a folder ends with a stroke.

    Attributes:
        refused: Reason → requests that were refused for it.
    """

    def __init__(
        self, app: ASGIApp, options: WebOptions, tokens: Tokens, free: tuple[str, ...] = (*_FREE, _FREE_FOLDER)
    ) -> None:
        self.refused: dict[str, int] = {}
        self._app = app
        self._tokens = tokens
        self._free = frozenset(free)
        self._free_folders = tuple(path for path in free if path.endswith("/") and path != "/")
        self._hosts = {*_LOOPBACK, *(name.lower() for name in options.hosts), options.address}
        self._requests = RateLimit(options.requests_per_s, options.request_burst)
        self._failures = RateLimit(_FAILURES_PER_S, _FAILURE_BURST)
        self._most = options.max_clients
        self._running: Counter[str] = Counter()  # by name of the token; empty without tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        found = self._admit(scope)
        if isinstance(found, Access):
            scope.setdefault("state", {})["access"] = found
            await self._serve(scope, receive, send, found.name)
        elif scope["type"] == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 1008})
        else:
            await found(scope, receive, _safe(send))

    async def _serve(self, scope: Scope, receive: Receive, send: Send, name: str) -> None:
        if not self._is_counted(scope["path"]):
            await self._app(scope, receive, _safe(send))
            return
        self._running[name] += 1
        try:
            await self._app(scope, receive, _safe(send))
        finally:
            self._running[name] -= 1
            if not self._running[name]:
                del self._running[name]

    def _admit(self, scope: Scope) -> Access | Response:
        headers, now_s = Headers(scope=scope), time.monotonic()
        peer = (scope.get("client") or ("",))[0]
        host = headers.get("host", "")
        if not self._tokens.are_needed and _name_of(host) not in self._hosts:
            # Somebody else's page that has its own name resolved to this address must not read along.
            return self._refuse(
                403, "host", f"{_name_of(host)[:80]!r} is no name of this server", "see publishers.web.hosts"
            )
        origin = headers.get("origin")
        is_change = scope["type"] == "http" and scope["method"] not in ("GET", "HEAD")
        if (scope["type"] == "websocket" or is_change) and origin is not None and _place_of(origin) != host:
            return self._refuse(403, "origin", "a page of another origin asks", "open the page of this server")
        path = scope["path"]
        if self._is_free(path) or not self._tokens.are_needed:
            access = Access()
        else:
            if self._failures.left(peer, now_s) < 1:
                return self._refuse(429, "rate", "too many wrong tokens", "wait", retry_after="10")
            found = self._tokens.find(_token_of(headers))
            if found is None:
                self._failures.take(peer, now_s)
                mend = "send Authorization: Bearer TOKEN"
                return self._refuse(401, "token", "this needs a token that is known", mend, www_authenticate="Bearer")
            access = found
            scope_needed = "mark" if is_change else "metrics" if path == "/metrics" else "read"
            if scope_needed not in access.scopes:
                return self._refuse(403, "scope", f"this token has no scope {scope_needed!r}", "ask for another token")
        wait_s = self._requests.take(access.name or peer, now_s)
        if wait_s:
            return self._refuse(429, "rate", "too many requests", f"wait {wait_s} s", retry_after=str(wait_s))
        # One of several tokens may hold half of the room at most: the others are somebody else's.
        share = max(1, self._most // 2) if access.name else self._most
        if self._is_counted(path) and (self._running.total() >= self._most or self._running[access.name] >= share):
            return self._refuse(503, "room", "too many connections are open", "close some, or see max_clients")
        return access

    def _is_free(self, path: str) -> bool:
        return path in self._free or path.startswith(self._free_folders)

    def _is_counted(self, path: str) -> bool:
        """Tell whether a request takes up room: those that do not say how the server is, when it is full above all."""
        return not self._is_free(path) and path != "/metrics"

    def _refuse(self, status: int, reason: str, error: str, mend: str, **headers: str) -> Response:
        self.refused[reason] = self.refused.get(reason, 0) + 1
        return problem(status, error, mend, **{name.replace("_", "-"): value for name, value in headers.items()})


def _safe(send: Send) -> Send:
    """Add the headers of safety to whatever is answered, and give a client up that does not take it."""

    async def sent(message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.http.response.start"):
            headers = MutableHeaders(raw=message.setdefault("headers", []))
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
        if not kind.startswith("http."):
            await send(message)
            return
        try:
            await asyncio.wait_for(send(message), STALL_S)
        except TimeoutError:
            raise OSError("the client takes nothing") from None  # as for one that has gone

    return sent


def _place_of(origin: str) -> str:
    """Give host and port of an Origin header; of none that makes sense something that no host is called."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return "?"


def _name_of(host: str) -> str:
    """Take the port off a Host header."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()


def _token_of(headers: Headers) -> str:
    kind, _, token = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return token.strip()
    for part in headers.get("sec-websocket-protocol", "").split(","):
        if part.strip().startswith(_BEARER):
            return part.strip()[len(_BEARER) :]
    return ""
