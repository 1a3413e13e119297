"""AudioSocketSource: calls that Asterisk brings over AudioSocket, a TCP connection for each."""

import asyncio
import socket
import time
from typing import ClassVar

from rtemo.api import RtemoError
from rtemo.io.gateways import audiosocket_wire as wire
from rtemo.io.gateways.connection import Connection
from rtemo.io.gateways.options import AudioSocketOptions
from rtemo.io.gateways.peer import PeerError
from rtemo.io.gateways.sender_clock import SenderClock
from rtemo.io.gateways.tcp_gateway import TcpGateway

_PAUSE_S = 1.0  # after one this long the sender's count of samples says nothing about time


class AudioSocketConnection(Connection):
    """Asterisk on a TCP connection.

    Args:
        writer: Its sending side.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        host, port = (writer.get_extra_info("peername") or ("?", 0))[:2]
        super().__init__(host, port)
        self.clock = SenderClock()
        self.count_frames = 0
        self.next_sample = 0
        self.rate_hz = 0
        self._writer = writer

    async def hang_up(self, reason: str, is_broken: bool) -> None:
        """Close it; see `Connection.hang_up`."""
        if not is_broken:
            self._writer.write(bytes([wire.HANGUP, 0, 0]))
        self._writer.close()

    def cut_off(self) -> None:
        """Close it without a word; see `Connection.cut_off`."""
        self._writer.transport.abort()


class AudioSocketSource(TcpGateway):
    """Calls from Asterisk's AudioSocket (dialplan application or channel driver), named by their UUID.

    Nothing is sent back but a hang-up at the end. The protocol numbers nothing: samples follow on each other.

    Args:
        options: Endpoint, role, times and limits.
    """

    name = "audiosocket"
    options_type: ClassVar[type[AudioSocketOptions]] = AudioSocketOptions

    def __init__(self, options: AudioSocketOptions | None = None) -> None:
        self._options = options = options or AudioSocketOptions()
        super().__init__(options, options.endpoint)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See `TcpGateway.serve`."""
        connection = AudioSocketConnection(writer)
        problem = self.turned_away()
        if problem:
            self.refuse(connection.peer, problem)
            await connection.hang_up(problem, is_broken=False)
            return
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.admit(connection)
        try:
            await self._converse(connection, reader)
        except asyncio.IncompleteReadError as error:
            if error.partial:
                self.break_off(connection, "closed in the middle of a frame")
            elif connection.has_call:
                connection.end_reason = "end"  # Asterisk just closes when the call is over
        except OSError:
            pass  # the network broke: its stream waits to be taken up again
        except RtemoError as error:
            self.break_off(connection, error.problem)
        finally:
            self.release(connection)
            writer.close()

    async def _converse(self, connection: AudioSocketConnection, reader: asyncio.StreamReader) -> None:
        channel = self._options.channel
        while not connection.end_reason:
            await connection.breathe()
            kind, count_bytes = wire.check_header(await reader.readexactly(wire.HEADER_BYTES))
            payload = await reader.readexactly(count_bytes)
            now_s = time.monotonic()
            self.counts.messages += 1
            if kind in wire.RATES_HZ:
                self._take(connection, wire.RATES_HZ[kind], payload, now_s)
            elif kind == wire.UUID:
                if connection.has_call:
                    raise PeerError("sent a second UUID")
                call = wire.call_name(payload)
                await self.open_leg(connection, call, channel, self._options.role, 8_000)
                connection.has_call = True
                if connection.legs[channel] is None:
                    connection.end_reason = "refused"
                    await connection.hang_up("not taken", is_broken=False)
            elif kind == wire.HANGUP:
                connection.end_reason = "end"
            elif kind == wire.ERROR:
                connection.end_reason = "error"
                self.complain(connection.peer, f"tells an error: {wire.error_text(payload)}")
            connection.heard_s = now_s

    def _take(self, connection: AudioSocketConnection, rate_hz: int, payload: bytes, now_s: float) -> None:
        leg = connection.legs.get(self._options.channel)
        if leg is None:
            raise PeerError("sent audio before the UUID of its call")
        if rate_hz != connection.rate_hz or now_s - connection.heard_s > _PAUSE_S:
            connection.clock.restart()
        if rate_hz != connection.rate_hz:
            connection.next_sample = connection.next_sample * rate_hz // (connection.rate_hz or rate_hz)
            connection.rate_hz = rate_hz
        start_sample, now_ns = connection.next_sample, time.time_ns()
        connection.next_sample += len(payload) // 2
        capture_ns = connection.clock.capture_ns(connection.next_sample * 1_000_000_000 // rate_hz, now_ns)
        if not leg.take(connection.count_frames, start_sample, "s16le", rate_hz, payload, capture_ns, now_s, now_ns):
            self.drop(connection)
        connection.count_frames += 1
