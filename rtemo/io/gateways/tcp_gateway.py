"""TcpGateway: what sources have in common whose peers bring a call over a plain TCP connection."""

import asyncio

from rtemo.io.gateways.gateway import Gateway
from rtemo.io.gateways.options import GatewayOptions


class TcpGateway(Gateway):
    """Listens on a port; what a connection says is up to `serve`.

    Args:
        options: Role, times and limits.
        endpoint: Where to listen.
    """

    def __init__(self, options: GatewayOptions, endpoint: str) -> None:
        super().__init__(options, endpoint)
        self._server: asyncio.Server | None = None

    async def listen(self, host: str, port: int) -> int:
        """Bind; returns the port."""
        self._server = await asyncio.start_server(self.serve, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def hang_up(self) -> None:
        """Close every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            await connection.hang_up("source closed", is_broken=False)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end."""
        raise NotImplementedError
