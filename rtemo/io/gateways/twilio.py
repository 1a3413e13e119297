"""TwilioSource: calls as Twilio Media Streams brings them, both tracks of a call side by side."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from rtemo.api import ConfigError, EndpointError
from rtemo.io.endpoints import Endpoint
from rtemo.io.gateways import twilio_wire as wire
from rtemo.io.gateways.gateway import need
from rtemo.io.gateways.options import TwilioOptions
from rtemo.io.gateways.peer import PeerError
from rtemo.io.gateways.return_sink import return_sink
from rtemo.io.gateways.sender_clock import SenderClock
from rtemo.io.gateways.twilio_return import TwilioReturn
from rtemo.io.gateways.web import WebConnection, WebGateway

if TYPE_CHECKING:
    from websockets.http11 import Request

_NS_PER_SAMPLE = 1_000_000_000 // wire.RATE_HZ
_SAMPLES_PER_MS = wire.RATE_HZ // 1000
_SNAP_SAMPLES = 80  # timestamps are whole ms and shake a little: less than half a frame of 20 ms is no hole


class _Track:
    """Where the next chunk of a track is expected."""

    __slots__ = ("chunk", "end_sample")

    def __init__(self) -> None:
        self.chunk = -1
        self.end_sample = 0

    def place(self, media: wire.MediaBody, count_samples: int) -> tuple[int, int]:
        """Give number and position of a chunk; what is left out counts on from the last one."""
        chunk = self.chunk + 1 if media.chunk is None else media.chunk
        start_sample = self.end_sample if media.timestamp is None else media.timestamp * _SAMPLES_PER_MS
        is_next = chunk == self.chunk + 1
        if is_next and self.chunk >= 0 and abs(start_sample - self.end_sample) < _SNAP_SAMPLES:
            start_sample = self.end_sample
        if chunk > self.chunk:
            self.chunk, self.end_sample = chunk, start_sample + count_samples
        return chunk, start_sample


class TwilioSource(WebGateway):
    """Calls from Twilio Media Streams (WebSocket).

    Each track is a stream of the call `callSid`. A stream that breaks off without `stop` and comes again with the same
    `callSid` goes on as the same call.

    Args:
        options: Endpoint, signature, roles, times and limits.
    """

    name = "twilio"
    options_type: ClassVar[type[TwilioOptions]] = TwilioOptions

    def __init__(self, options: TwilioOptions | None = None) -> None:
        self._options = options = options or TwilioOptions()
        super().__init__(options, options.endpoint, options.reorder_s)
        self._roles = {"inbound": options.inbound_role, "outbound": options.outbound_role}
        self._validator: Any = None
        self.sink = self._returns = return_sink(
            self.name, options.enhanced, options.assistant_role, self._roles.values()
        )

    def check(self) -> Endpoint:
        """See `Gateway.check`; the signature of Twilio must be checkable too."""
        endpoint = super().check()
        options = self._options
        if options.unsigned:
            if not endpoint.is_local:
                raise EndpointError(
                    f"{endpoint} can be reached from other machines and would take anybody's calls",
                    "take sources.twilio.unsigned out, or bind 127.0.0.1",
                )
            return endpoint
        need("twilio", "twilio", "checking Twilio's signature")
        if not options.public_url.startswith("wss://"):
            raise ConfigError(
                f"sources.twilio.public_url is {options.public_url!r}, and Twilio's signature is made of it",
                "set it to the wss://HOST/PATH of your <Stream>, or try out with sources.twilio.unsigned = true",
            )
        from twilio.request_validator import RequestValidator

        self._validator = RequestValidator(_token(options))
        return endpoint

    def refusal(self, request: "Request") -> str:
        """Say why a handshake is turned away: Twilio signs the address it connects to."""
        if self._validator is None:
            return ""
        signature = request.headers.get("X-Twilio-Signature", "")
        if not signature:
            return "came without X-Twilio-Signature"
        if not self._validator.validate(self._options.public_url, {}, signature):
            return "came with an X-Twilio-Signature that is not of this account and sources.twilio.public_url"
        return ""

    async def converse(self, connection: WebConnection) -> None:
        """Take one stream from `start` to `stop`."""
        tracks: dict[str, _Track] = {}
        back: TwilioReturn | None = None
        clock = SenderClock()
        async for text in connection.socket:
            await connection.breathe()
            connection.heard_s = time.monotonic()
            self.counts.messages += 1
            message = wire.decode(text)
            if isinstance(message, wire.Media):
                self._take(connection, tracks, clock, message.media)
            elif isinstance(message, wire.Start):
                if tracks:
                    raise PeerError("sent a second `start`")
                for track in wire.check_start(message.start):
                    tracks[track] = _Track()
                    await self.open_leg(connection, message.start.call_sid, track, self._roles[track], wire.RATE_HZ)
                connection.has_call = True
                if not any(connection.legs.values()):
                    raise PeerError(f"brings call {message.start.call_sid}, of which no party is taken")
                back = self._open_back(connection, message)
            elif isinstance(message, wire.Mark):
                if back is not None:
                    back.hear(message.mark.name)
            elif isinstance(message, wire.Stop):
                connection.end_reason = "end"
                return

    def _open_back(self, connection: WebConnection, message: wire.Start) -> TwilioReturn | None:
        """Let audio go back to the inbound party, where that is asked for and the stream goes both ways."""
        if self.sink is None or "inbound" not in connection.legs:
            return None
        if len(connection.legs) > 1:
            self.complain(
                connection.peer, "has both tracks, so it takes no audio back: use <Connect><Stream>", "left out"
            )
            return None
        back = TwilioReturn(connection, "inbound", message.stream_sid or message.start.stream_sid)
        self.send_back(message.start.call_sid, back)
        return back

    def _take(
        self, connection: WebConnection, tracks: dict[str, _Track], clock: SenderClock, media: wire.MediaBody
    ) -> None:
        track = tracks.get(media.track)
        if track is None:
            where = "before `start`" if not tracks else f"of track {media.track[:40]!r}, which was not announced"
            raise PeerError(f"sent audio {where}")
        count_samples = len(media.payload)
        if count_samples > wire.MOST_BYTES:
            raise PeerError(f"sent {count_samples} samples in one message, expected {wire.MOST_BYTES} at most")
        chunk, start_sample = track.place(media, count_samples)
        leg = connection.legs.get(media.track)
        if leg is None:
            self.counts.dropped += 1
            return
        now_ns = time.time_ns()
        capture_ns = clock.capture_ns((start_sample + count_samples) * _NS_PER_SAMPLE, now_ns)
        is_taken = leg.take(
            chunk, start_sample, "mulaw", wire.RATE_HZ, media.payload, capture_ns, connection.heard_s, now_ns
        )
        if not is_taken:
            self.drop(connection)


def _token(options: TwilioOptions) -> str:
    token = os.environ.get("TWILIO_AUTH_TOKEN", "")
    if options.auth_token_file:
        try:
            token = Path(options.auth_token_file).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"sources.twilio.auth_token_file cannot be read ({error})", "name the file with the auth token"
            ) from None
    if not token.strip():
        raise ConfigError(
            "there is no auth token to check Twilio's signature with",
            "set sources.twilio.auth_token_file or TWILIO_AUTH_TOKEN, or try out with sources.twilio.unsigned = true",
        )
    return token.strip()
