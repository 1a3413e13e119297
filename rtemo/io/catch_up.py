"""CatchUp: joins a feed without a hole, and finds its way back after loss, lag and restart."""

import logging
from collections.abc import Callable
from enum import Enum
from typing import Any, Literal, NamedTuple, Protocol

from rtemo.api.text import plain
from rtemo.io.gaps import GapCount
from rtemo.io.query_wire import QueryReply
from rtemo.io.topics import event_topic
from rtemo.io.wire import Heartbeat, WireEvent

LAG_WARN_MS = 1000.0
LAG_LIMIT_MS = 2000.0
"""Events older than this when they arrive mean that we cannot keep up: drop what is queued, take a snapshot."""

_SILENT_BEATS = 3.0
_LEAST_BEAT_S, _MOST_BEAT_S = 0.01, 600.0
_ASK_BEAT_S = 0.1
_RETRY_S = 1.0
_GIVE_UP_S = 5.0
_LOG = logging.getLogger("rtemo.client")

NoticeKind = Literal["lost", "lagging", "resync", "restarted", "silent", "back", "unanswered"]


class Notice(NamedTuple):
    """Something about the connection that a consumer may want to know.

    Attributes:
        kind: `lost` events, `lagging` behind, `resync` from a snapshot, publisher `restarted`, `silent`, `back`,
            queries `unanswered`.
        detail: One sentence.
    """

    kind: NoticeKind
    detail: str


class Line(Protocol):
    """What catching up asks of the connection."""

    def ask_beat(self) -> None:
        """Ask for a heartbeat at once."""

    def ask_snapshot(self) -> frozenset[int]:
        """Ask for the last values; give the ids of the requests, none while nobody is connected."""

    def drop_backlog(self) -> None:
        """Throw away everything queued on the way."""


class Phase(Enum):
    """Where we stand."""

    JOINING = "waiting for the first heartbeat, which shows that the subscriptions are in force"
    ASKING = "waiting for the snapshot, holding live events"
    LEVELLING = "waiting until the feed has reached the snapshot, so that losses can be told from delay"
    LIVE = "passing events on"


