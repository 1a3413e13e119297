"""PortDesk: where telephone systems ask for RTP ports, and give them back."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import ClassVar

import zmq

from rtemo.api import CapacityError, NameTakenError, PolicyError, RtemoError
from rtemo.io.bound_edge import BoundEdge
from rtemo.io.gateways.options import PortsOptions
from rtemo.io.gateways.ports_wire import (
    MAX_REQUEST_BYTES,
    PORTS_SCHEMA,
    Code,
    PortsProblem,
    PortsReply,
    PortsRequest,
    decode_request,
)
from rtemo.io.sockets import Socket
from rtemo.io.sources.client_limits import ClientLimits
from rtemo.io.wire import WireError, encode

_ANSWERS = 16  # held for a client that asks and does not read
_REQUESTS = 16  # taken in one turn
_MOST_OPEN = 64  # requests whose streams are being opened
_PRUNE_S = 10.0


class PortRefusedError(RtemoError):
    """A request for ports that is not met.

    Args:
        code: For programs.
        problem: What is wrong.
        mend: What to do.
    """

    def __init__(self, code: Code, problem: str, mend: str) -> None:
        super().__init__(problem, mend)
        self.code = code


class PortDesk(BoundEdge):
    """Answers who asks at a ROUTER socket, which belongs to the thread of the gateway.

    A client is a CURVE key, or where there is none a connection. One that asks too much is told so, and costs itself.

    Args:
        options: Endpoint and who may connect.
        answer: Meets a request of a client; a PortRefusedError, or another RtemoError, where it does not.
    """

    section: ClassVar[str] = "sources.rtp.ports"
    reached_as: ClassVar[str] = "ports"

    def __init__(self, options: PortsOptions, answer: Callable[[PortsRequest, bytes], Awaitable[PortsReply]]) -> None:
        super().__init__(options.endpoint, options)
        self._answer = answer
        self._limits = ClientLimits(options.asks_per_s, options.ask_burst)
        self._tasks: set[asyncio.Task[None]] = set()
        self._pruned_s = 0.0

    def open(self) -> None:
        """Bind the socket.

        Raises:
            EndpointError: It is in use, impossible, or open to the network without encryption.
        """
        endpoint = self.check()
        try:
            self._make(zmq.ROUTER).sndhwm = _ANSWERS
            self._bind(endpoint, MAX_REQUEST_BYTES)
        except BaseException:
            self.close()
            raise

    def serve(self, loop: asyncio.AbstractEventLoop) -> None:
        """Take who has asked; never blocks. Answers are made on the loop, since streams are opened for them."""
        self._let_in()
        now_s = time.monotonic()
        if now_s - self._pruned_s > _PRUNE_S:
            self._pruned_s = now_s
            self._limits.prune(now_s)
        for _ in range(_REQUESTS):
            if len(self._tasks) >= _MOST_OPEN:
                return
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK, copy=False)
            except zmq.Again:
                return
            task = loop.create_task(self._serve(self._socket, [frame.bytes for frame in frames], _client(frames)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Free the socket; may be called twice."""
        self._free(linger_ms=100)

    async def _serve(self, socket: Socket, frames: list[bytes], client: bytes) -> None:
        # A REQ client puts an empty frame between its address and the request, and wants it back.
        envelope = frames[:2] if len(frames) > 2 and not frames[1] else frames[:1]
        reply = await self._reply(frames[-1], client)
        with contextlib.suppress(zmq.ZMQError):  # the client is gone or does not read
            socket.send_multipart([*envelope, encode(reply)], zmq.NOBLOCK)

    async def _reply(self, message: bytes, client: bytes) -> PortsReply:
        now_s = time.monotonic()
        asks = self._limits.of(client, now_s).opens
        if not asks.take(now_s):
            mend = f"try again in {asks.wait_s():.1f} s"
            return _refused("", None, PortRefusedError("rate", "this client asks too often", mend))
        try:
            request = decode_request(message)
        except WireError as error:
            return _refused("", None, error)
        try:
            reply = await self._answer(request, client)
        except RtemoError as error:
            return _refused(request.op, request.id, error)
        reply.id = request.id
        return reply


def _client(frames: list[zmq.Frame]) -> bytes:
    """Name a client by its key, which it has on every connection; by its connection where it has none."""
    try:
        key = frames[-1].get("User-Id")
    except zmq.ZMQError:
        key = ""
    return str(key).encode() if key else frames[0].bytes


def _refused(op: str, id: int | str | None, error: RtemoError) -> PortsReply:
    code = _code(error)
    mend = error.mend or ("try again later" if code == "capacity" else "correct the request")
    problem = PortsProblem(code=code, problem=error.problem, mend=mend)
    return PortsReply(schema=PORTS_SCHEMA, op=op, ok=False, id=id, error=problem)


def _code(error: RtemoError) -> Code:
    if isinstance(error, PortRefusedError):
        return error.code
    if isinstance(error, PolicyError):
        return "policy"
    if isinstance(error, NameTakenError):
        return "in_use"
    return "capacity" if isinstance(error, CapacityError) else "bad_request"
