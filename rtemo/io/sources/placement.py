"""Placement: puts the packets of one stream where they belong, by their numbers and never by their arrival."""

import zlib
from collections import deque
from enum import Enum
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import StreamWriter
from rtemo.io.allowance import Allowance
from rtemo.io.audio_wire import AudioPacket
from rtemo.io.pcm import BYTES_PER_SAMPLE
from rtemo.io.sources.lanes import Batch, Lanes, Packet, together_writer

MAX_HOLE_S = 4.0
"""A jump beyond this is believed only when a second packet follows on it (as RFC 3550, A.1, does)."""

_COUNTED_JUMP_S = 60.0
_FILL_PACE = 2.5  # how much faster than real time holes may be filled in the long run: a packet of one sample makes one
_FILL_BURST_S = 20.0
_MAX_SKEW_NS = 10_000_000_000  # capture times further off than this come from a clock that is wrong
_MAX_HELD_PACKETS, _REMEMBERED_PACKETS = 16, 64  # the second: how far back a repeated packet is known for what it is
_HALF, _WHOLE = 1 << 31, 1 << 32  # of the sequence numbers


class PlacementCounts(msgspec.Struct, kw_only=True):
    """What became of the packets of a stream; samples at the stream's own rate.

    Attributes:
        received_samples: Written.
        lost_samples: Missing at their place, or sent to a place that nobody believed.
        late_packets: Came after their hole had been filled.
        duplicate_packets: The same packet again.
        position_steps: Times at which positions stepped back while the sequence went on; no audio is lost by that.
    """

    received_samples: int = 0
    lost_samples: int = 0
    late_packets: int = 0
    duplicate_packets: int = 0
    position_steps: int = 0


class Hole(Enum):
    """Why positions jump."""

    LOSS = "packets are missing"
    PAUSE = "no packet is missing: the sender left silence out"


class _Held(NamedTuple):
    packet: AudioPacket
    arrived_s: float


class _Doubtful(NamedTuple):
    """A packet far from where the stream is: what follows tells whether the stream has moved there."""

    packet: AudioPacket
    ahead: int  # packets ahead of the last one by its sequence number; 1 when none is missing
    arrived_s: float


