"""Live: the present state of every call, reduced from events as they come in; the web's counterpart of a live view."""

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from rtemo.api import Alert, Board, BoardEntry, Fault, Health, Payload, SessionStart, StreamStart, kind_of
from rtemo.io.web.channel import READ_TYPES, LiveChannel
from rtemo.io.web.rows import AlertRow, CallRow, EngineRow
from rtemo.io.wire import (
    STATE_SCHEMA,
    CallState,
    ChannelState,
    LatestEvent,
    WireEvent,
    decode_payload,
    utc_ms,
)

_ALERTS = 20
_FAULTS = 5
_ENDED_CHANNELS = 64  # of a call that goes on; those before are forgotten
_SILENT_S = 3600.0  # a call without any event for this long is forgotten even if its end was never seen
_FED_S = 2.0
_READ_TYPES: tuple[type[Payload], ...] = (*READ_TYPES, Alert, Board, Fault, Health, SessionStart)
_READ = frozenset(kind_of(cls) for cls in _READ_TYPES)
"""Kinds whose payload is looked into; of all others only the bytes are kept."""

_EVENT = msgspec.json.Decoder(WireEvent[msgspec.Raw])


class Arrived(NamedTuple):
    """An event as it came: its place, its bytes, and its payload where that is looked into."""

    event: WireEvent[Any]
    message: bytes
    data: Payload | None


class _Call:
    def __init__(self, name: str) -> None:
        self.name = name
        self.channels: dict[str, LiveChannel] = {}
        self.alerts: deque[AlertRow] = deque(maxlen=_ALERTS)
        self.pub_seq = 0
        self.t_pub_ms = 0.0
        self.heard_s = 0.0
        self.urgency: float | None = None
        self.spread: float | None = None

    @property
    def is_open(self) -> bool:
        return any(channel.row.is_open for channel in self.channels.values())

    def forget_channels(self) -> None:
        ended = [name for name, channel in self.channels.items() if not channel.row.is_open]
        for name in ended[: max(0, len(ended) - _ENDED_CHANNELS)]:
            del self.channels[name]


