"""ZmqPublisher: events, latest state and queries over ZeroMQ."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import ClassVar

import zmq

from rtemo.api import Event, Queries, StreamFormat
from rtemo.io.connections import Connections
from rtemo.io.curve import Door
from rtemo.io.endpoints import Endpoint, parse_endpoint
from rtemo.io.publishers.history import History
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.publishers.query import QueryDesk
from rtemo.io.publishers.state import StateFeed
from rtemo.io.query_wire import MAX_REQUEST_BYTES
from rtemo.io.sockets import Context, Socket, bind, check_exposure, check_free, make_socket, open_context
from rtemo.io.subscriptions import SUBSCRIPTION_BYTES, Subscriptions
from rtemo.io.topics import heartbeat_topic
from rtemo.io.wire import (
    HEARTBEAT_SCHEMA,
    Heartbeat,
    encode,
    utc_ms,
)
from rtemo.io.zmq_options import PublishOptions

_ANSWERS = 16  # held for a client that asks and does not read; each may be large
_LEAST_BEAT_S = 0.05
_BEATS_S = 0.003  # spent on heartbeats of calls in one turn; there may be thousands


class ZmqPublisher:
    """Publishes every event to whoever subscribes; never waits for anybody.

    A subscriber that does not read loses the newest events once its queue is full, and sees that from the
    numbers; the others are not touched. All sockets but that of states, and the door that checks keys, belong to the
    thread that calls `open`.

    Args:
        options: Endpoints, bounds and keys.
        purpose: What the results are used for; stamped on every event when not empty.
        format: Rate of sample positions, until a `session_start` event tells another.

    Attributes:
        endpoints: `events`, `state` and `query` as bound; empty until `open`.
    """

    name = "zmq"
    options_type: ClassVar[type[PublishOptions]] = PublishOptions

    def __init__(
        self, options: PublishOptions | None = None, *, purpose: str = "", format: StreamFormat | None = None
    ) -> None:
        self.endpoints: dict[str, Endpoint] = {}
        self._options = options or PublishOptions()
        self._tenant = self._options.tenant
        self._numbering = Numbering(self._tenant, purpose, format)
        self._history = History(
            self._options.replay_s,
            self._options.replay_call_bytes,
            self._options.replay_bytes,
            self._options.replay_calls,
        )
        self._context: Context | None = None
        self._door: Door | None = None
        self._events: Socket
        self._subscriptions: Subscriptions
        self._states: StateFeed | None = None
        self._connections: list[Connections] = []
        self._desk: QueryDesk
        self._queries: Queries | None = None
        self._owner = 0
        self._beat_s = 0.0
        self._heartbeat_topics: dict[str, bytes] = {}
        self._to_beat: deque[str] = deque()

    @property
    def epoch(self) -> str:
        """Random name of this life of the publisher."""
        return self._numbering.epoch

    @property
    def is_encrypted(self) -> bool:
        """Whether it reads lists of clients that may connect."""
        return bool(self._options.curve.key_file)

    def check(self) -> dict[str, Endpoint]:
        """Tell the three endpoints, before the seconds of warming up.

        Raises:
            EndpointError: One is in use, impossible, or open to the network without encryption.
        """
        options = self._options
        events = parse_endpoint(options.events)
        wanted = {
            "events": events,
            "state": parse_endpoint(options.state) if options.state else events.beside(1, "state"),
            "query": parse_endpoint(options.query) if options.query else events.beside(2, "query"),
        }
        for name, endpoint in wanted.items():
            check_exposure(endpoint, options.curve, options.insecure_plaintext, "publishers.zmq")
            check_free(endpoint, f"publishers.zmq.{name}")
        return wanted

    def lend_queries(self, queries: Queries) -> None:
        """Take what clients may ask the chain to look for; before `open`."""
        self._queries = queries

    def open(self) -> None:
        """Bind the three sockets.

        Raises:
            EndpointError: An endpoint is in use, impossible, or open to the network without encryption.
        """
        options = self._options
        wanted = self.check()
        self._owner = threading.get_ident()
        self._context = open_context()
        try:
            if options.curve.key_file:
                self._door = Door(self._context, options.curve)
            # XPUB is PUB to its subscribers; here it tells what they subscribe to.
            self._events = make_socket(self._context, zmq.XPUB)
            state = make_socket(self._context, zmq.XPUB)
            query = make_socket(self._context, zmq.ROUTER)
            query.sndhwm = _ANSWERS
            for socket in (self._events, state):
                socket.sndhwm = options.send_queue_messages
                socket.setsockopt(zmq.SNDBUF, options.send_buffer_bytes)
            self._subscriptions = Subscriptions(self._events)
            state_subscriptions = Subscriptions(state)
            self._bind(self._events, "events", wanted, SUBSCRIPTION_BYTES)
            self._bind(state, "state", wanted, SUBSCRIPTION_BYTES)
            self._bind(query, "query", wanted, MAX_REQUEST_BYTES)
        except BaseException:
            self.close()
            raise
        self._desk = QueryDesk(query, self._history, self._numbering, self._queries)
        self._states = StateFeed(
            state,
            state_subscriptions,
            self._history,
            self._tenant,
            self._numbering.epoch,
            options.state_interval_s,
            options.encoding,
        )
        self._states.start()

    def publish(self, events: Sequence[Event]) -> None:
        """Send events in order; a subscriber whose queue is full misses them, none is waited for."""
        assert self._owner == threading.get_ident(), "sockets belong to the thread that opened them"
        now_s = time.monotonic()
        encoding = self._options.encoding
        send = self._events.send
        for event in events:
            topic, wire = self._numbering.number(event)
            message = encode(wire, encoding)
            send(topic.frame, zmq.SNDMORE | zmq.NOBLOCK)
            send(message, zmq.NOBLOCK)
            self._history.add(wire, message, now_s)
            self._desk.published_bytes += len(message)

    def tick(self) -> None:
        """Let clients in, answer queries, send heartbeats that are due."""
        assert self._owner == threading.get_ident(), "sockets belong to the thread that opened them"
        if self._door is not None:
            self._door.serve()
            self._desk.refused_clients = self._door.refused_clients
        for connections in self._connections:
            connections.serve(0 if self._door is None else self._door.rebinds)
        self._subscriptions.serve()
        self._desk.serve()
        now_s = time.monotonic()
        since_s = now_s - self._beat_s
        if since_s >= self._options.heartbeat_s or (self._desk.is_beat_wanted and since_s >= _LEAST_BEAT_S):
            self._beat_s = now_s
            self._desk.is_beat_wanted = False
            for call, channel in self._history.prune(now_s):
                self._numbering.forget(call, channel)
                if channel is None:
                    self._heartbeat_topics.pop(call, None)
            self._begin_heartbeats(now_s)
        self._send_call_heartbeats()

    def close(self) -> None:
        """Give the last events a moment to leave, then free everything."""
        if self._context is None:
            return
        if self._states is not None:
            self._states.stop()
        self._context.destroy(linger=self._options.linger_ms)
        self._context = None
        self._door = None

    def _bind(self, socket: Socket, key: str, wanted: dict[str, Endpoint], max_message_bytes: int) -> None:
        self._connections.append(Connections(socket, self._options.max_clients))
        self.endpoints[key] = bind(socket, wanted[key], max_message_bytes, self._door, f"publishers.zmq.{key}")

    def _begin_heartbeats(self, now_s: float) -> None:
        calls = {record.call: record.pub_seq for record in self._history.active(now_s)}
        self._send_heartbeat(heartbeat_topic(self._tenant).encode(), None, calls, {})
        if not self._to_beat:  # those of the last time have gone out
            self._to_beat.extend(("", *calls))

    def _send_call_heartbeats(self) -> None:
        until_s = time.monotonic() + _BEATS_S
        while self._to_beat:
            call = self._to_beat.popleft()
            topic = self._heartbeat_topics.get(call)
            if topic is None:
                topic = self._heartbeat_topics[call] = heartbeat_topic(self._tenant, call).encode()
            if self._subscriptions.wants(topic):
                self._send_heartbeat(topic, call, {}, self._numbering.seqs(call))
            if time.monotonic() > until_s:
                return

    def _send_heartbeat(self, topic: bytes, call: str | None, calls: dict[str, int], seqs: dict[str, int]) -> None:
        beat = Heartbeat(
            schema=HEARTBEAT_SCHEMA,
            epoch=self._numbering.epoch,
            pub_seq=self._numbering.pub_seq,
            t_pub_ms=utc_ms(time.time_ns()),
            interval_ms=self._options.heartbeat_s * 1000.0,
            call=call,
            calls=calls,
            seqs=seqs,
        )
        self._events.send_multipart([topic, encode(beat, self._options.encoding)], zmq.NOBLOCK)
