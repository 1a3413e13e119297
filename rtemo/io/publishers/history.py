"""History: what late and interrupted subscribers can still ask for: last values and a bounded replay."""

import threading
from collections import deque
from collections.abc import Iterator
from typing import Any, NamedTuple

from rtemo.api import StreamEnd, StreamStart, state_key_of
from rtemo.io.wire import WireEvent

ACTIVE_S = 10.0
"""A call is active while a stream of it is open, and for this long after its last event."""

_KEPT_S = 3600.0  # a call without any event for this long is forgotten even if its end was never seen
_KEPT_CHANNELS = 64  # ended ones of a call that goes on; those before are forgotten
_OVERHEAD_BYTES = 160  # of one kept event besides its message: tuple, bytes object, number, time


class Kept(NamedTuple):
    """One event as it was sent, and when by the monotonic clock."""

    pub_seq: int
    message: bytes
    sent_s: float


class Latest(NamedTuple):
    """The last event of one kind on one channel."""

    event: WireEvent[Any]
    message: bytes


class ChannelRecord:
    """What is known about one channel."""

    __slots__ = ("ended_s", "is_open", "latest", "role")

    def __init__(self) -> None:
        self.role = ""
        self.is_open = False
        self.ended_s = 0.0
        self.latest: dict[str, Latest] = {}