class CatchUp:
    """Puts snapshot and feed together in the order of ZeroMQ's Clone pattern (zguide, chapter 5).

    Subscribe; hold what comes; ask for the last values; give those, then what was held, each event once and in
    order; then pass on. It begins again when the publisher has a new epoch, when the end of a topic is lost,
    and when events arrive too late. It owns no socket and no clock, so tests can play the network.

    Args:
        line: Sends requests.
        wants_snapshot: Whether last values are wanted; otherwise losses are only counted.
        tenant: For the topics of events in a snapshot.
        wants: Tells whether a topic is wanted.
        on_notice: Receives notices; they are logged when None.

    Attributes:
        gaps: What was lost.
        epoch: Life of the publisher; empty until the first heartbeat.
        restarts: How often the publisher began anew.
        resyncs: How often a snapshot was needed after the first one.
        lag_ms: How old the last event was when it arrived, by the publisher's clock.
    """

    def __init__(
        self,
        line: Line,
        *,
        wants_snapshot: bool,
        tenant: str,
        wants: Callable[[str], bool],
        on_notice: Callable[[Notice], None] | None = None,
    ) -> None:
        self.gaps = GapCount()
        self.epoch = ""
        self.restarts = 0
        self.resyncs = 0
        self.lag_ms = 0.0
        self.phase = Phase.JOINING
        self._line = line
        self._wants_snapshot = wants_snapshot
        self._tenant = tenant
        self._wants = wants
        self._on_notice = on_notice or (lambda notice: _LOG.warning("%s: %s", notice.kind, notice.detail))
        self._held: list[tuple[str, WireEvent[Any]]] = []
        self._asked: frozenset[int] = frozenset()
        self._replies: dict[int, QueryReply] = {}
        self._asked_s = 0.0
        self._begun_s = 0.0
        self._beat_s = 0.0
        self._beat_interval_s = 1.0
        self._beat_asked_s = 0.0
        self._is_lagging = False
        self._is_silent = False
        self._resync_s = 0.0

    def heartbeat(self, beat: Heartbeat, now_s: float) -> list[WireEvent[Any]]:
        """Take a heartbeat; returns events that are now due."""
        self._beat_s = now_s
        interval_s = beat.interval_ms / 1000.0
        if _LEAST_BEAT_S <= interval_s <= _MOST_BEAT_S:  # false for NaN too; anything else is no publisher of ours
            self._beat_interval_s = interval_s
        if self._is_silent:
            self._is_silent = False
            self._tell("back", "the publisher is heard again")
        self._see_epoch(beat.epoch, now_s)
        if self.phase is Phase.JOINING:
            if self._wants_snapshot:
                self._ask(now_s)
            else:
                return self._go_live(now_s)
        elif self.phase is Phase.LEVELLING and beat.pub_seq >= self._level():
            return self._go_live(now_s)
        elif self.phase is Phase.LIVE and beat.seqs:
            seqs = {topic: seq for topic, seq in beat.seqs.items() if self._wants(topic)}
            if self._wants_snapshot:
                if self.gaps.behind(seqs, beat.pub_seq):
                    self._resync(f"the last events of call {beat.call!r} did not arrive", now_s)
            elif lost := self.gaps.settle(seqs, beat.pub_seq, now_s):
                self._tell("lost", f"{lost} events of call {beat.call!r} did not arrive")
        return []

    def event(self, topic: str, event: WireEvent[Any], lag_ms: float, now_s: float) -> list[WireEvent[Any]]:
        """Take a live event; returns events that are now due."""
        self._see_epoch(event.epoch, now_s)
        self.lag_ms = lag_ms
        if self.phase is not Phase.LIVE:
            self._held.append((topic, event))
            return []
        if lag_ms > LAG_WARN_MS and not self._is_lagging:
            self._tell("lagging", f"events arrive {lag_ms / 1000:.1f} s late: they are read too slowly")
        self._is_lagging = lag_ms > (LAG_WARN_MS / 2 if self._is_lagging else LAG_WARN_MS)
        if lag_ms > LAG_LIMIT_MS and self._wants_snapshot and now_s - self._resync_s > LAG_LIMIT_MS / 1000:
            self._line.drop_backlog()
            self._resync(f"events arrive {lag_ms / 1000:.1f} s late", now_s, Phase.JOINING)
        lost = self.gaps.count(topic, event, now_s)
        if lost:
            self._tell("lost", f"{lost} events of {topic} did not arrive")
        return [] if lost is None else [event]

    def answer(self, reply: QueryReply, events: list[WireEvent[Any]], now_s: float) -> list[WireEvent[Any]]:
        """Take an answer; returns events that are now due."""
        if self.phase is not Phase.ASKING or reply.id not in self._asked:
            return []
        if not isinstance(reply.id, int) or reply.epoch != self.epoch:
            return []  # of a publisher that the feed has not reached yet, or has left behind
        self._replies[reply.id] = reply
        self._held.extend((event_topic(self._tenant, item.call, item.channel, item.kind), item) for item in events)
        if len(self._replies) < len(self._asked):
            return []
        self.phase = Phase.LEVELLING
        self._asked_s = now_s
        self._line.ask_beat()
        return []

    def tick(self, now_s: float) -> list[WireEvent[Any]]:
        """Ask again for what has not come; returns events that are now due."""
        is_quiet = now_s - self._beat_s > 1.5 * self._beat_interval_s
        if (self.phase is Phase.JOINING or is_quiet) and now_s - self._beat_asked_s > _ASK_BEAT_S:
            self._beat_asked_s = now_s
            self._line.ask_beat()
        if self.epoch and not self._is_silent and now_s - self._beat_s > _SILENT_BEATS * self._beat_interval_s:
            self._is_silent = True
            self._tell("silent", f"no heartbeat for {now_s - self._beat_s:.1f} s")
        if self.phase is Phase.ASKING:
            if now_s - self._begun_s > _GIVE_UP_S:
                self._tell("unanswered", "nobody answers queries: going on without the last values")
                self._replies = {}
                return self._go_live(now_s)
            if now_s - self._asked_s > (_RETRY_S if self._asked else _ASK_BEAT_S):
                self._ask(now_s)
        if self.phase is Phase.LEVELLING and now_s - self._asked_s > _RETRY_S:
            return self._go_live(now_s)
        return []

    def _see_epoch(self, epoch: str, now_s: float) -> None:
        if epoch == self.epoch:
            return
        if self.epoch:
            self.restarts += 1
            self.gaps.restart()
            self._held.clear()
            self._tell("restarted", "the publisher was restarted")
            self.epoch = epoch
            if self._wants_snapshot:
                self._resync("the publisher was restarted", now_s)
        self.epoch = epoch
        self._beat_s = now_s  # an event may be the first sign of life: silence counts from here

    def _resync(self, reason: str, now_s: float, begin: Phase = Phase.ASKING) -> None:
        self.resyncs += 1
        self._resync_s = now_s
        self._tell("resync", f"taking a snapshot: {reason}")
        if begin is Phase.ASKING:
            self._ask(now_s)
        else:
            self.phase = begin

    def _ask(self, now_s: float) -> None:
        if self.phase is not Phase.ASKING:
            self._begun_s = now_s
        self.phase = Phase.ASKING
        self._asked_s = now_s
        self._replies = {}
        self._asked = self._line.ask_snapshot()

    def _level(self) -> int:
        return max((reply.pub_seq for reply in self._replies.values()), default=0)

    def _go_live(self, now_s: float) -> list[WireEvent[Any]]:
        """Hand on what was held, each event once and in order, and take the publisher's numbers over."""
        self.phase = Phase.LIVE
        held = sorted((item for item in self._held if self._wants(item[0])), key=lambda item: item[1].pub_seq)
        self._held = []
        lost_before = self.gaps.lost_events
        due = [event for topic, event in held if self.gaps.count(topic, event, now_s) is not None]
        for reply in self._replies.values():
            seqs = {topic: seq for topic, seq in (reply.seqs or {}).items() if self._wants(topic)}
            self.gaps.settle(seqs, reply.pub_seq, now_s)
        self.gaps.is_seeded |= bool(self._replies)
        self._replies = {}
        lost = self.gaps.lost_events - lost_before
        if lost:
            self._tell("lost", f"{lost} events did not arrive")
        return due

    def _tell(self, kind: NoticeKind, detail: str) -> None:
        self._on_notice(Notice(kind, plain(detail)))
