"""AsteriskSource: channels that Asterisk connects over WebSockets, as its driver chan_websocket does."""

import time
import urllib.parse
from typing import ClassVar

from rtemo.api.text import plain
from rtemo.io.gateways import asterisk_wire as wire
from rtemo.io.gateways.options import AsteriskOptions
from rtemo.io.gateways.peer import PeerError
from rtemo.io.gateways.return_path import ReturnPath
from rtemo.io.gateways.return_sink import return_sink
from rtemo.io.gateways.sample_run import SampleRun
from rtemo.io.gateways.web import WebConnection, WebGateway
from rtemo.io.pcm import BYTES_PER_SAMPLE

_ASK_FRAMES = 50
_MOST_BEHIND_S = 1.0


class AsteriskReturn(ReturnPath):
    """The way back to a channel; Asterisk plays a frame each time its clock asks for one, and queues the others.

    Its queue is asked for now and then. What lies in it is late, and it is emptied when that is more than a second.

    Args:
        connection: The peer.
        channel: The party.
        start: What was said of the channel.
        is_json: Whether commands are JSON.
    """

    def __init__(self, connection: WebConnection, channel: str, start: wire.MediaStart, is_json: bool) -> None:
        codec = start.format.codec
        super().__init__(connection, channel, start.format.rate_hz, codec, start.frame_bytes // BYTES_PER_SAMPLE[codec])
        self._is_json = is_json
        self._frame_s = start.frame_s
        self._is_off = False
        self._asked_frames = 0

    @property
    def is_held(self) -> bool:
        """See `ReturnPath.is_held`."""
        return self._is_off

    def hear(self, said: wire.Said) -> None:
        """Take note of what Asterisk says about its queue."""
        if said.event in ("MEDIA_XOFF", "MEDIA_XON"):
            self._is_off = said.event == "MEDIA_XOFF"
        elif said.event == "STATUS" and said.number("queue_length") * self._frame_s > _MOST_BEHIND_S:
            self.flush()

    def send(self, payload: bytes) -> None:
        """See `ReturnPath.send`."""
        self.connection.post(payload)
        self._asked_frames += 1
        if self._asked_frames >= _ASK_FRAMES:
            self._asked_frames = 0
            self.connection.post(wire.command("GET_STATUS", self._is_json))

    def flush(self) -> None:
        """See `ReturnPath.flush`."""
        self.connection.post(wire.command("FLUSH_MEDIA", self._is_json))


class AsteriskSource(WebGateway):
    """Calls from Asterisk's chan_websocket, a WebSocket for each channel.

    A channel is one party: `party=0` (the first, unless said) or `party=1` in the query of its address. `call` there
    names the call, so that channels of one call meet; else the call is called by the channel's unique id. Nothing is
    numbered: samples follow on each other. The end of the connection is that of the channel.

    Args:
        options: Endpoint, roles, times and limits.
    """

    name = "asterisk"
    options_type: ClassVar[type[AsteriskOptions]] = AsteriskOptions

    def __init__(self, options: AsteriskOptions | None = None) -> None:
        options = options or AsteriskOptions()
        super().__init__(options, options.endpoint)
        self._roles = {"0": options.first_role, "1": options.second_role}
        self.sink = self._returns = return_sink(
            self.name, options.enhanced, options.assistant_role, self._roles.values()
        )

    async def converse(self, connection: WebConnection) -> None:
        """Take the audio of one channel from MEDIA_START on."""
        request = connection.socket.request
        query = dict(urllib.parse.parse_qsl((request.path if request is not None else "").partition("?")[2]))
        party = query.get("party", "0")
        if party not in self._roles:
            raise PeerError(f"comes as party={party[:20]!r}, expected 0 or 1")
        start: wire.MediaStart | None = None
        back: AsteriskReturn | None = None
        run = SampleRun()
        async for data in connection.socket:
            await connection.breathe()
            connection.heard_s = time.monotonic()
            self.counts.messages += 1
            if isinstance(data, bytes):
                if start is None:
                    raise PeerError("sent audio before MEDIA_START")
                self._take(connection, party, start.format, run, data)
                continue
            said = wire.decode(data)
            if said.event == "MEDIA_START":
                if start is not None:
                    raise PeerError("sent a second MEDIA_START")
                start = wire.media_start(said)
                call = query.get("call") or start.name
                await self.open_leg(connection, call, party, self._roles[party], start.format.rate_hz)
                if connection.legs[party] is None:
                    raise PeerError(f"brings call {call[:80]}, of which no party is taken")
                connection.has_call = True
                back = AsteriskReturn(connection, party, start, said.is_json)
                self.send_back(call, back, hears_assistant=party == "0")
            elif said.event == "ERROR":
                self.complain(
                    connection.peer, f"tells an error: {plain(said.facts.get('error_text', ''), 200)}", "reported"
                )
            elif back is not None:
                back.hear(said)
        connection.end_reason = "end"

    def _take(self, connection: WebConnection, party: str, format: wire.Format, run: SampleRun, payload: bytes) -> None:
        width = BYTES_PER_SAMPLE[format.codec]
        count_samples = len(payload) // width
        if len(payload) % width or count_samples > format.rate_hz:
            raise PeerError(f"sent {len(payload)} bytes in one message, expected whole samples and a second at most")
        leg = connection.legs[party]
        if leg is None or not count_samples:
            return
        now_s, now_ns = connection.heard_s, time.time_ns()
        place = run.place(count_samples, format.rate_hz, now_s, now_ns)
        if not leg.take(
            place.number, place.start_sample, format.codec, format.rate_hz, payload, place.capture_ns, now_s, now_ns
        ):
            self.drop(connection)
