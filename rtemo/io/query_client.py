"""QueryClient: asks a publisher for snapshots, replays and lists."""

import itertools
import math
import time
from typing import Any

import zmq

from rtemo.api.errors import EndpointError
from rtemo.io.curve import ClientKeys
from rtemo.io.endpoints import Endpoint
from rtemo.io.query_wire import Op, QueryReply, QueryRequest, decode_reply
from rtemo.io.sockets import UNREACHABLE_MEND, Context, connect, make_socket
from rtemo.io.wire import WireError, WireEvent, decode_event, encode, utc_ms

_RETRY_S = 0.05

Answer = tuple[QueryReply, list[WireEvent[Any]]]


class QueryClient:
    """The asking end of a publisher's query socket.

    Args:
        context: Made by `open_context`.
        endpoint: The publisher's query endpoint.
        curve: Keys; None for plain text.

    Attributes:
        clock_offset_ms: How far the publisher's clock is ahead of ours, by its last answer; half of the round
            trip is the error.
        socket: For pollers; belongs to the thread that asks.
    """

    def __init__(self, context: Context, endpoint: Endpoint, curve: ClientKeys | None = None) -> None:
        self.clock_offset_ms = 0.0
        self._endpoint = endpoint
        self._ids = itertools.count(1)
        self._sent_ms: dict[int, float] = {}
        self.socket = make_socket(context, zmq.DEALER)
        self.socket.setsockopt(zmq.IMMEDIATE, 1)  # queue no question for a publisher that is not there
        connect(self.socket, endpoint, curve)

    def send(self, op: Op, call: str | None = None, after_pub_seq: int = 0, text: str | None = None) -> int | None:
        """Send a request and return its id, or None while nobody is connected."""
        request = QueryRequest(op=op, id=next(self._ids), call=call, after_pub_seq=after_pub_seq, text=text)
        try:
            self.socket.send(encode(request), zmq.NOBLOCK)
        except zmq.Again:
            return None
        if len(self._sent_ms) > 64:  # answers that never came
            self._sent_ms.clear()
        self._sent_ms[int(request.id or 0)] = utc_ms(time.time_ns())
        return int(request.id or 0)

    def receive(self) -> list[Answer]:
        """Take the answers that are there; never blocks."""
        answers: list[Answer] = []
        while True:
            try:
                header, *frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return answers
            try:
                reply = decode_reply(header)
                events = [decode_event(frame) for frame in frames]
            except WireError:
                continue  # somebody else's protocol at this port; the time-out will say so
            sent_ms = self._sent_ms.pop(reply.id, None) if isinstance(reply.id, int) else None
            if sent_ms is not None:
                self.clock_offset_ms = reply.t_pub_ms - (sent_ms + utc_ms(time.time_ns())) / 2.0
            answers.append((reply, events))

    def ask(
        self,
        op: Op,
        call: str | None = None,
        after_pub_seq: int = 0,
        timeout_s: float = 5.0,
        text: str | None = None,
    ) -> Answer:
        """Send a request and wait for its answer.

        Raises:
            EndpointError: No answer came in time, or the publisher refused the request.
        """
        deadline_s = time.monotonic() + timeout_s
        wanted = None
        while (left_s := deadline_s - time.monotonic()) > 0:
            if wanted is None:
                wanted = self.send(op, call, after_pub_seq, text)
            self.socket.poll(math.ceil(min(left_s, _RETRY_S if wanted is None else left_s) * 1000))
            for reply, events in self.receive():
                if reply.id != wanted:
                    continue
                if reply.error is not None:
                    raise EndpointError(reply.error.problem, reply.error.mend)
                return reply, events
        raise EndpointError(f"no answer from {self._endpoint} within {timeout_s:g} s", UNREACHABLE_MEND)

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(linger=0)
