"""The web server: `python -m rtemo.io.web.server LINK LISTENING`, two descriptors; it ends with the engine."""

import asyncio
import socket
import sys
import time

import msgspec
import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import WebSocketException

from rtemo.io.allowance import Allowance
from rtemo.io.bites import bites_of, read_in_bites
from rtemo.io.web.access import Tokens
from rtemo.io.web.app import Application
from rtemo.io.web.gate import Gate
from rtemo.io.web.hub import Hub
from rtemo.io.web.link import Opening, read_frame
from rtemo.io.web.metrics import Metrics
from rtemo.io.web.options import WebOptions
from rtemo.io.web.patience import Patience

_MESSAGE_BYTES = 16_384
_FRAMES = 256  # taken at once before clients have a turn
_FRAMES_PER_S, _FRAME_BURST = 50.0, 500.0
_GRACE_S = 0.3
_LOOK_S = 0.5


class _WebSocket(WebSocketsSansIOProtocol):
    """Gives up who breaks the protocol, or floods with frames, of which none means anything.

    Pings are answered as long as the answers are taken: they would pile up without a bound.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        read_in_bites(transport)
        self._heard = Allowance(_FRAMES_PER_S, _FRAME_BURST, time.monotonic())

    def data_received(self, data: bytes) -> None:
        # What comes in one piece with a frame that ends the connection finds it closing, and raises: a stranger could
        # fill the log with tracebacks.
        try:
            for bite in bites_of(data, self.transport):
                super().data_received(bite)
        except (WebSocketException, ValueError, AssertionError):
            self.transport.abort()

    def handle_events(self) -> None:
        if self._heard.take(time.monotonic(), len(self.conn.events)):
            super().handle_events()
        else:
            self.transport.abort()

    def handle_ping(self) -> None:
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()


async def serve(link: socket.socket, listening: socket.socket) -> None:
    """Serve until the link ends."""
    reader, writer = await asyncio.open_connection(sock=link)
    first = await read_frame(reader)
    if first is None:
        return
    opening = msgspec.json.decode(first.message, type=Opening)
    options = msgspec.convert(opening.options, WebOptions)
    tokens = Tokens(options.tokens)
    hub = Hub(options, tokens)
    hub.live.epoch, hub.live.purpose = opening.epoch, opening.purpose
    metrics = Metrics(hub)
    hub.on_event = metrics.count
    gate = Gate(Application(hub, metrics).asgi, options, tokens)
    metrics.engine.gate = gate
    server = uvicorn.Server(
        uvicorn.Config(
            gate,
            lifespan="off",
            http="h11",  # what else may be installed takes heads of any size
            ws=_WebSocket,
            log_level="critical",  # what strangers send is counted, not written down
            access_log=False,
            server_header=False,
            ws_max_size=_MESSAGE_BYTES,
            ws_per_message_deflate=False,  # rows change all the time: it would cost more than it saves
            h11_max_incomplete_event_size=_MESSAGE_BYTES,
            timeout_graceful_shutdown=0,
            ssl_certfile=options.certificate or None,
            ssl_keyfile=options.certificate_key or None,
            proxy_headers=False,
        )
    )

    async def follow() -> None:
        taken = 0
        while (frame := await read_frame(reader)) is not None:
            hub.take(frame)
            taken += 1
            if taken % _FRAMES == 0:
                await asyncio.sleep(0)  # frames that are there already are read without a pause
        await asyncio.sleep(_GRACE_S)  # the last events are still on their way to clients
        server.should_exit = True
        server.force_exit = True

    async def look() -> None:
        patience = Patience(options.max_clients)
        while True:
            await asyncio.sleep(_LOOK_S)
            patience.look(server.server_state.connections, time.monotonic())

    tasks = [asyncio.create_task(task) for task in (follow(), hub.run(), look())]
    try:
        await server.serve(sockets=[listening])
    finally:
        for task in tasks:
            task.cancel()
        writer.close()


def main() -> int:
    """Serve the descriptors that the arguments name."""
    link, listening = (socket.socket(fileno=int(number)) for number in sys.argv[1:3])
    asyncio.run(serve(link, listening))
    return 0


if __name__ == "__main__":
    sys.exit(main())
