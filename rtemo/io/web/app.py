"""The application: its routes, each a few lines over the hub."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from rtemo.io.web.access import Access
from rtemo.io.web.asyncapi import asyncapi
from rtemo.io.web.gate import PROTOCOL, STALL_S, problem
from rtemo.io.web.hub import EventClient, Hub, RowClient
from rtemo.io.web.marks import SNOOZE_S, Marked, keep, read_mark
from rtemo.io.web.messages import Beat, EventMessage
from rtemo.io.web.metrics import CONTENT_TYPE, Metrics
from rtemo.io.web.openapi import openapi
from rtemo.io.web.rows import Calls
from rtemo.io.wire import utc_ms

STATIC = Path(__file__).parent / "static"
_BEAT_S = 5.0
_USUAL_EVENTS, _MOST_EVENTS = 500, 5000
_MOST_DIGITS = 18  # of an event's number
_encode = msgspec.json.encode


class Application:
    """The routes.

    Args:
        hub: Where everything comes from.
        metrics: What `/metrics` tells.
    """

    def __init__(self, hub: Hub, metrics: Metrics) -> None:
        self._hub = hub
        self._metrics = metrics
        self.asgi = Starlette(
            routes=[
                Route("/", self._wall),
                Mount("/wall", StaticFiles(directory=STATIC)),
                Route("/healthz", self._healthz),
                Route("/readyz", self._readyz),
                Route("/metrics", self._told_metrics),
                Route("/v1/openapi.json", self._told_openapi),
                Route("/v1/asyncapi.json", self._told_asyncapi),
                Route("/v1/calls", self._calls),
                Route("/v1/calls/{call:path}", self._call),
                Route("/v1/alerts/{alert}", self._mark, methods=["POST"]),
                Route("/v1/events", self._events),
                Route("/v1/events/stream", self._stream),
                WebSocketRoute("/v1/ws", self._websocket),
            ],
            exception_handlers={404: _unknown, 405: _unknown, 500: _failed},
        )

    async def _wall(self, request: Request) -> Response:
        return FileResponse(STATIC / "wall.html")

    async def _healthz(self, request: Request) -> Response:
        return _json({"status": "ok"})

    async def _readyz(self, request: Request) -> Response:
        live = self._hub.live
        if live.is_started and live.is_fed:
            return _json({"status": "ready"})
        return problem(503, "the engine has not started, or gives no sign of life", "wait, or see its log")

    async def _told_metrics(self, request: Request) -> Response:
        return Response(self._metrics.text(), media_type=CONTENT_TYPE)

    async def _told_openapi(self, request: Request) -> Response:
        return Response(openapi(), media_type="application/json")

    async def _told_asyncapi(self, request: Request) -> Response:
        return Response(asyncapi(), media_type="application/json")

    async def _calls(self, request: Request) -> Response:
        live, access = self._hub.live, _access(request)
        names = [name for name in live.names(access.sees) if name.startswith(request.query_params.get("prefix", ""))]
        rows = [row for row in map(live.row, names) if row is not None]
        return _json(Calls(epoch=live.epoch, pub_seq=live.pub_seq, calls=rows))

    async def _call(self, request: Request) -> Response:
        name = request.path_params["call"]
        # Whether a call that may not be seen exists is nobody's business: both get the same answer.
        state = self._hub.live.state(name) if name and _access(request).sees(name) else None
        if state is None:
            return problem(404, "there is no such call", "see /v1/calls")
        return _json(state)

    async def _mark(self, request: Request) -> Response:
        access, live = _access(request), self._hub.live
        # A form of somebody else's page cannot have this type, and anything else asks first, and is told nothing.
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return problem(415, "a mark is JSON", "send Content-Type: application/json")
        wanted = await read_mark(request)
        if wanted is None:
            return problem(
                400, "that is no mark", 'send {"call": NAME, "mark": "acknowledged", "snoozed", "wrong" or "open"}'
            )
        until_ms = utc_ms(time.time_ns()) + SNOOZE_S * 1000 if wanted.mark == "snoozed" else 0.0
        mark = "" if wanted.mark == "open" else wanted.mark
        is_seen = access.sees(wanted.call)
        alert = live.mark(wanted.call, request.path_params["alert"], mark, until_ms) if is_seen else None
        if alert is None:
            return problem(404, "there is no such alert", "see /v1/calls")
        path = self._hub.options.marks
        is_kept = bool(path) and await asyncio.to_thread(keep, path, wanted.call, alert, access.name)
        return _json(Marked(alert=alert, is_kept=is_kept))

    async def _events(self, request: Request) -> Response:
        try:
            after_seq = int(request.query_params.get("after_seq", "0"))
            limit = int(request.query_params.get("limit", str(_USUAL_EVENTS)))
        except ValueError:
            return problem(400, "after_seq and limit are whole numbers", "correct them")
        if after_seq < 0 or not 1 <= limit <= _MOST_EVENTS:
            return problem(400, f"after_seq is at least 0, limit 1 to {_MOST_EVENTS}", "correct them")
        hub = self._hub
        asker = self._asker(request)
        kept = hub.recent.after(after_seq, asker.wants, limit)
        answer = {
            "epoch": hub.live.epoch,
            "is_complete": after_seq >= hub.recent.dropped_pub_seq and after_seq <= hub.live.pub_seq,
            "next_after_seq": kept[-1].pub_seq if len(kept) == limit else hub.live.pub_seq,
            "events": [msgspec.Raw(item.message) for item in kept],
        }
        return _json(answer)

    async def _stream(self, request: Request) -> Response:
        client = self._hub.add_events(_access(request), *_filters(request))
        self._resume(client, request)
        return _EventStream(self._told_events(client), lambda: self._hub.drop(client))

    def _resume(self, client: EventClient, request: HTTPConnection) -> None:
        """Begin after the event that a client names, or with a snapshot where there is none, or too much since."""
        hub = self._hub
        last = request.headers.get("last-event-id", "") or request.query_params.get("after", "")
        epoch, _, number = last.rpartition("-")
        is_number = number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS
        if epoch == hub.live.epoch and is_number and int(number) >= hub.recent.dropped_pub_seq:
            missed = hub.recent.after(int(number), client.wants, hub.options.client_events + 1)
            for kept in missed:
                client.offer(kept)
        else:
            client.needs_snapshot = True
        client.wake.set()

    async def _told_events(self, client: EventClient) -> AsyncIterator[bytes]:
        epoch = self._hub.live.epoch
        while not client.is_closed:
            if client.needs_snapshot:
                text = self._hub.snapshot_of_events(client)
                yield b"event: snapshot\nid: %s-%d\ndata: %s\n\n" % (epoch.encode(), self._hub.live.pub_seq, text)
            for kept in client.take():
                yield b"event: event\nid: %s-%d\ndata: %s\n\n" % (epoch.encode(), kept.pub_seq, kept.message)
            if not await _woken(client, _BEAT_S):
                yield b": still here\n\n"

    async def _websocket(self, socket: WebSocket) -> None:
        protocols = socket.headers.get("sec-websocket-protocol", "")
        await socket.accept(subprotocol=PROTOCOL if PROTOCOL in protocols else None)
        client: EventClient | RowClient
        if socket.query_params.get("view", "events") == "calls":
            client = self._hub.add_rows(_access(socket))
            tell = asyncio.ensure_future(self._tell_rows(socket, client))
        else:
            client = self._hub.add_events(_access(socket), *_filters(socket))
            self._resume(client, socket)
            tell = asyncio.ensure_future(self._tell_events(socket, client))
        hear = asyncio.ensure_future(_until_gone(socket))
        try:
            await asyncio.wait({tell, hear}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.drop(client)
            for task in (tell, hear):
                task.cancel()
            await asyncio.gather(tell, hear, return_exceptions=True)
            with contextlib.suppress(Exception):
                await socket.close(1008 if client.is_closed else 1000)

    async def _tell_rows(self, socket: WebSocket, client: RowClient) -> None:
        while not client.is_closed:
            hub = self._hub
            await _send(socket, hub.snapshot_of_rows(client) if client.needs_snapshot else hub.update_of_rows(client))
            client.wake.clear()
            await client.wake.wait()

    async def _tell_events(self, socket: WebSocket, client: EventClient) -> None:
        while not client.is_closed:
            if client.needs_snapshot:
                await _send(socket, self._hub.snapshot_of_events(client))
            for kept in client.take():
                await _send(socket, _encode(EventMessage(event=msgspec.Raw(kept.message))))
            if not await _woken(client, _BEAT_S):
                await _send(socket, _encode(Beat(is_fed=self._hub.live.is_fed)))

    def _asker(self, request: Request) -> EventClient:
        return EventClient(_access(request), *_filters(request), 1)


class _EventStream(StreamingResponse):
    """A stream of server-sent events.

    Args:
        events: What is sent.
        on_end: Called when it is over, also when the client has gone before the first event was asked for.
    """

    def __init__(self, events: AsyncIterator[bytes], on_end: Callable[[], None]) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._on_end()


def _access(connection: HTTPConnection) -> Access:
    found: Access = connection.scope["state"]["access"]
    return found


def _filters(connection: HTTPConnection) -> tuple[list[str], list[str]]:
    """Give the calls and kinds that are asked for."""
    kinds = [kind for text in connection.query_params.getlist("kind") for kind in text.split(",") if kind]
    return connection.query_params.getlist("call"), kinds


async def _woken(client: EventClient, timeout_s: float) -> bool:
    """Wait until there is something for a client; False when there was nothing for so long."""
    try:
        await asyncio.wait_for(client.wake.wait(), timeout_s)
    except TimeoutError:
        return False
    client.wake.clear()
    return True


async def _send(socket: WebSocket, message: bytes) -> None:
    await asyncio.wait_for(socket.send_text(message.decode()), STALL_S)


async def _until_gone(socket: WebSocket) -> None:
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await socket.receive_text()  # nothing that a client says means anything


def _json(value: Any) -> Response:
    return Response(_encode(value), media_type="application/json")


async def _unknown(request: Request, error: Exception) -> Response:
    return problem(getattr(error, "status_code", 404), "there is nothing here by this method", "see /v1/openapi.json")


async def _failed(request: Request, error: Exception) -> Response:
    return problem(500, "this is a fault of rtemo", "report it")
