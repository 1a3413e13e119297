"""QueryDesk: answers what subscribers ask: last values, replays, lists, health, and queries in words."""

import contextlib
import time
from concurrent.futures import Future
from typing import Literal, NamedTuple, Protocol, runtime_checkable

import zmq

from rtemo.api import ConfigError, Queries
from rtemo.io.publishers.history import CallRecord, History
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.query_wire import (
    REPLY_SCHEMA,
    CallSummary,
    PublisherHealth,
    QueryProblem,
    QueryReply,
    QueryRequest,
    decode_request,
)
from rtemo.io.sockets import Socket
from rtemo.io.wire import WireError, encode, utc_ms

_REPLY_BYTES = 1 << 20
_SERVE_S = 0.005
"""Time given to queries in one turn: events come first."""


@runtime_checkable
class DistantQueries(Queries, Protocol):
    """Queries of other processes: whether a change is made they tell later."""

    def change(self, op: Literal["ask", "forget"], text: str) -> "Future[str]":
        """Ask for a change; gives the query as it is told, or a ConfigError, within a bound."""


class _Waiting(NamedTuple):
    envelope: list[bytes]
    request: QueryRequest
    answer: "Future[str]"


class QueryDesk:
    """Serves a ROUTER socket from the history; a client that does not read its answer loses it, nobody waits.

    Attributes:
        is_beat_wanted: Whether somebody has asked for a heartbeat; the publisher resets it.
        published_bytes: For the health report; kept by the publisher.
        refused_clients: For the health report; kept by the publisher.

    Args:
        socket: A bound ROUTER.
        history: What was published.
        numbering: Of what was published.
        queries: What clients may ask the chain to look for; None where it looks for nothing in words.
    """

    def __init__(self, socket: Socket, history: History, numbering: Numbering, queries: Queries | None = None) -> None:
        self._socket = socket
        self._history = history
        self._numbering = numbering
        self._queries = queries
        self._waiting: list[_Waiting] = []
        self._since_s = time.monotonic()
        self.is_beat_wanted = False
        self.published_bytes = 0
        self.refused_clients = 0

    def serve(self) -> None:
        """Answer who is waiting, for a few milliseconds at most; never blocks."""
        for waiting in [one for one in self._waiting if one.answer.done()]:
            self._waiting.remove(waiting)
            self._send(waiting.envelope, self._changed(waiting.request, waiting.answer))
        until_s = time.monotonic() + _SERVE_S
        while time.monotonic() < until_s:
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            # A REQ client puts an empty frame between its address and the request, and wants it back.
            envelope = frames[:2] if len(frames) > 2 and not frames[1] else frames[:1]
            answer = self._answer(envelope, frames[-1])
            if answer:
                self._send(envelope, answer)

    def _send(self, envelope: list[bytes], answer: list[bytes]) -> None:
        with contextlib.suppress(zmq.ZMQError):  # the client is gone or does not read
            self._socket.send_multipart(envelope + answer, zmq.NOBLOCK)

    def _answer(self, envelope: list[bytes], message: bytes) -> list[bytes]:
        """Give the answer; none yet where others have to be asked."""
        try:
            request = decode_request(message)
        except WireError as error:
            reply = self._reply("", ok=False)
            reply.error = QueryProblem(problem=error.problem, mend=error.mend)
            return [encode(reply)]
        reply = self._reply(request.op)
        reply.id = request.id
        frames: list[bytes] = []
        if request.op == "beat":
            self.is_beat_wanted = True
        elif request.op == "health":
            reply.health = self._health()
        elif request.op in ("ask", "forget") and isinstance(self._queries, DistantQueries):
            change = self._queries.change(request.op, request.text or "")
            self._waiting.append(_Waiting(envelope, request, change))
            return []
        elif request.op in ("queries", "ask", "forget"):
            reply.error = self._about_queries(request, reply)
            reply.ok = reply.error is None
        else:
            frames = self._about_calls(request, reply)
        return [encode(reply), *frames]

    def _changed(self, request: QueryRequest, answer: "Future[str]") -> list[bytes]:
        """Answer who has asked for a change that others were asked to make."""
        assert self._queries is not None, "they were asked"
        reply, error = self._reply(request.op), answer.exception()
        reply.id = request.id
        if isinstance(error, ConfigError):
            reply.ok, reply.error = False, QueryProblem(problem=error.problem, mend=error.mend)
        else:
            reply.queries = list(self._queries.texts())
        return [encode(reply)]

    def _about_queries(self, request: QueryRequest, reply: QueryReply) -> QueryProblem | None:
        queries = self._queries
        if queries is None:
            return QueryProblem(
                problem="the chain looks for nothing in words", mend="put a plugin into it that scores voices by words"
            )
        try:
            if request.op == "ask":
                queries.ask(request.text or "")
            elif request.op == "forget":
                queries.forget(request.text or "")
        except ConfigError as error:
            return QueryProblem(problem=error.problem, mend=error.mend)
        reply.queries = list(queries.texts())
        return None

    def _about_calls(self, request: QueryRequest, reply: QueryReply) -> list[bytes]:
        records = self._records(request)
        if records is None:
            reply.ok = False
            reply.error = QueryProblem(
                problem=f"there is no call {request.call!r}", mend="`list` names the calls that are known"
            )
            return []
        if request.op == "list":
            reply.calls = [_summary(record) for record in records]
            return []
        if request.op == "snapshot":
            reply.seqs = {topic: seq for record in records for topic, seq in self._numbering.seqs(record.call).items()}
            latest = [item for record in records for item in self._history.snapshot(record)]
            latest.sort(key=lambda item: item.event.pub_seq)
            return [item.message for item in latest]
        if request.call is None:
            reply.ok = False
            reply.error = QueryProblem(problem="`replay` needs a `call`", mend="`list` names them")
            return []
        (record,) = records
        kept = self._history.replay(record, request.after_pub_seq, request.limit, _REPLY_BYTES)
        reply.more = bool(kept) and kept[-1].pub_seq < record.pub_seq
        reply.is_complete = request.after_pub_seq >= record.dropped_pub_seq
        return [item.message for item in kept]

    def _records(self, request: QueryRequest) -> list[CallRecord] | None:
        calls = self._history.calls
        if request.call is not None:
            return [calls[request.call]] if request.call in calls else None
        engine = [calls[""]] if request.op == "snapshot" and "" in calls else []
        return engine + list(self._history.active(time.monotonic()))

    def _reply(self, op: str, ok: bool = True) -> QueryReply:
        return QueryReply(
            schema=REPLY_SCHEMA,
            op=op,
            ok=ok,
            epoch=self._numbering.epoch,
            pub_seq=self._numbering.pub_seq,
            t_pub_ms=utc_ms(time.time_ns()),
        )

    def _health(self) -> PublisherHealth:
        records = [record for call, record in self._history.calls.items() if call]
        return PublisherHealth(
            uptime_s=time.monotonic() - self._since_s,
            published_events=self._numbering.pub_seq,
            published_bytes=self.published_bytes,
            calls=len(records),
            open_calls=sum(record.is_open for record in records),
            replay_bytes=self._history.kept_bytes,
            refused_clients=self.refused_clients,
        )


def _summary(record: CallRecord) -> CallSummary:
    return CallSummary(
        call=record.call,
        channels=sorted(record.channels),
        is_open=record.is_open,
        pub_seq=record.pub_seq,
        replay_after_pub_seq=record.dropped_pub_seq,
    )
