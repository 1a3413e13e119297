"""Legs: all streams of a gateway, by call and channel."""

import asyncio
import time
from typing import Protocol

from rtemo.api import FullError, NameTakenError, Payload, RtemoError, StreamFormat, StreamWriter, canonical_role
from rtemo.io.audio_wire import stream_names
from rtemo.io.gateways.leg import Leg, Placer
from rtemo.io.gateways.options import GatewayOptions
from rtemo.io.gateways.peer import PeerError
from rtemo.io.gateways.relay_stream import RelayStream
from rtemo.io.sources.lanes import Batch, Lanes
from rtemo.io.sources.placement import Placement
from rtemo.io.wire import WireError

_ROOM_S = 1.0  # how long an opening waits for the engine to have worked off what stands in its way
_LOOK_S = 0.02

_Key = tuple[str, str]


class LegDesk(Protocol):
    """Where a gateway asks for streams: of the engine (`rtemo.api.StreamDesk`), or of a front."""

    @property
    def format(self) -> StreamFormat:
        """Format of the engine."""

    @property
    def is_live(self) -> bool:
        """Whether the engine runs in real time."""

    def open_stream(
        self, call: str, channel: str, *, source: str = "", role: str = "", prefill_s: float = 0.0
    ) -> StreamWriter | RelayStream:
        """Admit a stream."""

    def report(self, data: Payload) -> None:
        """Emit an event about the gateway."""


class Legs:
    """Opens, finds again and ends streams.

    Args:
        desk: Where streams are opened.
        source: Name of the gateway, for people.
        options: Times and limits.
        reorder_s: How long a packet is held while one before it is missing.
    """

    def __init__(self, desk: LegDesk, source: str, options: GatewayOptions, reorder_s: float) -> None:
        self.lanes = Lanes(desk.format.sample_rate_hz)
        self._desk = desk
        self._source = source
        self._options = options
        self._reorder_s = reorder_s
        self._batch = Batch()
        self._legs: dict[_Key, Leg] = {}

    def __len__(self) -> int:
        return len(self._legs)

    def has_call(self, call: str) -> bool:
        """Tell whether a call has a stream."""
        return any(name == call for name, _ in self._legs)

    async def open(self, call: str, channel: str, role: str, rate_hz: int, owner: object) -> tuple[Leg, object | None]:
        """Open a stream, or go on with the one that another connection has brought.

        Returns:
            The stream, and the connection that it was taken from if that is still there.

        Raises:
            PeerError: Its name cannot be one, or it is there under another role.
            RtemoError: The policy does not let it in, or there is no room.
        """
        try:
            stream_names(call, channel)
        except WireError as error:
            raise PeerError(error.problem) from None
        until_s = time.monotonic() + _ROOM_S
        while True:
            leg = self._legs.get((call, channel))
            if leg is not None and not leg.writer.is_closed:
                return leg, self._go_on(leg, role, owner)
            if leg is not None:
                self.end(leg, "closed by the engine")
            try:
                writer = self._desk.open_stream(
                    call, channel, source=self._source, role=role, prefill_s=self._options.prefill_s
                )
                if isinstance(writer, RelayStream):
                    await writer.open(rate_hz, self._reorder_s, self._options.lost_s)
                break
            except (FullError, NameTakenError):
                if time.monotonic() > until_s:
                    raise
            await asyncio.sleep(_LOOK_S)
        leg = self._legs[call, channel] = Leg(writer, self._placer(writer, rate_hz), role, time.monotonic())
        leg.owner = owner
        return leg, None

    def _placer(self, writer: StreamWriter | RelayStream, rate_hz: int) -> Placer:
        """Give what puts packets where they belong: here, or at the worker that they go to as they are."""
        if isinstance(writer, RelayStream):
            return writer
        return Placement(
            writer, rate_hz, self.lanes, self._batch, is_live=self._desk.is_live, reorder_s=self._reorder_s
        )

    def _go_on(self, leg: Leg, role: str, owner: object) -> object | None:
        """Give a stream to another connection, and tell whose it was."""
        if canonical_role(leg.role) != canonical_role(role):
            call, channel = leg.writer.call, leg.writer.channel
            raise PeerError(f"brings call {call} channel {channel} as {role!r}, which is open as {leg.role!r}")
        before, leg.owner = leg.owner, owner
        leg.restart()
        return before

    def lose(self, leg: Leg, owner: object) -> None:
        """Take note that the connection of a stream broke; another may go on with it for a while."""
        if leg.owner is owner:
            leg.owner, leg.lost_since_s = None, time.monotonic()

    def end(self, leg: Leg, reason: str) -> None:
        """End a stream; nothing when it has ended."""
        key = (leg.writer.call, leg.writer.channel)
        if self._legs.get(key) is leg:
            del self._legs[key]
            self._batch.flush()
            leg.end(reason, time.time_ns())

    def end_all(self, reason: str) -> None:
        """End every stream."""
        for leg in list(self._legs.values()):
            self.end(leg, reason)

    def serve(self) -> None:
        """Write what has become due."""
        self._batch.flush()
        now_s, now_ns = time.monotonic(), time.time_ns()
        for leg in self._legs.values():
            if leg.is_waiting:
                leg.settle(now_s, now_ns)
        self._batch.flush()

    def watch(self) -> None:
        """Report streams without audio, and end those that nobody has taken up again."""
        now_s = time.monotonic()
        for leg in list(self._legs.values()):
            leg.watch(now_s, self._options.lost_s)
            if leg.writer.is_closed:
                self.end(leg, "closed by the engine")
            elif leg.owner is None and now_s - leg.lost_since_s > self._options.resume_s:
                self.end(leg, "lost")


def why_not(error: RtemoError) -> str:
    """Say in one line why a stream was not opened."""
    return f"{error.problem}; {error.mend}" if error.mend else error.problem
