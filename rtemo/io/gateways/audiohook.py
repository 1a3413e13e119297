"""AudioHookSource: calls as Genesys AudioHook brings them, customer and agent side by side."""

import time
from typing import TYPE_CHECKING, ClassVar

import msgspec

from rtemo.api import EndpointError
from rtemo.io.endpoints import Endpoint
from rtemo.io.gateways import audiohook_wire as wire
from rtemo.io.gateways.audiohook_door import AudioHookDoor
from rtemo.io.gateways.options import AudioHookOptions
from rtemo.io.gateways.peer import PeerError
from rtemo.io.gateways.sender_clock import SenderClock
from rtemo.io.gateways.web import WebConnection, WebGateway

if TYPE_CHECKING:
    from websockets.asyncio.server import ServerConnection
    from websockets.http11 import Request

_NS_PER_SAMPLE = 1_000_000_000 // wire.RATE_HZ
_MOST_CALLS = 8192


class AudioHookSession(WebConnection):
    """One session: its numbering both ways, and where its audio stands.

    Attributes:
        id: Name that the client has given it.
        conversation: The call; empty before `open`.
        participant: Whose line of the call it is.
        media: How audio comes; None before `open` and for a probe.
        next_sample: Position of the next sample, what is left out included.
        number: Number of the next message of audio; one is left out where audio was lost.
    """

    def __init__(self, socket: "ServerConnection") -> None:
        super().__init__(socket)
        self.id = ""
        self.conversation = ""
        self.participant = ""
        self.media: wire.Media | None = None
        self.clock = SenderClock()
        self.next_sample = 0
        self.number = 0
        self._client_seq = 0
        self._server_seq = 0

    def hear(self, message: wire.ClientMessage) -> None:
        """Check the numbering of a message.

        Raises:
            PeerError: It does not follow on the last one, or is of another session.
        """
        self.id = self.id or message.id
        if message.id != self.id:
            raise PeerError("sent a message of another session")
        if message.seq != self._client_seq + 1 or message.serverseq > self._server_seq:
            raise PeerError(
                f"sent seq {message.seq} and serverseq {message.serverseq}, expected {self._client_seq + 1} and "
                f"{self._server_seq} at most"
            )
        self._client_seq = message.seq

    async def say(self, kind: str, parameters: object) -> None:
        """Send a message."""
        self._server_seq += 1
        message = {
            "version": "2",
            "type": kind,
            "seq": self._server_seq,
            "clientseq": self._client_seq,
            "id": self.id,
            "parameters": parameters,
        }
        await self.socket.send(msgspec.json.encode(message).decode())

    async def hang_up(self, reason: str, is_broken: bool) -> None:
        """Close it; see `Connection.hang_up`."""
        from websockets.exceptions import ConnectionClosed

        if self.id:
            try:
                await self.say("disconnect", {"reason": "error" if is_broken else "completed", "info": reason})
            except ConnectionClosed:
                return
        await super().hang_up(reason, is_broken)