class Placement:
    """Writes packets in order: reordered ones sorted by sequence number, holes filled, repeated ones dropped.

    The sequence number tells whether a packet is new, the position where it belongs. Where the two contradict each
    other the sequence number wins: positions that step back while the sequence goes on (a call handed to another
    line) are a new numbering, and the audio follows on what was there. A packet that comes too early is held for a
    moment, in case those before it are only late. A hole from which packets are missing becomes a gap, counted as
    lost by the source; late packets are dropped without counting their samples a second time. A hole from which none
    is missing is a pause: while the engine runs live it has bridged that time already, otherwise silence is written.

    Samples that are in order go through a batch shared with other streams: they are written when it is flushed.

    Args:
        writer: Where samples go.
        rate_hz: Rate announced for the stream.
        lanes: Converters to the engine's rate.
        batch: Where packets that are in order wait for company.
        is_live: Whether the engine runs in real time; otherwise what does not fit is kept until it does.
        reorder_s: How long a packet is held while one before it is missing.

    Attributes:
        counts: What became of the packets.
    """

    def __init__(
        self, writer: StreamWriter, rate_hz: int, lanes: Lanes, batch: Batch, *, is_live: bool, reorder_s: float
    ) -> None:
        self.counts = PlacementCounts()
        self._writer = writer
        self._lanes = lanes
        self._batch = batch
        self._is_live = is_live
        self._together = together_writer(writer, is_live)
        self._reorder_s = reorder_s
        self._lane = lanes.admit(rate_hz)
        self._latency_ns = round(self._lane.latency_s * 1e9)
        self._next_sample = -1  # unknown until the first packet is placed
        self._number = 0  # of the last packet placed: its sequence number without wrapping
        self._held: dict[int, _Held] = {}
        self._doubtful: _Doubtful | None = None
        self._holes: deque[tuple[int, int]] = deque(maxlen=16)
        self._placed: list[tuple[int, int, int] | None] = [None] * _REMEMBERED_PACKETS
        self._gaps: deque[tuple[int, int]] = deque(maxlen=16)
        self._spill: deque[NDArray[np.float32] | int] = deque()
        self._now_s = 0.0
        self._fills = Allowance(_FILL_PACE, _FILL_BURST_S, 0.0)

    @property
    def rate_hz(self) -> int:
        """Rate of the packets."""
        return self._lane.from_hz

    @property
    def to_hz(self) -> int:
        """Rate of the engine."""
        return self._lane.to_hz

    @property
    def is_waiting(self) -> bool:
        """Whether packets are held or samples did not fit."""
        return bool(self._held or self._spill or (self._doubtful and self._doubtful.ahead == 1))

    @property
    def held_samples(self) -> int:
        """Samples at the engine's rate that are held or did not fit."""
        held = sum(item.packet.count_samples for item in self._held.values())
        spilt = sum(item if isinstance(item, int) else item.shape[0] for item in self._spill)
        return held * self.to_hz // self.rate_hz + spilt

    def unread_gap_samples(self, read_samples: int) -> int:
        """Tell how many of the samples beyond a position of the stream are gaps, which no client has ever sent.

        Args:
            read_samples: Position up to which the engine has read.
        """
        while self._gaps and self._gaps[0][1] <= read_samples:
            self._gaps.popleft()
        return sum(end - max(start, read_samples) for start, end in self._gaps)

    def take(self, packet: AudioPacket, now_s: float, now_ns: int) -> None:
        """Place one packet; `now_s` is monotonic, `now_ns` UTC."""
        self._now_s = now_s
        if packet.rate_hz != self._lane.from_hz:
            self._change_rate(packet, now_ns)
        if self._next_sample < 0 and not self._begin(packet, now_s, now_ns):
            return
        if self._doubtful is not None and not self._resolve(self._doubtful, packet, now_ns):
            return
        ahead, ahead_samples = self._ahead(packet), packet.start_sample - self._next_sample
        if ahead_samples == 0 and ahead > 0:
            self._write(packet, ahead, now_ns)
        elif ahead <= 0:
            self._take_old(packet, ahead, ahead_samples, now_s, now_ns)
        elif abs(ahead_samples) > MAX_HOLE_S * self.rate_hz:
            self._doubtful = _Doubtful(packet, ahead, now_s)
        elif ahead == 1:
            self._put(packet, ahead, now_ns)
        elif self._number + ahead in self._held:
            self.counts.duplicate_packets += 1
        else:
            self._held[self._number + ahead] = _Held(packet, now_s)
        if self._held:
            self.settle(now_s, now_ns)

    def settle(self, now_s: float, now_ns: int) -> None:
        """Write what was held and has become due, and what did not fit before."""
        self._now_s = now_s
        self._pour()
        doubtful = self._doubtful
        if doubtful is not None and doubtful.ahead == 1 and now_s - doubtful.arrived_s >= self._reorder_s:
            self._move(doubtful, now_ns)
        while self._held:
            first = min(self._held)
            waited_s = now_s - self._held[first].arrived_s
            is_due = waited_s >= self._reorder_s or len(self._held) > _MAX_HELD_PACKETS
            if self._next_sample < 0:
                if not is_due and len(self._held) < 2:
                    return
                self._anchor(first, self._held[first].packet)
            elif first != self._number + 1 and not is_due:
                return
            self._release(first, now_ns)

    def finish(self, now_ns: int) -> None:
        """Write everything that is still held back: no more packets follow."""
        self._release_all(now_ns)
        if self._doubtful is not None:
            if self._doubtful.ahead == 1:
                self._move(self._doubtful, now_ns)
            else:
                self._give_up(self._doubtful)
        self._batch.flush()
        self._deliver(self._lane.flush(), 0)

    def close(self) -> None:
        """Give the lane back; nothing more may be placed."""
        self._lanes.retire(self._lane)

    def _ahead(self, packet: AudioPacket) -> int:
        """Tell by how many packets one is ahead of the last one placed; 0 and less when it is not new."""
        return (packet.sequence - self._number + _HALF) % _WHOLE - _HALF

    def _begin(self, packet: AudioPacket, now_s: float, now_ns: int) -> bool:
        """Find out where the stream begins; tell whether it is known now and the packet is still to be placed."""
        if packet.sequence == 0 and not self._held:
            self._anchor(0, packet)
            return True
        # The first one to arrive need not be the first one sent: wait for a second, or for the reorder time.
        base = next(iter(self._held), packet.sequence)
        number = base + (packet.sequence - base + _HALF) % _WHOLE - _HALF
        if number in self._held:
            self.counts.duplicate_packets += 1
        else:
            self._held[number] = _Held(packet, now_s)
        self.settle(now_s, now_ns)
        return False

    def _anchor(self, number: int, packet: AudioPacket) -> None:
        self._next_sample = packet.start_sample
        self._number = number - 1

    def _take_old(self, packet: AudioPacket, ahead: int, ahead_samples: int, now_s: float, now_ns: int) -> None:
        """Take a packet whose sequence number is not new: a late one, a repeated one, or a numbering begun anew."""
        if self._placed[packet.sequence % _REMEMBERED_PACKETS] == _identity(packet):
            self.counts.duplicate_packets += 1
            return
        end = packet.start_sample + packet.count_samples
        if end > self._next_sample and abs(ahead_samples) <= MAX_HOLE_S * self.rate_hz:
            self._release_all(now_ns)  # its position is new: a sender that does not count
            skip_samples = max(0, self._next_sample - packet.start_sample)
            if packet.start_sample > self._next_sample:
                self._fill(packet, ahead)
            if skip_samples < packet.count_samples:
                self._write(packet, self._ahead(packet), now_ns, skip_samples)
        elif any(packet.start_sample < hole_end and end > hole_start for hole_start, hole_end in self._holes):
            self.counts.late_packets += 1  # its samples were counted when the hole was filled
        else:
            self._doubtful = _Doubtful(packet, ahead, now_s)

    def _resolve(self, doubtful: _Doubtful, packet: AudioPacket, now_ns: int) -> bool:
        """Let the next packet tell whether the stream has moved; tell whether that packet is still to be placed."""
        before = doubtful.packet
        if _identity(before) == _identity(packet):
            self.counts.duplicate_packets += 1
            return False
        follows = packet.sequence == (before.sequence + 1) % _WHOLE
        if packet.start_sample == before.start_sample + before.count_samples or (follows and doubtful.ahead == 1):
            self._move(doubtful, now_ns)
        else:
            self._give_up(doubtful)
        return True

    def _move(self, doubtful: _Doubtful, now_ns: int) -> None:
        """Go on from a far packet."""
        self._doubtful = None
        self._release_all(now_ns)
        packet = doubtful.packet
        ahead = self._ahead(packet)
        self._jump(packet, ahead)
        self._write(packet, ahead, now_ns)

    def _jump(self, packet: AudioPacket, ahead: int) -> None:
        """Go to where a packet begins without filling anything; what nobody would believe is not counted as lost."""
        ahead_samples = packet.start_sample - self._next_sample
        if ahead > 1 and 0 < ahead_samples <= _COUNTED_JUMP_S * self.rate_hz:
            self._lose(ahead_samples)
        if ahead_samples < 0:
            self.counts.position_steps += 1
        self._holes.clear()
        self._next_sample = packet.start_sample

    def _give_up(self, doubtful: _Doubtful) -> None:
        self._doubtful = None
        sequence = doubtful.packet.sequence
        placed = self._placed[sequence % _REMEMBERED_PACKETS]
        if doubtful.ahead > 0:
            self._lose(doubtful.packet.count_samples)
        elif placed is not None and placed[0] == sequence:  # old by both its numbers, and alone
            self.counts.duplicate_packets += 1
        else:
            self.counts.late_packets += 1

    def _release_all(self, now_ns: int) -> None:
        for number in sorted(self._held):
            if self._next_sample < 0:
                self._anchor(number, self._held[number].packet)
            self._release(number, now_ns)

    def _release(self, number: int, now_ns: int) -> None:
        self._put(self._held.pop(number).packet, number - self._number, now_ns)

    def _put(self, packet: AudioPacket, ahead: int, now_ns: int) -> None:
        """Write a packet with a new sequence number, whatever its position."""
        if ahead <= 0:
            self.counts.late_packets += 1
            return
        if packet.start_sample > self._next_sample:
            self._fill(packet, ahead)
        elif packet.start_sample < self._next_sample:
            self.counts.position_steps += 1
            if ahead > 1:  # how much is missing nobody can tell any more: as many packets as this one is long
                self._lose(min((ahead - 1) * packet.count_samples, int(_COUNTED_JUMP_S * self.rate_hz)))
            self._holes.clear()
            self._next_sample = packet.start_sample
        self._write(packet, ahead, now_ns)

    def _change_rate(self, packet: AudioPacket, now_ns: int) -> None:
        self.finish(now_ns)
        self._lanes.retire(self._lane)
        self._lane = self._lanes.admit(packet.rate_hz)
        self._latency_ns = round(self._lane.latency_s * 1e9)
        self._holes.clear()
        if self._next_sample >= 0:
            self._anchor(packet.sequence, packet)

    def _fill(self, packet: AudioPacket, ahead: int) -> None:
        """Fill the hole before a packet, or jump over it where it is longer than any that is believed."""
        start, end = self._next_sample, packet.start_sample
        reason = Hole.PAUSE if ahead == 1 else Hole.LOSS
        # Longer holes lie between packets that were held before the beginning was known.
        is_believed = end - start <= MAX_HOLE_S * self.rate_hz
        if is_believed and self._is_live:
            if reason is Hole.PAUSE:
                self._next_sample = end
                return
            is_believed = self._fills.take(self._now_s, (end - start) / self.rate_hz)  # else no clock runs that fast
        if not is_believed:
            self._jump(packet, ahead)
            return
        self._next_sample = end
        self._batch.flush()
        silence = self._lane.convert(np.zeros(end - start, np.float32))
        if reason is Hole.PAUSE:
            self._deliver(silence, 0)
            return
        self._holes.append((start, end))
        self.counts.lost_samples += end - start
        if self._is_live:
            begin = self._writer.position_samples
            self._writer.write_gap(silence.shape[0])
            self._gaps.append((begin, self._writer.position_samples))
        else:
            self._spill.append(silence.shape[0])
            self._pour()

    def _write(self, packet: AudioPacket, ahead: int, now_ns: int, skip_samples: int = 0) -> None:
        payload = packet.payload if packet.decode is None else memoryview(packet.decode(packet.payload))
        self._placed[packet.sequence % _REMEMBERED_PACKETS] = _identity(packet)
        if skip_samples:
            payload = payload[skip_samples * BYTES_PER_SAMPLE[packet.codec] :]
        self.counts.received_samples += packet.count_samples - skip_samples
        self._next_sample = packet.start_sample + packet.count_samples
        self._number += ahead
        capture_ns = packet.capture_ns
        if capture_ns:
            is_sane = abs(now_ns - capture_ns) < _MAX_SKEW_NS
            capture_ns = min(capture_ns, now_ns) - self._latency_ns if is_sane else 0
        self._batch.add(Packet(self._lane, packet.codec, payload, capture_ns, self._deliver, self._together))

    def _deliver(self, samples: NDArray[np.float32], capture_ns: int) -> None:
        if self._spill:
            self._spill.append(samples)
            self._pour()
            return
        taken = self._writer.write(samples, capture_ns) if samples.shape[0] else 0
        if taken < samples.shape[0] and not self._is_live:
            self._spill.append(samples[taken:])

    def _pour(self) -> None:
        """Write what did not fit, as far as it fits now."""
        while self._spill and not self._writer.is_closed:
            item = self._spill[0]
            if isinstance(item, int):
                part = min(item, self._writer.space_samples())
                self._writer.write_gap(part)
                rest: NDArray[np.float32] | int = item - part
                is_done = rest == 0
            else:
                part = self._writer.write(item)
                rest = item[part:]
                is_done = rest.shape[0] == 0
            if not is_done:
                self._spill[0] = rest
                return
            self._spill.popleft()

    def _lose(self, count_samples: int) -> None:
        self.counts.lost_samples += count_samples
        self._writer.count_lost(count_samples * self.to_hz // self.rate_hz)


def _identity(packet: AudioPacket) -> tuple[int, int, int]:
    """What a packet and its copy have in common; the content only matters where no time tells them apart."""
    return packet.sequence, packet.start_sample, packet.capture_ns or -zlib.crc32(packet.payload)
