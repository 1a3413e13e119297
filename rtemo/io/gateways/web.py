"""WebGateway: a gateway that is a WebSocket server; its handshakes, limits and time-outs are those of `websockets`."""

import logging
import ssl
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from rtemo.api import ConfigError, RtemoError
from rtemo.api.trouble import describe
from rtemo.io.endpoints import Endpoint
from rtemo.io.gateways.connection import Connection
from rtemo.io.gateways.gateway import Gateway, need
from rtemo.io.gateways.options import WebOptions

if TYPE_CHECKING:
    from websockets.asyncio.server import Server, ServerConnection
    from websockets.http11 import Request, Response
    from websockets.typing import Subprotocol

_MAX_MESSAGE_BYTES = 65_536
_MAX_QUEUED_MESSAGES = 32
_PING_S = 20.0
_NORMAL, _POLICY = 1000, 1008
_FAULTS = {  # by the code that `websockets` closes with
    1002: "sent what is no frame of a WebSocket",
    1007: "sent text that is no UTF-8",
    1009: f"sent a message of more than {_MAX_MESSAGE_BYTES} bytes",
}


class WebConnection(Connection):
    """A peer on a WebSocket.

    Args:
        socket: The WebSocket.
    """

    def __init__(self, socket: "ServerConnection") -> None:
        super().__init__(*_address(socket))
        self.socket = socket

    async def hang_up(self, reason: str, is_broken: bool) -> None:
        """Close it; see `Connection.hang_up`."""
        text = reason.encode()[:120].decode("utf-8", "ignore")
        await self.socket.close(_POLICY if is_broken else _NORMAL, text)

    @property
    def waiting_bytes(self) -> int:
        """See `Connection.waiting_bytes`."""
        return self.socket.transport.get_write_buffer_size()

    def post(self, message: str | bytes) -> None:
        """Send a text or binary message; see `Connection.post`."""
        from websockets.asyncio.server import broadcast

        broadcast((self.socket,), message)

    def cut_off(self) -> None:
        """Close it without a word; see `Connection.cut_off`."""
        self.socket.transport.abort()


class WebGateway(Gateway):
    """Takes WebSockets; what is said on them is the protocol's.

    Args:
        options: Endpoint, certificate, times and limits.
        endpoint: Where to bind.
        reorder_s: See `Gateway`.
    """

    def __init__(self, options: WebOptions, endpoint: str, reorder_s: float = 0.0) -> None:
        super().__init__(options, endpoint, reorder_s)
        self._web = options
        self._server: Server | None = None
        self._coming: dict[ServerConnection, None] = {}  # before their handshake, the one that came first in front

    def check(self) -> Endpoint:
        """See `Gateway.check`."""
        need("websockets", "telephony", f"the source {self.name!r}")
        if self._web.certificate_file:
            self._context()
        return super().check()

    async def listen(self, host: str, port: int) -> int:
        """Bind; returns the port."""
        from websockets.asyncio.server import serve

        from rtemo.io.gateways.polite_connection import PoliteConnection

        quiet = logging.getLogger("rtemo.gateways.websockets")  # what peers do wrong is told by `complain`
        quiet.setLevel(logging.CRITICAL)
        make: Any = partial(PoliteConnection, coming=self._coming, turn_away=self._turn_away)
        secure: dict[str, Any] = {}
        if self._is_encrypted():
            secure = {"ssl": self._context(), "ssl_handshake_timeout": self._web.hello_s}
        self._server = await serve(
            self._converse,
            host,
            port,
            process_request=self._screen,
            open_timeout=self._web.hello_s,
            ping_interval=_PING_S,
            ping_timeout=_PING_S,
            close_timeout=1.0,
            max_size=_MAX_MESSAGE_BYTES,
            max_queue=_MAX_QUEUED_MESSAGES,
            compression=None,
            select_subprotocol=_any_subprotocol,
            server_header=None,
            logger=quiet,
            create_connection=make,
            **secure,
        )
        address = next(iter(self._server.sockets)).getsockname()
        return int(address[1])

    async def hang_up(self) -> None:
        """Close every connection."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    def refusal(self, request: "Request") -> str:
        """Say why a handshake is turned away, or nothing."""
        return ""

    def connect(self, socket: "ServerConnection") -> WebConnection:
        """Make what is known about a peer."""
        return WebConnection(socket)

    async def converse(self, connection: WebConnection) -> None:
        """Speak the protocol until it is over.

        Raises:
            PeerError: The peer does what the protocol does not allow.
        """
        raise NotImplementedError

    async def _converse(self, socket: "ServerConnection") -> None:
        from websockets.exceptions import ConnectionClosed

        connection = self.connect(socket)
        self.admit(connection)
        try:
            await self.converse(connection)
        except ConnectionClosed:
            pass  # its streams wait to be taken up again
        except RtemoError as error:
            self.break_off(connection, error.problem)
        except Exception as error:
            self.break_off(connection, f"could not be served ({describe(error)})")
        finally:
            if not connection.is_broken and (fault := _fault(socket)):
                self.counts.broken += 1
                self.complain(connection.peer, fault)
            self.release(connection)
            if connection.closing is not None:
                await connection.closing  # with its reason, before the server closes it without one

    def _screen(self, socket: "ServerConnection", request: "Request") -> "Response | None":
        """Turn away whom there is no room for, or who may not come in, before the handshake."""
        self._coming.pop(socket, None)
        host, port = _address(socket)
        status, problem = 503, self.turned_away()
        if not problem:
            status = 403
            try:
                problem = self.refusal(request)
            except Exception as error:  # a header twice, or with signs that none has
                problem = f"came with headers that cannot be read ({describe(error)})"
        if not problem:
            return None
        self.refuse(f"{host}:{port}", problem)
        return socket.respond(status, f"{problem}\n")

    def _turn_away(self, socket: "ServerConnection", problem: str) -> None:
        host, port = _address(socket)
        self.refuse(f"{host}:{port}", problem)

    def _is_encrypted(self) -> bool:
        return bool(self._web.certificate_file)

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._web.certificate_file, self._web.certificate_key_file or None)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"the certificate of the source {self.name!r} cannot be read ({error})",
                f"correct sources.{self.name}.certificate_file and certificate_key_file",
            ) from None
        return context


def _fault(socket: "ServerConnection") -> str:
    """Say what a peer did for which its WebSocket was closed below the protocol, or nothing."""
    said = socket.protocol.close_sent
    if said is None or said.code not in _FAULTS:
        return str(getattr(socket, "fault", ""))  # of a PoliteConnection
    return f"{_FAULTS[said.code]} ({said.reason})" if said.reason else _FAULTS[said.code]


def _address(socket: "ServerConnection") -> tuple[str, int]:
    host, port = (socket.remote_address or ("?", 0))[:2]
    return host, port


def _any_subprotocol(socket: "ServerConnection", offered: "Sequence[Subprotocol]") -> "Subprotocol | None":
    """Take what the peer offers first: some do not go on without one."""
    return offered[0] if offered else None
