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
from rtemo.io.gateways.return_path import ReturnPath
from rtemo.io.gateways.return_sink import return_sink
from rtemo.io.gateways.sample_run import SampleRun
from rtemo.io.gateways.tcp_gateway import TcpGateway


class AudioSocketConnection(Connection):
    """Asterisk on a TCP connection.

    Args:
        writer: Its sending side.

    Attributes:
        call: Name of the call; empty until it has been said.
        run: Counts its samples.
        kind: Of the last audio frame.
    """

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        host, port = (writer.get_extra_info("peername") or ("?", 0))[:2]
        super().__init__(host, port)
        self.call = ""
        self.run = SampleRun()
        self.kind = 0
        self._writer = writer

    @property
    def waiting_bytes(self) -> int:
        """See `Connection.waiting_bytes`."""
        return self._writer.transport.get_write_buffer_size()

    def post(self, message: str | bytes) -> None:
        """Write a whole frame; see `Connection.post`."""
        assert isinstance(message, bytes)
        self._writer.write(message)

    async def hang_up(self, reason: str, is_broken: bool) -> None:
        """Close it; see `Connection.hang_up`."""
        if not is_broken:
            self._writer.write(bytes([wire.HANGUP, 0, 0]))
        self._writer.close()

    def cut_off(self) -> None:
        """Close it without a word; see `Connection.cut_off`."""
        self._writer.transport.abort()


class AudioSocketReturn(ReturnPath):
    """The way back to Asterisk, in frames of the kind that come from there.

    Args:
        connection: The peer.
        channel: The party.
        kind: Of its audio frames.
    """

    def __init__(self, connection: AudioSocketConnection, channel: str, kind: int) -> None:
        rate_hz = wire.RATES_HZ[kind]
        super().__init__(connection, channel, rate_hz, "s16le", rate_hz // 50)
        self._header = bytes([kind]) + self.frame_bytes.to_bytes(2)

    def send(self, payload: bytes) -> None:
        """See `ReturnPath.send`."""
        self.connection.post(self._header + payload)


class AudioSocketSource(TcpGateway):
    """Calls from Asterisk's AudioSocket (dialplan application or channel driver), named by their UUID.

    Nothing is sent back but a hang-up at the end, and where that is asked for audio. The protocol numbers
    nothing: samples follow on each other.

    Args:
        options: Endpoint, role, times and limits.
    """

    name = "audiosocket"
    options_type: ClassVar[type[AudioSocketOptions]] = AudioSocketOptions

    def __init__(self, options: AudioSocketOptions | None = None) -> None:
        self._options = options = options or AudioSocketOptions()
        super().__init__(options, options.endpoint)
        self.sink = self._returns = return_sink(self.name, options.enhanced, options.assistant_role, (options.role,))

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
                self._take(connection, kind, payload, now_s)
            elif kind == wire.UUID:
                if connection.has_call:
                    raise PeerError("sent a second UUID")
                connection.call = wire.call_name(payload)
                await self.open_leg(connection, connection.call, channel, self._options.role, 8_000)
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

    def _take(self, connection: AudioSocketConnection, kind: int, payload: bytes, now_s: float) -> None:
        leg = connection.legs.get(self._options.channel)
        if leg is None:
            raise PeerError("sent audio before the UUID of its call")
        if kind != connection.kind:
            connection.kind = kind
            self.send_back(connection.call, AudioSocketReturn(connection, self._options.channel, kind))
        rate_hz, now_ns = wire.RATES_HZ[kind], time.time_ns()
        place = connection.run.place(len(payload) // 2, rate_hz, now_s, now_ns)
        if not leg.take(place.number, place.start_sample, "s16le", rate_hz, payload, place.capture_ns, now_s, now_ns):
            self.drop(connection)