class AudioHookSource(WebGateway):
    """Calls from Genesys AudioHook, version 2 (WebSocket).

    Each channel is a stream of the call `conversationId`. A session that breaks off without `close` and comes again for
    the same participant goes on as the same call. The audio of other participants of the conversation is a call of its
    own, `conversationId.participantId`.

    Args:
        options: Endpoint, key, roles, times and limits.
    """

    name = "audiohook"
    options_type: ClassVar[type[AudioHookOptions]] = AudioHookOptions

    def __init__(self, options: AudioHookOptions | None = None) -> None:
        self._options = options = options or AudioHookOptions()
        super().__init__(options, options.endpoint)
        self._roles = {"external": options.external_role, "internal": options.internal_role}
        self._door: AudioHookDoor | None = None
        self._first: dict[str, str] = {}  # by conversation

    def check(self) -> Endpoint:
        """See `Gateway.check`; there must be an API key too."""
        endpoint = super().check()
        if not self._options.unsigned:
            self._door = AudioHookDoor(self._options)
        elif not endpoint.is_local:
            raise EndpointError(
                f"{endpoint} can be reached from other machines and would take anybody's calls",
                "take sources.audiohook.unsigned out, or bind 127.0.0.1",
            )
        return endpoint

    def refusal(self, request: "Request") -> str:
        """Say why a handshake is turned away."""
        return "" if self._door is None else self._door.refusal(request)

    def connect(self, socket: "ServerConnection") -> AudioHookSession:
        """Make what is known about a peer."""
        return AudioHookSession(socket)

    async def converse(self, connection: WebConnection) -> None:
        """Speak with a client from `open` to `close`."""
        session = connection
        assert isinstance(session, AudioHookSession), "see `connect`"
        async for data in session.socket:
            await session.breathe()
            session.heard_s = time.monotonic()
            self.counts.messages += 1
            if isinstance(data, bytes):
                self._take(session, data)
                continue
            message = wire.decode(data)
            session.hear(message)
            if session.end_reason:
                continue  # closed: the client goes
            if message.type == "open":
                await self._open(session, wire.parameters(message, wire.OpenParameters))
            elif message.type == "close":
                session.end_reason = "end"
                await session.say("closed", {})
            elif not session.has_call:
                raise PeerError(f"sent {message.type!r} before `open`")
            elif message.type == "ping":
                await session.say("pong", {})
            elif message.type == "update":
                await session.say("updated", {})
            elif message.type in ("discarded", "resumed"):
                _skip(session, wire.parameters(message, wire.Skipped), is_lost=message.type == "discarded")
            elif message.type == "error":
                self.complain(session.peer, f"tells an error: {bytes(message.parameters)[:160]!r}", "noted")

    async def _open(self, session: AudioHookSession, wanted: wire.OpenParameters) -> None:
        if session.has_call:
            raise PeerError("sent a second `open`")
        header = session.socket.request.headers.get("Audiohook-Organization-Id") if session.socket.request else None
        if header is not None and header != wanted.organization_id:
            raise PeerError("opens a call of another organization than its request names")
        media = wire.choose(wanted.media)
        if media is None:
            offers = ", ".join(f"{one.format}/{one.rate}" for one in wanted.media)[:80]
            raise PeerError(f"offers {offers or 'no audio'}, expected PCMU or L16 of 8000 Hz")
        if wanted.conversation_id != wire.PROBE:
            session.conversation, session.participant = wanted.conversation_id, wanted.participant.id
            call = self._call_of(session)
            for channel in media.channels:
                await self.open_leg(session, call, channel, self._roles[channel], wire.RATE_HZ)
            if not any(session.legs.values()):
                raise PeerError(f"brings call {call}, of which no party is taken")
        session.media, session.has_call = media, True
        await session.say("opened", {"media": [media], "startPaused": False})

    def _call_of(self, session: AudioHookSession) -> str:
        """Name the call: the first participant of a conversation has its plain name, while the call is there."""
        conversation, participant = session.conversation, session.participant
        if self._first.get(conversation, participant) != participant and self.legs.has_call(conversation):
            return f"{conversation}.{participant}"
        if len(self._first) >= _MOST_CALLS:
            self._first = {name: first for name, first in self._first.items() if self.legs.has_call(name)}
        self._first[conversation] = participant
        return conversation

    def _take(self, session: AudioHookSession, data: bytes) -> None:
        if session.media is None:
            raise PeerError("sent audio before `opened`")
        if session.end_reason:
            return
        codec = wire.CODECS[session.media.format]
        parts = wire.split(data, session.media)
        start_sample, number, now_ns = session.next_sample, session.number, time.time_ns()
        session.next_sample += len(parts[0]) // (2 if codec == "s16le" else 1)
        session.number += 1
        capture_ns = session.clock.capture_ns(session.next_sample * _NS_PER_SAMPLE, now_ns)
        is_taken = True
        for channel, samples in zip(session.media.channels, parts, strict=True):
            leg = session.legs.get(channel)
            if leg is not None:
                is_taken &= leg.take(
                    number, start_sample, codec, wire.RATE_HZ, samples, capture_ns, session.heard_s, now_ns
                )
        if not is_taken:
            self.drop(session)


def _skip(session: AudioHookSession, skipped: wire.Skipped, *, is_lost: bool) -> None:
    """Go on behind audio that the client has left out: a hole where it was lost, and else a pause."""
    session.next_sample = max(
        session.next_sample, wire.duration_samples(skipped.start) + wire.duration_samples(skipped.discarded)
    )
    session.number += is_lost
    session.clock.restart()
