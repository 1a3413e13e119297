"""Subscriber: receives events, counts what is missing, and catches up by itself."""

import asyncio
import contextlib
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from types import TracebackType
from typing import Any, Self

import zmq

from rtemo.api.errors import EndpointError
from rtemo.io.catch_up import CatchUp, Notice, Phase
from rtemo.io.curve import ClientKeys
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.feed import Feed
from rtemo.io.query_client import QueryClient
from rtemo.io.query_wire import CallSummary, Op, PublisherHealth
from rtemo.io.sockets import UNREACHABLE_MEND, open_context
from rtemo.io.wire import Heartbeat, WireEvent, utc_ms

_TURN_S = 0.05


class Subscriber:
    """Iterates over the events of a publisher, last values first, then live.

    >>> with Subscriber("tcp://127.0.0.1:5570", kinds=["emotion"]) as subscriber:  # doctest: +SKIP
    ...     for event in subscriber:
    ...         print(event.call, event.channel, event.data.label, event.age_ms)

    Lost events are counted, not hidden. When the publisher is restarted, when the end of a topic is lost, or
    when this end reads so slowly that events are 2 s old, the last values are fetched anew. In asynchronous
    programs, iterate with `async for`. A subscriber belongs to one thread.

    Args:
        endpoint: The publisher's event endpoint.
        query: Its query endpoint; two ports above `endpoint` when empty.
        tenant: Tenant of the feed.
        calls: Calls wanted; empty for all.
        kinds: Kinds of events wanted; empty for all.
        snapshot: Whether to begin with the last values, and to fetch them again after trouble.
        connect_timeout_s: How long to wait for a sign of life at the beginning; None waits for ever.
        server_key: Public CURVE key of the publisher, or its file; empty for plain text.
        key_file: Secret CURVE key file of this client.
        on_notice: Receives notices about loss, lag and restarts; they are logged when None.

    Raises:
        EndpointError: An endpoint or key cannot be used.
    """

    def __init__(
        self,
        endpoint: str = "tcp://127.0.0.1:5570",
        *,
        query: str = "",
        tenant: str = "main",
        calls: Collection[str] = (),
        kinds: Collection[str] = (),
        snapshot: bool = True,
        connect_timeout_s: float | None = 5.0,
        server_key: str = "",
        key_file: str = "",
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        if isinstance(calls, str) or isinstance(kinds, str):
            raise TypeError("calls and kinds are collections of names, not one name")
        events = parse_endpoint(endpoint)
        self._endpoint = events
        self._connect_timeout_s = connect_timeout_s
        self._since_s = time.monotonic()
        self._query_endpoint = parse_endpoint(query) if query else events.beside(2, "query")
        self._curve = ClientKeys(server_key, key_file) if server_key or key_file else None
        self._context = open_context()
        self._question: QueryClient | None = None
        # Taken from the sockets and not handed on yet: an iteration may be left in the middle and begun again.
        self._due: deque[WireEvent[Any]] = deque()
        try:
            self._feed = Feed(self._context, events, tenant, tuple(calls), kinds, self._curve)
            self._query = QueryClient(self._context, self._query_endpoint, self._curve)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        self._catch_up = CatchUp(
            _Line(self._feed, self._query, tuple(calls)),
            wants_snapshot=snapshot,
            tenant=tenant,
            wants=self._feed.wants,
            on_notice=on_notice,
        )

    @property
    def lost_events(self) -> int:
        """Events that were published for us and never arrived."""
        return self._catch_up.gaps.lost_events

    @property
    def malformed_messages(self) -> int:
        """Messages that were no events."""
        return self._feed.malformed_messages

    @property
    def epoch(self) -> str:
        """Life of the publisher; empty until it was heard."""
        return self._catch_up.epoch

    @property
    def restarts(self) -> int:
        """How often the publisher was restarted since we are here."""
        return self._catch_up.restarts

    @property
    def resyncs(self) -> int:
        """How often the last values had to be fetched again."""
        return self._catch_up.resyncs

    @property
    def lag_ms(self) -> float:
        """How long the last event took from being published to being read."""
        return self._catch_up.lag_ms

    @property
    def is_live(self) -> bool:
        """Whether the last values have been given and events are passed on as they come."""
        return self._catch_up.phase is Phase.LIVE

    def events(self, timeout_s: float | None = None) -> Iterator[WireEvent[Any]]:
        """Iterate over events; ends when `timeout_s` passes without one.

        Raises:
            EndpointError: Nobody was heard within `connect_timeout_s`.
        """
        heard_s = time.monotonic()
        while True:
            while self._due:
                yield self._due.popleft()
                heard_s = time.monotonic()
            self._due.extend(self.receive(_TURN_S if timeout_s is None else min(_TURN_S, timeout_s)))
            if not self._due and timeout_s is not None and time.monotonic() - heard_s >= timeout_s:
                return

    def receive(self, timeout_s: float = 0.0) -> list[WireEvent[Any]]:
        """Take the events that are there, waiting up to `timeout_s` for the first.

        Raises:
            EndpointError: Nobody was heard within `connect_timeout_s`.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            self._due.extend(self._turn())
            left_s = deadline_s - time.monotonic()
            if self._due or left_s <= 0:
                events = list(self._due)
                self._due.clear()
                return events
            poller = zmq.Poller()
            poller.register(self._feed.socket, zmq.POLLIN)
            poller.register(self._query.socket, zmq.POLLIN)
            poller.poll(math.ceil(min(left_s, _TURN_S) * 1000))

    def replay(self, call: str, after_pub_seq: int = 0, timeout_s: float = 5.0) -> list[WireEvent[Any]]:
        """Fetch the events of a call after a number, as far back as the publisher keeps them.

        Raises:
            EndpointError: The call is unknown, or no answer came in time.
        """
        found: list[WireEvent[Any]] = []
        while True:
            reply, events = self._ask().ask("replay", call, after_pub_seq, timeout_s)
            found += events
            if not reply.more or not events:
                return found
            after_pub_seq = events[-1].pub_seq

    def list_calls(self, timeout_s: float = 5.0) -> list[CallSummary]:
        """List the calls that are going on.

        Raises:
            EndpointError: No answer came in time.
        """
        return self._ask().ask("list", timeout_s=timeout_s)[0].calls or []

    def health(self, timeout_s: float = 5.0) -> PublisherHealth:
        """Ask how the publisher is.

        Raises:
            EndpointError: No answer came in time.
        """
        health = self._ask().ask("health", timeout_s=timeout_s)[0].health
        if health is None:
            raise EndpointError(f"{self._query_endpoint} gave no health report", "check what listens there")
        return health

    def queries(self, ask: Collection[str] = (), forget: Collection[str] = (), timeout_s: float = 5.0) -> list[str]:
        """List what the engine scores voices by, after asking for some more and taking others back.

        Raises:
            EndpointError: No answer came in time, or one was refused.
        """
        if isinstance(ask, str) or isinstance(forget, str):
            raise TypeError("ask and forget are collections of queries, not one query")
        desk = self._ask()
        changes: list[tuple[Op, str]] = [*(("forget", text) for text in forget), *(("ask", text) for text in ask)]
        for op, text in changes:
            reply, _ = desk.ask(op, timeout_s=timeout_s, text=text)
        if not changes:
            reply, _ = desk.ask("queries", timeout_s=timeout_s)
        return reply.queries or []

    def close(self) -> None:
        """Close everything; may be called twice."""
        if not self._context.closed:
            self._context.destroy(linger=0)

    def __iter__(self) -> Iterator[WireEvent[Any]]:
        return self.events()

    async def __aiter__(self) -> AsyncIterator[WireEvent[Any]]:
        """Iterate over events without blocking the event loop."""
        while True:
            while self._due:
                yield self._due.popleft()
            self._due.extend(self._turn())
            if not self._due:
                await self._readable(_TURN_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _turn(self) -> list[WireEvent[Any]]:
        """Take what is there from both sockets, and do what is due."""
        catch_up = self._catch_up
        due: list[WireEvent[Any]] = []
        for topic, body in self._feed.receive():
            now_s = time.monotonic()
            if isinstance(body, Heartbeat):
                due += catch_up.heartbeat(body, now_s)
            else:
                lag_ms = utc_ms(time.time_ns()) + self._query.clock_offset_ms - body.t_pub_ms
                due += catch_up.event(topic, body, lag_ms, now_s)
        now_s = time.monotonic()
        for reply, events in self._query.receive():
            due += catch_up.answer(reply, events, now_s)
        due += catch_up.tick(now_s)
        patience_s = self._connect_timeout_s
        if not catch_up.epoch and patience_s is not None and now_s - self._since_s > patience_s:
            raise EndpointError(f"nothing was heard from {self._endpoint} within {patience_s:g} s", UNREACHABLE_MEND)
        return due

    async def _readable(self, timeout_s: float) -> None:
        """Wait until a socket may have something, or until `timeout_s` has passed."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        numbers = [self._feed.socket.fileno(), self._query.socket.fileno()]
        try:
            for number in numbers:
                loop.add_reader(number, ready.set)
        except NotImplementedError:  # Windows' default loop cannot watch sockets
            await asyncio.sleep(0.005)
            return
        try:
            # ZeroMQ's descriptor signals changes, not contents: what came while we registered is seen here.
            if not any(socket.poll(0) for socket in (self._feed.socket, self._query.socket)):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(ready.wait(), timeout_s)
        finally:
            for number in numbers:
                loop.remove_reader(number)

    def _ask(self) -> QueryClient:
        # Questions of the user have a connection of their own, so that answers to ours do not get in between.
        if self._question is None:
            self._question = QueryClient(self._context, self._query_endpoint, self._curve)
        return self._question


class _Line:
    """What `CatchUp` asks of the connection."""

    def __init__(self, feed: Feed, query: QueryClient, calls: tuple[str, ...]) -> None:
        self._feed = feed
        self._query = query
        self._calls = calls or (None,)

    def ask_beat(self) -> None:
        self._query.send("beat")

    def ask_snapshot(self) -> frozenset[int]:
        ids = [self._query.send("snapshot", call) for call in self._calls]
        sent = frozenset(number for number in ids if number is not None)
        return sent if len(sent) == len(ids) else frozenset()

    def drop_backlog(self) -> None:
        self._feed.reconnect()