class CallRecord:
    """What is known about one call.

    Attributes:
        call: Its name; empty for the engine itself.
        channels: Channel → record.
        ended: Names of the channels that have ended, the one that ended first in front.
        kept: Events for replay, oldest first.
        kept_bytes: Their size.
        dropped_pub_seq: Number of the newest event that is no longer kept; 0 while all are.
        pub_seq: Number of the last event.
        heard_s: Monotonic time of the last event.
    """

    __slots__ = (
        "call",
        "channels",
        "dropped_pub_seq",
        "ended",
        "heard_s",
        "kept",
        "kept_bytes",
        "open_count",
        "pub_seq",
    )

    def __init__(self, call: str) -> None:
        self.call = call
        self.channels: dict[str, ChannelRecord] = {}
        self.ended: dict[str, None] = {}
        self.open_count = 0
        self.kept: deque[Kept] = deque()
        self.kept_bytes = 0
        self.dropped_pub_seq = 0
        self.pub_seq = 0
        self.heard_s = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a stream of the call runs."""
        return self.open_count > 0


class History:
    """Keeps the last event of every kind and channel, and for replay all events within three bounds.

    Args:
        replay_s: How long an event is kept.
        call_bytes: Most that is kept of one call.
        total_bytes: Most that is kept of all calls; each has an equal share of it.
        max_calls: Most calls that are remembered; of those that have ended the one that ended first goes first.

    Attributes:
        calls: Call → record; the engine itself stands under the empty name.
        changed: Calls with news since whoever publishes states last took them.
        kept_bytes: Size of all events kept for replay.
        lock: Held while calls and channels come, change and go: states are read on another thread.
    """

    def __init__(self, replay_s: float, call_bytes: int, total_bytes: int, max_calls: int = 4096) -> None:
        self.calls: dict[str, CallRecord] = {}
        self.changed: set[str] = set()
        self.lock = threading.Lock()
        self._ended: dict[str, None] = {}
        self._max_calls = max_calls
        self.kept_bytes = 0
        self._replay_s = replay_s
        self._call_bytes = call_bytes
        self._total_bytes = total_bytes

    def add(self, event: WireEvent[Any], message: bytes, now_s: float) -> None:
        """Keep an event that was just sent."""
        with self.lock:
            record = self._note(event, message, now_s)
        size_bytes = len(message) + _OVERHEAD_BYTES
        record.kept.append(Kept(event.pub_seq, message, now_s))
        record.kept_bytes += size_bytes
        self.kept_bytes += size_bytes
        self._trim(record)

    def _note(self, event: WireEvent[Any], message: bytes, now_s: float) -> CallRecord:
        record = self.calls.get(event.call)
        if record is None:
            record = self.calls[event.call] = CallRecord(event.call)
            self._ended[event.call] = None  # until a stream starts
        channel = record.channels.get(event.channel)
        if channel is None:
            channel = record.channels[event.channel] = ChannelRecord()
        data = event.data
        if type(data) is StreamStart:
            channel.latest.clear()
            channel.role = data.role
            record.open_count += not channel.is_open
            channel.is_open = True
            record.ended.pop(event.channel, None)
            self._ended.pop(event.call, None)
        elif type(data) is StreamEnd and channel.is_open:
            channel.is_open = False
            channel.ended_s = now_s
            record.open_count -= 1
            record.ended[event.channel] = None
            if not record.is_open:
                self._ended[event.call] = None
        channel.latest[state_key_of(data)] = Latest(event, message)
        record.pub_seq = event.pub_seq
        record.heard_s = now_s
        self.changed.add(event.call)
        return record

    def active(self, now_s: float) -> Iterator[CallRecord]:
        """Iterate over the calls that are going on; not the engine itself."""
        for record in self.calls.values():
            if record.call and (record.is_open or now_s - record.heard_s <= ACTIVE_S):
                yield record

    def snapshot(self, record: CallRecord) -> list[Latest]:
        """Give the last events of a call in the order in which they were sent."""
        latest = [item for channel in record.channels.values() for item in channel.latest.values()]
        return sorted(latest, key=lambda item: item.event.pub_seq)

    def replay(self, record: CallRecord, after_pub_seq: int, limit_events: int, limit_bytes: int) -> list[Kept]:
        """Give the events of a call after a number, oldest first, as many as fit the limits (at least one)."""
        found: list[Kept] = []
        size_bytes = 0
        for kept in record.kept:
            if kept.pub_seq <= after_pub_seq:
                continue
            size_bytes += len(kept.message)
            if found and (len(found) >= limit_events or size_bytes > limit_bytes):
                break
            found.append(kept)
        return found

    def prune(self, now_s: float) -> list[tuple[str, str | None]]:
        """Drop what is too old or too much.

        Returns:
            The calls that were forgotten altogether, with None, and the channels of others.
        """
        forgotten: list[tuple[str, str | None]] = []
        for call, record in self.calls.items():
            self._trim(record)
            while record.kept and now_s - record.kept[0].sent_s > self._replay_s:
                self._drop(record)
            memory_s = max(self._replay_s, _KEPT_S if record.is_open else ACTIVE_S)
            if call and now_s - record.heard_s > memory_s:
                forgotten.append((call, None))
            elif record.ended and record.is_open:
                forgotten += [(call, channel) for channel in self._old_channels(record, now_s)]
        leaving = {call for call, channel in forgotten if channel is None}
        excess = len(self.calls) - len(leaving) - self._max_calls
        for call in self._ended:
            if excess <= 0:
                break
            if call and call not in leaving:
                forgotten.append((call, None))
                excess -= 1
        with self.lock:
            for call, channel in forgotten:
                if channel is not None:
                    del self.calls[call].channels[channel], self.calls[call].ended[channel]
                    continue
                self.kept_bytes -= self.calls[call].kept_bytes
                del self.calls[call]
                self._ended.pop(call, None)
                self.changed.discard(call)
        return forgotten

    def _old_channels(self, record: CallRecord, now_s: float) -> list[str]:
        """Name the ended channels of a call that are too many or have ended too long ago."""
        excess = len(record.ended) - _KEPT_CHANNELS
        memory_s = max(self._replay_s, ACTIVE_S)
        return [
            channel
            for index, channel in enumerate(record.ended)
            if index < excess or now_s - record.channels[channel].ended_s > memory_s
        ]

    def _trim(self, record: CallRecord) -> None:
        share_bytes = min(self._call_bytes, self._total_bytes // len(self.calls))
        while record.kept_bytes > share_bytes:
            self._drop(record)

    def _drop(self, record: CallRecord) -> None:
        kept = record.kept.popleft()
        size_bytes = len(kept.message) + _OVERHEAD_BYTES
        record.kept_bytes -= size_bytes
        record.dropped_pub_seq = kept.pub_seq
        self.kept_bytes -= size_bytes
