"""BoundEdge: an edge whose clients connect to one ZeroMQ socket."""

from collections.abc import Mapping
from typing import ClassVar, Protocol

import zmq

from rtemo.io.connections import Connections
from rtemo.io.curve import Door
from rtemo.io.endpoints import Endpoint, parse_endpoint
from rtemo.io.sockets import Context, Socket, bind, check_exposure, check_free, make_socket, open_context
from rtemo.io.zmq_options import CurveOptions


class BoundOptions(Protocol):
    """What every such edge can be told."""

    @property
    def curve(self) -> CurveOptions:
        """Encryption and the clients that may connect."""

    @property
    def insecure_plaintext(self) -> bool:
        """Whether it may be open to the network without encryption."""

    @property
    def max_clients(self) -> int:
        """Most connections."""


class BoundEdge:
    """Checks where it is to be reached, binds there, and lets clients in; the socket belongs to the thread that binds.

    Args:
        address: Endpoint, as it is configured.
        options: Who may connect.

    Attributes:
        endpoint: As bound; None until then.
    """

    section: ClassVar[str]
    """Table of the configuration."""
    reached_as: ClassVar[str]
    """What is reached there, for people."""

    def __init__(self, address: str, options: BoundOptions) -> None:
        self.endpoint: Endpoint | None = None
        self._address = address
        self._access = options
        self._context: Context | None = None
        self._door: Door | None = None
        self._connections: Connections
        self._socket: Socket

    @property
    def endpoints(self) -> Mapping[str, object]:
        """Where it is reached, by name, once it is open."""
        return {} if self.endpoint is None else {self.reached_as: self.endpoint}

    @property
    def is_encrypted(self) -> bool:
        """Whether it reads lists of clients that may connect."""
        return bool(self._access.curve.key_file)

    def check(self) -> Endpoint:
        """Tell the endpoint, before the seconds of warming up.

        Raises:
            EndpointError: It is in use, impossible, or open to the network without encryption.
        """
        endpoint = parse_endpoint(self._address)
        check_exposure(endpoint, self._access.curve, self._access.insecure_plaintext, self.section)
        check_free(endpoint, f"{self.section}.endpoint")
        return endpoint

    def _make(self, kind: int, most_sockets: int = 0) -> Socket:
        """Make the socket, which may then be given options, and everything that watches it.

        Raises:
            EndpointError: The list of clients cannot be read.
        """
        self._context = open_context()
        if most_sockets:
            self._context.set(zmq.MAX_SOCKETS, most_sockets)
        if self.is_encrypted:
            self._door = Door(self._context, self._access.curve)
        self._socket = make_socket(self._context, kind)
        self._connections = Connections(self._socket, self._access.max_clients)
        return self._socket

    def _bind(self, endpoint: Endpoint, max_message_bytes: int) -> None:
        """Bind the socket.

        Raises:
            EndpointError: The endpoint is in use, or not of this machine.
        """
        self.endpoint = bind(self._socket, endpoint, max_message_bytes, self._door, f"{self.section}.endpoint")

    def _let_in(self) -> None:
        """Let clients in whose keys are known, and turn away those for whom there is no room."""
        if self._door is not None:
            self._door.serve()
        self._turn_away()

    def _turn_away(self) -> None:
        """Turn away those for whom there is no room."""
        self._connections.serve(0 if self._door is None else self._door.rebinds)

    def _free(self, linger_ms: int) -> None:
        """Give the last messages a moment to leave, then free the socket; may be called twice."""
        if self._context is not None:
            self._context.destroy(linger=linger_ms)
            self._context = None
            self._door = None
