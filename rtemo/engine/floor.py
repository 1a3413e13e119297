"""Floor: all streams of the engine, from the slot they write into to the row they occupy in the block."""

import threading
from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import Counters, FullError, NameTakenError, StreamEnd, StreamFormat, StreamStart
from rtemo.engine.chain import Chain
from rtemo.engine.gather import Intake
from rtemo.engine.outbox import Outbox
from rtemo.engine.ring import RingRows
from rtemo.engine.stream import Stream

_COMPANY_HOPS = 5
_BEHIND_HOPS = 2  # that every stream has to spare while the driver works off a burst
_LOBBY_HOPS = 25  # a newcomer does not wait longer than this for the others to have worked theirs off


class Floor:
    """Who is in the house: slots (fixed, written by sources) and rows (compact, worked on by the chain).

    `open` may be called by any thread; everything else belongs to the driver thread.
    """

    def __init__(
        self, format: StreamFormat, ring: RingRows, intake: Intake, outbox: Outbox, is_live: bool = True
    ) -> None:
        capacity = ring.write.shape[0]
        self.capacity = capacity
        self.rows: list[Stream] = []
        self._slots = np.zeros(capacity, np.int64)
        self._format = format
        self._ring = ring
        self._intake = intake
        self._outbox = outbox
        self._is_live = is_live
        self._free = deque(range(capacity))
        self._lobby: deque[Stream] = deque()
        self._names: set[tuple[str, str]] = set()
        self._lock = threading.Lock()
        self._left = Counters()
        self.streams_total = 0

    @property
    def slots(self) -> NDArray[np.int64]:
        """int64 [n], the slot of each row."""
        return self._slots[: len(self.rows)]

    @property
    def is_empty(self) -> bool:
        """Whether nobody is here or waiting to come in."""
        # By name, which is given back last: a stream on its way from the lobby to a row stands in neither.
        return not self._names

    def open(
        self,
        call: str,
        channel: str,
        source: str,
        role: str,
        prefill_samples: int,
        drain_hops: int,
        analysis: str = "person",
        is_estimate: bool = False,
    ) -> Stream:
        """Take a slot for a new stream; it gets a row once it has audio. Any thread.

        Raises:
            FullError: There is no free slot.
            NameTakenError: A live stream has the same call and channel.
        """
        with self._lock:
            if (call, channel) in self._names:
                raise NameTakenError(
                    f"call {call!r} channel {channel!r} is already open", "end it first, or use another channel name"
                )
            if not self._free:
                raise FullError(
                    f"all {self.capacity} streams are in use",
                    "end a call, raise `engine.capacity`, or send this call to another engine",
                )
            slot = self._free.popleft()
            self._names.add((call, channel))
            self.streams_total += 1
            number = self.streams_total
        self._ring.clear(slot)
        self._intake.clear(slot, prefill_samples, drain_hops)
        stream = Stream(call, channel, slot, source, role, analysis, number)
        start = StreamStart(source=source, role=role, analysis=analysis, is_estimate=is_estimate or msgspec.UNSET)
        self._outbox.post(stream, "engine", start, 0, 0)
        self._lobby.append(stream)
        return stream

    def admit_arrivals(self, chain: Chain) -> Sequence[Stream]:
        """Give a row to every waiting stream that has its first hop and what it keeps against jitter, or has ended.

        Returns who came in.

        Channels of one call come in together, so that none runs ahead of the other; one that stays without
        audio holds the rest up for `_COMPANY_HOPS` at most. While everybody here has audio to spare, as after the
        engine was held up, a newcomer, which has none, waits until that is worked off: it would hold the pace down
        to that of the clock, and the others would keep their delay.
        """
        if not self._lobby:
            return ()
        for _ in range(len(self._lobby)):
            stream = self._lobby.popleft()
            if self._is_live and self._ring.ended[stream.slot] and not self._ring.write[stream.slot]:
                self.leave(stream)  # never had audio: there is nothing to work on
            else:
                self._lobby.append(stream)
        if self._is_behind() and all(self._surplus_hops(stream) < _LOBBY_HOPS for stream in self._lobby):
            return ()
        came = []
        waiting = [self._lobby.popleft() for _ in range(len(self._lobby))]
        missing = {stream.call for stream in waiting if self._surplus_hops(stream) < 0}
        for stream in waiting:
            surplus_hops = self._surplus_hops(stream)
            if surplus_hops < 0 or (stream.call in missing and surplus_hops < _COMPANY_HOPS):
                self._lobby.append(stream)
                continue
            row = len(self.rows)
            chain.admit(row, stream.analysis)
            stream.row = row
            self._slots[row] = stream.slot
            self.rows.append(stream)
            came.append(stream)
        return came

    def _is_behind(self) -> bool:
        """Whether every live stream has more than it keeps in hand, so that they are worked off at once."""
        if not self.rows or not self._is_live:
            return False
        slots, ring = self.slots, self._ring
        surplus = ring.write[slots] - ring.read[slots] - self._intake.prefill[slots]
        return bool((surplus >= _BEHIND_HOPS * self._format.hop_samples).all())

    def _surplus_hops(self, stream: Stream) -> int:
        """Hops there beyond what is needed to begin; negative while it cannot begin."""
        if self._ring.ended[stream.slot]:
            return _COMPANY_HOPS
        needed = self._format.hop_samples + self._intake.prefill[stream.slot]
        return int(self._ring.write[stream.slot] - needed) // self._format.hop_samples

    def retire(self, row: int, chain: Chain, reason: str = "") -> None:
        """Take a row out, say so, overwrite its audio and free its slot."""
        self.leave(self.take_out(row, chain), reason)

    def take_out(self, row: int, chain: Chain) -> Stream:
        """Take a row out; its stream keeps slot and name until `leave`."""
        stream = self.rows[row]
        stream.is_doubted = bool(chain.doubts(chain.n)[row])
        chain.retire(row)
        stream.row = None
        last = self.rows.pop()
        if last is not stream:
            last.row = row
            self.rows[row] = last
            self._slots[row] = last.slot
        return stream

    def retire_all(self, chain: Chain, reason: str) -> None:
        """Take everybody out, those still waiting too."""
        for row in range(len(self.rows) - 1, -1, -1):
            self.retire(row, chain, reason)
        while self._lobby:
            self.leave(self._lobby.popleft(), reason)

    def counters_of(self, stream: Stream) -> Counters:
        """Counters of one stream so far."""
        if stream.final_counters is not None:
            return stream.final_counters
        slot = stream.slot
        return Counters(
            source_lost_samples=int(self._ring.source_lost[slot]),
            overrun_samples=int(self._intake.overrun[slot]),
            xruns=stream.xruns,
            skipped_hops=int(self._intake.skipped[slot]),
            dropped_events=stream.dropped_events,
            concealed_hops=int(self._intake.concealed[slot]),
        )

    def counters(self, xruns: int, skipped_turns: int) -> Counters:
        """Counters of the whole run: streams that have left and streams still here."""
        total = self._left
        for stream in list(self.rows):
            total = _sum(total, self.counters_of(stream))
        return Counters(
            source_lost_samples=total.source_lost_samples,
            overrun_samples=total.overrun_samples,
            xruns=xruns,
            skipped_hops=total.skipped_hops + skipped_turns,
            dropped_events=self._outbox.dropped_events,
            concealed_hops=total.concealed_hops,
        )

    def leave(self, stream: Stream, reason: str = "") -> None:
        """Say that a stream has ended, overwrite its audio and free slot and name."""
        stream.final_counters = self.counters_of(stream)
        position = int(self._ring.read[stream.slot])  # what was worked on: all of it, unless the engine was stopped
        end = StreamEnd(
            reason=reason or stream.end_reason or "end",
            duration_s=position / self._format.sample_rate_hz,
            counters=stream.final_counters,
        )
        self._left = _sum(self._left, stream.final_counters)
        with self._lock:  # who reads of the end may take the name again at once; of a closed stream the end was told
            self._outbox.post(stream, "engine", end, 0, position)
            stream.is_closed = True
            self._ring.clear(stream.slot)
            self._names.discard((stream.call, stream.channel))
            self._free.append(stream.slot)


def _sum(a: Counters, b: Counters) -> Counters:
    return Counters(**{name: getattr(a, name) + getattr(b, name) for name in Counters.__struct_fields__})
