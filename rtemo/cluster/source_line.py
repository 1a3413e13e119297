"""SourceLine: the front's end of the connection to the processes of its own sources, such as telephone gateways."""

import contextlib
from collections.abc import Callable

import zmq

from rtemo.io.audio_wire import MAX_MESSAGE_BYTES
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.relay_wire import BUNDLE_BYTES, Bundle, own_client, own_source, split
from rtemo.io.sockets import Context, Socket, bind, make_socket

_BUNDLES = 256
_RECEIVE_QUEUE = 2_000


class SourceLine:
    """Takes bundles of messages from sources, and gathers the answers to each.

    A source says its name as the address of its connection; within it every stream is a client. The socket lies in a
    folder that nobody else may enter, and belongs to the thread that opens it.

    Args:
        endpoint: ipc://PATH.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self._socket: Socket
        self._answers: dict[bytes, Bundle] = {}

    def open(self, context: Context) -> Socket:
        """Bind.

        Raises:
            EndpointError: There is no place for the socket.
        """
        self._socket = make_socket(context, zmq.ROUTER)
        self._socket.rcvhwm = _RECEIVE_QUEUE
        self._socket.setsockopt(zmq.ROUTER_HANDOVER, 1)  # to a process that takes the place of one that has died
        bind(self._socket, parse_endpoint(self.endpoint), MAX_MESSAGE_BYTES + 2 * BUNDLE_BYTES, None, "workers")
        return self._socket

    def take(self, take: Callable[[bytes, bytes, float], None], now_s: float) -> int:
        """Take bundles until there are none, within a bound; returns how many messages came."""
        messages = 0
        for _ in range(_BUNDLES):
            try:
                source, frame = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            for address, message in split(frame):
                take(own_client(source, address), message, now_s)
                messages += 1
        return messages

    def answer(self, client: bytes, message: bytes) -> None:
        """Put a message for a client with the others."""
        source, address = own_source(client)
        self._answers.setdefault(source, Bundle()).add(address, message)

    def flush(self) -> None:
        """Send what has been gathered."""
        for source, bundle in self._answers.items():
            if len(bundle):
                with contextlib.suppress(zmq.ZMQError):  # the source is gone
                    self._socket.send_multipart([source, bundle.take()], zmq.NOBLOCK)
