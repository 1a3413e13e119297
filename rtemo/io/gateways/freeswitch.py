"""FreeSwitchSource: calls as mod_audio_fork and mod_audio_stream of FreeSWITCH bring them."""

import time
import urllib.parse
from typing import ClassVar, NamedTuple

import numpy as np

from rtemo.io.audio_wire import RATES_HZ
from rtemo.io.gateways.options import FreeSwitchOptions
from rtemo.io.gateways.peer import PeerError
from rtemo.io.gateways.return_path import ReturnPath
from rtemo.io.gateways.return_sink import return_sink
from rtemo.io.gateways.sample_run import SampleRun
from rtemo.io.gateways.web import WebConnection, WebGateway


class Address(NamedTuple):
    """What the address says about a call, since the protocol says nothing."""

    call: str
    rate_hz: int
    count_channels: int


def read_address(path: str) -> Address:
    """Read path and query of a request.

    >>> read_address("/b1f0?rate=16000&channels=2")
    Address(call='b1f0', rate_hz=16000, count_channels=2)

    Raises:
        PeerError: There is no name of a call, or rate or channels are impossible.
    """
    place, _, given = path.partition("?")  # a path alone: what looks like a host in it is none
    call = urllib.parse.unquote(place.rpartition("/")[2])
    query = dict(urllib.parse.parse_qsl(given))
    rate, channels = query.get("rate", "8000"), query.get("channels", "1")
    if not call:
        raise PeerError("comes without the name of its call; write it as the path: ws://HOST:PORT/UUID")
    if rate not in map(str, RATES_HZ) or channels not in ("1", "2"):
        raise PeerError(f"announces rate={rate[:20]!r} and channels={channels[:20]!r}, expected Hz and 1 or 2")
    return Address(call, int(rate), int(channels))


class FreeSwitchSource(WebGateway):
    """Calls from FreeSWITCH's mod_audio_fork or mod_audio_stream (WebSocket).

    Audio is 16-bit linear PCM, little-endian, of one or two interleaved channels, and numbers nothing: samples follow
    on each other. The end of the connection is that of the call. What goes back to the first party are binary messages
    of 20 ms of one channel at the same rate.

    Args:
        options: Endpoint, roles, times and limits.
    """

    name = "freeswitch"
    options_type: ClassVar[type[FreeSwitchOptions]] = FreeSwitchOptions

    def __init__(self, options: FreeSwitchOptions | None = None) -> None:
        options = options or FreeSwitchOptions()
        super().__init__(options, options.endpoint)
        self._roles = (options.first_role, options.second_role)
        self.sink = self._returns = return_sink(self.name, options.enhanced, options.assistant_role, self._roles)

    async def converse(self, connection: WebConnection) -> None:
        """Take the audio of one call."""
        request = connection.socket.request
        address = read_address(request.path if request is not None else "")
        for channel in range(address.count_channels):
            await self.open_leg(connection, address.call, str(channel), self._roles[channel], address.rate_hz)
        if not any(connection.legs.values()):
            raise PeerError(f"brings call {address.call[:80]}, of which no party is taken")
        connection.has_call = True
        self.send_back(address.call, ReturnPath(connection, "0", address.rate_hz, "s16le", address.rate_hz // 50))
        run = SampleRun()
        async for data in connection.socket:
            await connection.breathe()
            now_s, now_ns = time.monotonic(), time.time_ns()
            connection.heard_s = now_s
            self.counts.messages += 1
            if isinstance(data, str):
                continue
            parts = _split(data, address)
            place = run.place(len(parts[0]) // 2, address.rate_hz, now_s, now_ns)
            for channel, samples in enumerate(parts):
                leg = connection.legs[str(channel)]
                if leg is not None and not leg.take(
                    place.number,
                    place.start_sample,
                    "s16le",
                    address.rate_hz,
                    samples,
                    place.capture_ns,
                    now_s,
                    now_ns,
                ):
                    self.drop(connection)
        connection.end_reason = "end"


def _split(data: bytes, address: Address) -> list[bytes]:
    width = 2 * address.count_channels
    if len(data) % width or len(data) > width * address.rate_hz:
        raise PeerError(
            f"sent {len(data)} bytes in one message, expected whole samples of {address.count_channels} channels and "
            "a second at most"
        )
    frames = np.frombuffer(data, "<i2").reshape(-1, address.count_channels)
    return [frames[:, channel].tobytes() for channel in range(address.count_channels)]
