"""Control: where workers are listed, added and removed while calls go on."""

import contextlib
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import msgspec
import zmq
from msgspec import Meta

from rtemo.api import ConfigError, RtemoError, WorkerState
from rtemo.api.errors import EndpointError
from rtemo.cluster.fleet import Fleet
from rtemo.cluster.renewal import Renewal
from rtemo.io.endpoints import Endpoint, parse_endpoint
from rtemo.io.sockets import UNREACHABLE_MEND, Context, Socket, bind, connect, make_socket, open_context
from rtemo.io.wire import encode

_REQUESTS = 16
_REQUEST_BYTES = 4_096


class ControlRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is to be done."""

    op: Literal["list", "add", "remove", "renew", "drain"]
    worker: Annotated[int, Meta(description="Which one, of `remove`.")] = 0


class ControlReply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How it went, and which workers there are."""

    ok: bool
    problem: str = ""
    mend: str = ""
    worker: Annotated[int, Meta(description="Number of the worker that was added.")] = 0
    workers: tuple[WorkerState, ...] = ()
    processes: Annotated[dict[str, int], Meta(description="Worker → number of its process.")] = {}
    nodes: Annotated[dict[str, str], Meta(description="Worker → its machine, of those that are on another one.")] = {}
    to_renew: Annotated[int, Meta(description="Workers that `renew` has still to replace.")] = 0


_REQUEST = msgspec.json.Decoder(ControlRequest)
_REPLY = msgspec.json.Decoder(ControlReply)


class Control:
    """Answers whoever may reach a socket file, which is who runs the server; it belongs to the thread of the fleet.

    Args:
        endpoint: ipc://PATH; a folder that only its owner can enter is the lock.
        fleet: The workers.
        renewal: Replaces them.
        drain: Has the server take no new calls.
    """

    def __init__(self, endpoint: str, fleet: Fleet, renewal: Renewal, drain: Callable[[], None]) -> None:
        self._wanted = endpoint
        self._fleet = fleet
        self._renewal = renewal
        self._drain = drain
        self._context: Context | None = None
        self._socket: Socket
        self.endpoint: Endpoint | None = None

    @property
    def endpoints(self) -> Mapping[str, object]:
        """Where it is reached, by name, once it is open."""
        return {} if self.endpoint is None else {"control": self.endpoint}

    def check(self) -> Endpoint:
        """Tell the endpoint.

        Raises:
            EndpointError: It is none of this machine.
        """
        endpoint = parse_endpoint(self._wanted)
        if endpoint.transport != "ipc":
            raise EndpointError(f"workers.control is {self._wanted}", "give a socket file, as ipc:///run/rtemo/control")
        return endpoint

    def open(self) -> None:
        """Bind the socket.

        Raises:
            EndpointError: It is in use, or none of this machine.
        """
        endpoint = self.check()
        self._context = open_context()
        try:
            self._socket = make_socket(self._context, zmq.ROUTER)
            self.endpoint = bind(self._socket, endpoint, _REQUEST_BYTES, None, "workers.control")
        except BaseException:
            self.close()
            raise

    def serve(self) -> None:
        """Answer who has asked; never blocks."""
        for _ in range(_REQUESTS):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            with contextlib.suppress(zmq.ZMQError):
                self._socket.send_multipart([*frames[:-1], encode(self._answer(frames[-1]))], zmq.NOBLOCK)

    def close(self) -> None:
        """Free the socket; may be called twice."""
        if self._context is not None:
            self._context.destroy(linger=100)
            self._context = None

    def _answer(self, message: bytes) -> ControlReply:
        try:
            request = _REQUEST.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return ControlReply(ok=False, problem=f"got no request: {error}", mend='send for example {"op": "list"}')
        added = 0
        try:
            if request.op == "add":
                added = self._fleet.add()
            elif request.op == "remove":
                self._fleet.remove(request.worker)
            elif request.op == "renew":
                self._renewal.begin()
            elif request.op == "drain":
                self._drain()
        except ConfigError as error:
            return ControlReply(ok=False, problem=error.problem, mend=error.mend)
        processes = {str(number): pid for number, pid in self._fleet.process_ids.items()}
        return ControlReply(
            ok=True,
            worker=added,
            workers=self._fleet.states,
            processes=processes,
            nodes={str(number): node for number, node in self._fleet.nodes.items()},
            to_renew=self._renewal.left,
        )


def ask(endpoint: str, op: str, worker: int = 0, timeout_s: float = 5.0) -> ControlReply:
    """Ask a front.

    Raises:
        EndpointError: Nobody answers there.
        RtemoError: It was not done; the text says why.
    """
    request = msgspec.convert({"op": op, "worker": worker}, ControlRequest)
    context = open_context()
    try:
        socket = make_socket(context, zmq.DEALER)
        connect(socket, parse_endpoint(endpoint), None)
        socket.send(encode(request))
        if not socket.poll(round(timeout_s * 1000)):
            raise EndpointError(f"no answer from {endpoint} within {timeout_s:g} s", UNREACHABLE_MEND)
        reply = _REPLY.decode(socket.recv())
    finally:
        context.destroy(linger=0)
    if not reply.ok:
        raise RtemoError(reply.problem, reply.mend)
    return reply