class Live:
    """Everything that is known now, of each call and of the engine.

    Args:
        max_calls: Most calls; of those that have ended the one heard longest ago goes first.
        keep_ended_s: How long a call that has ended is kept.

    Attributes:
        epoch: Random name of the publisher's life.
        purpose: What the results are used for.
        pub_seq: Number of the last event.
        missed_events: Events that did not come through from the engine, since this process could not follow.
        changed: Calls with news since they were last taken.
        gone: Calls that were forgotten since.
    """

    def __init__(self, max_calls: int, keep_ended_s: float) -> None:
        self.epoch = ""
        self.purpose = ""
        self.pub_seq = 0
        self.missed_events = 0
        self.changed: dict[str, None] = {}
        self.gone: set[str] = set()
        self.health: Health | None = None
        self.is_started = False
        self._board: Board | None = None
        self._chain: tuple[str, ...] = ()
        self._faults: deque[str] = deque(maxlen=_FAULTS)
        self._calls: dict[str, _Call] = {}
        self._on_board: dict[str, BoardEntry] = {}
        self._max_calls = max_calls
        self._keep_ended_s = keep_ended_s
        self._fed_s = -_FED_S

    @property
    def is_fed(self) -> bool:
        """Whether the engine has given a sign of life in the last two seconds."""
        return time.monotonic() - self._fed_s < _FED_S

    def beat(self) -> None:
        """Note a sign of life of the engine."""
        self._fed_s = time.monotonic()

    def take(self, key: str, message: bytes) -> Arrived:
        """Take an event into account.

        Args:
            key: Under which the last value of its kind is kept.
            message: The event as JSON.
        """
        self.beat()
        event = _EVENT.decode(message)
        self.missed_events += event.pub_seq - self.pub_seq - 1
        self.pub_seq = event.pub_seq
        data = decode_payload(event.kind, event.data) if event.kind in _READ else None
        if event.call:
            self._take(event, key, data)
        elif data is not None:
            self._take_of_engine(data)
        return Arrived(event, message, data)

    def _take_of_engine(self, data: Payload) -> None:
        if isinstance(data, Health):
            self.health = data
        elif isinstance(data, SessionStart):
            self._chain = data.chain
            self.is_started = True
        elif isinstance(data, Fault):
            self._faults.append(f"{data.where}: {data.problem} ({data.action})")
        elif isinstance(data, Board):
            self._board = data
            before = self._on_board
            # Of two channels of a call the one that is placed first counts.
            self._on_board = {entry.call: entry for entry in reversed(data.entries)}
            for name in before.keys() | self._on_board.keys():
                call = self._calls.get(name)
                if call is not None:
                    self._place(call)
                    self.changed[name] = None

    def _place(self, call: _Call) -> None:
        found = self._on_board.get(call.name)
        call.urgency = None if found is None else found.urgency
        call.spread = None if found is None else found.spread

    def _take(self, event: WireEvent[Any], key: str, data: Payload | None) -> None:
        call = self._calls.get(event.call)
        if call is None:
            call = self._calls[event.call] = _Call(event.call)
            self.gone.discard(event.call)
            self._place(call)
        call.pub_seq, call.t_pub_ms, call.heard_s = event.pub_seq, event.t_pub_ms, time.monotonic()
        channel = call.channels.get(event.channel)
        if channel is None or isinstance(data, StreamStart):
            channel = call.channels[event.channel] = LiveChannel(event.channel)
            call.forget_channels()
        channel.latest[key] = LatestEvent(
            seq=event.seq, t1_ms=event.t1_ms, t_capture_ms=event.t_capture_ms, data=event.data
        )
        channel.take(event, data)
        if isinstance(data, Alert):
            call.alerts.append(
                AlertRow(
                    id=f"{event.epoch}-{event.pub_seq}",
                    rule=data.rule,
                    channel=event.channel,
                    t_s=event.end_s,
                    t_pub_ms=event.t_pub_ms,
                    values=data.values,
                )
            )
        self.changed[event.call] = None

    def mark(self, name: str, alert_id: str, mark: str, snoozed_until_ms: float) -> AlertRow | None:
        """Note what somebody said of an alert; None when it is not known."""
        call = self._calls.get(name)
        for index, alert in enumerate(call.alerts if call is not None else ()):
            if call is not None and alert.id == alert_id:
                alert = msgspec.structs.replace(alert, mark=mark, snoozed_until_ms=snoozed_until_ms)
                call.alerts[index] = alert
                self.changed[name] = None
                return alert
        return None

    def forget(self) -> None:
        """Drop calls that have ended long ago, or are too many."""
        now_s = time.monotonic()
        for name in [name for name, call in self._calls.items() if now_s - call.heard_s > _SILENT_S]:
            self._forget(name)
        ended = sorted((call.heard_s, name) for name, call in self._calls.items() if not call.is_open)
        excess = len(self._calls) - self._max_calls
        for index, (heard_s, name) in enumerate(ended):
            if index < excess or now_s - heard_s > self._keep_ended_s:
                self._forget(name)

    def _forget(self, name: str) -> None:
        del self._calls[name]
        self.changed.pop(name, None)
        self.gone.add(name)

    @property
    def count_open(self) -> int:
        """Calls that run."""
        return sum(call.is_open for call in self._calls.values())

    def names(self, sees: Callable[[str], bool]) -> list[str]:
        """Name the calls that somebody may see."""
        return [name for name in self._calls if sees(name)]

    def row(self, name: str, with_trend: bool = False) -> CallRow | None:
        """Tell what the wall shows of a call; None when it is not known."""
        call = self._calls.get(name)
        if call is None:
            return None
        now_s = time.monotonic()
        return CallRow(
            call=name,
            is_open=call.is_open,
            t_pub_ms=call.t_pub_ms,
            channels=tuple(channel.now(now_s) for channel in call.channels.values()),
            alerts=tuple(call.alerts),
            urgency=call.urgency,
            spread=call.spread,
            trend={key: channel.course() for key, channel in call.channels.items() if channel.trend}
            if with_trend
            else {},
        )

    def state(self, name: str) -> CallState[Any] | None:
        """Tell the last event of every kind of a call; None when it is not known."""
        call = self._calls.get(name)
        if call is None:
            return None
        return CallState(
            schema=STATE_SCHEMA,
            epoch=self.epoch,
            pub_seq=call.pub_seq,
            t_pub_ms=utc_ms(time.time_ns()),
            call=name,
            channels={
                key: ChannelState(role=channel.row.role, is_open=channel.row.is_open, latest=channel.latest)
                for key, channel in call.channels.items()
            },
        )

    def engine(self, sees_engine: bool) -> EngineRow:
        """Tell how the engine is; who sees only some calls is not told of the others by numbers."""
        if not sees_engine:
            return EngineRow(is_fed=self.is_fed, purpose=self.purpose)
        health, board = self.health, self._board
        return EngineRow(
            is_fed=self.is_fed,
            purpose=self.purpose,
            chain=self._chain,
            streams=health.streams if health else 0,
            capacity=health.capacity if health else 0,
            load=health.load if health else 0.0,
            ranked=board.ranked if board else None,
            unsure=board.unsure if board else None,
            trouble={key: value for key, value in msgspec.structs.asdict(health.counters).items() if value}
            if health
            else {},
            faults=tuple(self._faults),
            given_up=health.given_up if health else (),
        )
