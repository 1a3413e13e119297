"""SenderLink: the connection that the streams of an `AudioSender` share."""

import math
import time
from typing import Protocol

import zmq

from rtemo.api.errors import EndpointError
from rtemo.io.audio_wire import Error, Request, Response, decode_response, encode_control
from rtemo.io.curve import ClientKeys
from rtemo.io.endpoints import Endpoint
from rtemo.io.sockets import UNREACHABLE_MEND, connect, make_socket, open_context
from rtemo.io.wire import WireError

_SMALL_BYTES = 4096  # below this ZeroMQ copies faster than it keeps track of who owns the memory
_LINGER_MS = 500


class Listener(Protocol):
    """One end of a conversation about a stream."""

    def hear(self, response: Response) -> None:
        """Take what the server says about this stream."""

    def doubt(self) -> None:
        """Ask whether the stream is still open: the server has forgotten another one of this connection."""


class SenderLink:
    """Sends messages, and hands what the server says to the stream it is about.

    Args:
        endpoint: The server's ingest endpoint.
        timeout_s: How long to wait for an answer or for credit.
        curve: Keys; None for plain text.

    Attributes:
        listeners: (call, channel) → who hears about it.
    """

    def __init__(self, endpoint: Endpoint, timeout_s: float, curve: ClientKeys | None) -> None:
        self.timeout_s = timeout_s
        self.listeners: dict[tuple[str, str], Listener] = {}
        self._endpoint = endpoint
        self._context = open_context()
        self._socket = make_socket(self._context, zmq.DEALER)
        try:
            connect(self._socket, endpoint, curve)
        except BaseException:
            self._context.destroy(linger=0)
            raise

    def now_s(self) -> float:
        """Tell monotonic time."""
        return time.monotonic()

    def post(self, request: Request) -> None:
        """Send a control message, or leave it if the connection is full: it will be sent again."""
        try:
            self._socket.send(encode_control(request), zmq.NOBLOCK)
        except zmq.Again:
            return

    def send(self, packet: bytes, wait_s: float) -> bool:
        """Send a packet; False if the connection stayed full for `wait_s`."""
        try:
            if wait_s > 0 and not self._socket.poll(math.ceil(wait_s * 1000), zmq.POLLOUT):
                return False
            self._socket.send(packet, zmq.NOBLOCK, copy=len(packet) < _SMALL_BYTES)
        except zmq.Again:
            return False
        return True

    def listen(self, wait_s: float = 0.0) -> None:
        """Take what the server says, waiting up to `wait_s` for it."""
        if wait_s > 0:
            self._socket.poll(math.ceil(wait_s * 1000))
        while True:
            try:
                message = self._socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                response = decode_response(message)
            except WireError:
                continue  # of a later version; the time-out tells if it mattered
            listener = self.listeners.get((getattr(response, "call", ""), getattr(response, "channel", "")))
            if listener is not None:
                listener.hear(response)
            if isinstance(response, Error) and response.code == "not_open":
                for other in self.listeners.values():
                    other.doubt()

    def unreachable(self) -> EndpointError:
        """Make the error for a server that does not answer."""
        return EndpointError(f"no answer from {self._endpoint} within {self.timeout_s:g} s", UNREACHABLE_MEND)

    def close(self) -> None:
        """Let what was sent leave, within a bound, and close; may be called twice."""
        if not self._context.closed:
            self._context.destroy(linger=_LINGER_MS)
