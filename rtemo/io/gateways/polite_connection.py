"""PoliteConnection: a WebSocket whose peer costs nobody else anything; imported only where `websockets` is needed."""

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from websockets.asyncio.server import ServerConnection
from websockets.frames import DATA_OPCODES, Frame
from websockets.protocol import SEND_EOF

from rtemo.io.allowance import Allowance
from rtemo.io.bites import bites_of, read_in_bites

_MOST_COMING = 256
_GOODBYE_S = 1.0
_TLS_HANDSHAKE = b"\x16"
_SIDE_FRAMES_PER_S, _SIDE_FRAME_BURST = 500.0, 2_000.0


class PoliteConnection(ServerConnection):
    """A peer whose misbehaviour ends with itself.

    Of those before their handshake there are only so many; beyond it the one that has taken longest is cut off. So is
    one that takes nothing of what it is sent, since the answers to its pings would pile up, and one that sends more
    pings and pieces of messages than anybody needs: whole messages are held up by who reads them, these by nobody.

    Args:
        arguments: As `websockets` gives them.
        coming: Those before their handshake, the one that came first in front.
        turn_away: Told of one that has said something and gone without a handshake, and what was wrong.

    Attributes:
        fault: What the peer did wrong behind its handshake; empty while that is nothing.
    """

    def __init__(
        self,
        *arguments: object,
        coming: dict[ServerConnection, None],
        turn_away: Callable[[ServerConnection, str], None],
        **options: object,
    ) -> None:
        super().__init__(*arguments, **options)  # type: ignore[arg-type]
        self.fault = ""
        self._first_byte = b""
        self._is_ending = False
        self._coming = coming
        self._turn_away = turn_away
        self._side_frames = Allowance(_SIDE_FRAMES_PER_S, _SIDE_FRAME_BURST, time.monotonic())

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.Protocol`."""
        super().connection_made(transport)
        read_in_bites(transport)
        self._coming[self] = None
        if len(self._coming) > _MOST_COMING:
            first = next(iter(self._coming))
            del self._coming[first]
            first.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.Protocol`."""
        if self in self._coming:
            del self._coming[self]
            if self._first_byte:
                is_tls = self._first_byte == _TLS_HANDSHAKE
                self._turn_away(self, "speaks TLS to a plain port" if is_tls else "came without a WebSocket handshake")
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        self._first_byte = self._first_byte or data[:1]
        for bite in bites_of(data, self.transport):
            super().data_received(bite)
        if self.protocol.parser_exc is not None and not self._is_ending:
            self._is_ending = True
            self.loop.call_later(_GOODBYE_S, self.transport.abort)  # who is told of a wrong frame need not close

    def process_event(self, event: Any) -> None:
        """See `websockets`."""
        is_side = isinstance(event, Frame) and not (event.fin and event.opcode in DATA_OPCODES)
        if is_side and not self._side_frames.take(time.monotonic()):
            self._cut_off("sends far too many pings or pieces of messages")
        else:
            super().process_event(event)

    def pause_writing(self) -> None:
        """See `asyncio.Protocol`."""
        super().pause_writing()
        self._cut_off("takes nothing of what it is sent")

    def send_data(self) -> None:
        """See `websockets`; in one piece: a write to a connection that has just broken is a line in the log each."""
        parts = self.protocol.data_to_send()
        if self.transport.is_closing():
            return
        if whole := b"".join(parts):
            self.transport.write(whole)
        if SEND_EOF not in parts:
            return
        if not self.transport.can_write_eof():
            self.transport.close()
        elif not self.transport.is_closing():
            with contextlib.suppress(OSError, RuntimeError):
                self.transport.write_eof()

    def _cut_off(self, fault: str) -> None:
        self.fault = self.fault or fault
        self.transport.abort()
