"""Placement: puts the packets of one stream where they belong, by their numbers and never by their arrival."""

from collections import deque
from enum import Enum
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import StreamWriter
from rtemo.io.audio_wire import AudioPacket
from rtemo.io.pcm import BYTES_PER_SAMPLE
from rtemo.io.sources.lanes import Batch, Lanes, Packet

MAX_HOLE_S = 4.0
"""A jump beyond this is believed only when a second packet follows on it (as RFC 3550, A.1, does)."""

_COUNTED_JUMP_S = 60.0
_MAX_SKEW_NS = 10_000_000_000  # capture times further off than this come from a clock that is wrong
_MAX_HELD_PACKETS = 16
_SEQUENCE_MASK = 0xFFFF_FFFF


class PlacementCounts(msgspec.Struct, kw_only=True):
    """What became of the packets of a stream; samples at the stream's own rate."""

    received_samples: int = 0
    lost_samples: int = 0
    late_packets: int = 0
    duplicate_packets: int = 0


class Hole(Enum):
    """Why positions jump."""

    LOSS = "packets are missing"
    PAUSE = "no packet is missing: the sender left silence out"


class _Held(NamedTuple):
    packet: AudioPacket
    arrived_s: float


class Placement:
    """Writes packets in the order of their positions: reordered ones sorted, holes filled, old ones dropped.

    A packet that comes too early is held for a moment, in case those before it are only late. A hole from
    which packets are missing becomes a gap, counted as lost by the source; late packets are dropped without
    counting their samples a second time. A hole from which none is missing is a pause: while the engine runs
    live it has bridged that time already, otherwise silence is written.

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
        self._reorder_s = reorder_s
        self._lane = lanes.admit(rate_hz)
        self._latency_ns = round(self._lane.latency_s * 1e9)
        self._next_sample = -1
        self._sequence = 0
        self._held: dict[int, _Held] = {}
        self._holes: deque[tuple[int, int]] = deque(maxlen=16)
        self._probe_sample = -1
        self._spill: deque[NDArray[np.float32] | int] = deque()

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
        return bool(self._held or self._spill)

    @property
    def held_samples(self) -> int:
        """Samples at the engine's rate that are held or did not fit."""
        held = sum(item.packet.count_samples for item in self._held.values())
        spilt = sum(item if isinstance(item, int) else item.shape[0] for item in self._spill)
        return held * self.to_hz // self.rate_hz + spilt

    def take(self, packet: AudioPacket, now_s: float, now_ns: int) -> None:
        """Place one packet; `now_s` is monotonic, `now_ns` UTC."""
        if packet.rate_hz != self._lane.from_hz:
            self._change_rate(packet.rate_hz, now_ns)
        if self._next_sample < 0:
            self._anchor(packet)
        if packet.start_sample == self._next_sample:
            self._write(packet, now_ns)
            if self._held:
                self.settle(now_s, now_ns)
            return
        ahead_samples = packet.start_sample - self._next_sample
        if abs(ahead_samples) > MAX_HOLE_S * self.rate_hz:
            self._probe(packet, ahead_samples, now_s, now_ns)
        elif packet.start_sample + packet.count_samples <= self._next_sample:
            self._drop_old(packet)
        else:
            if packet.start_sample in self._held:
                self.counts.duplicate_packets += 1
            self._held[packet.start_sample] = _Held(packet, now_s)
            self.settle(now_s, now_ns)

    def settle(self, now_s: float, now_ns: int) -> None:
        """Write what was held and has become due, and what did not fit before."""
        self._pour()
        while self._held:
            first = min(self._held)
            if first > self._next_sample:
                waited_s = now_s - self._held[first].arrived_s
                if waited_s < self._reorder_s and len(self._held) <= _MAX_HELD_PACKETS:
                    return
            self._release(first, now_ns)

    def finish(self, now_ns: int) -> None:
        """Write everything that is still held back: no more packets follow."""
        for start_sample in sorted(self._held):
            self._release(start_sample, now_ns)
        self._batch.flush()
        self._deliver(self._lane.flush(), 0)

    def close(self) -> None:
        """Give the lane back; nothing more may be placed."""
        self._lanes.retire(self._lane)

    def _release(self, start_sample: int, now_ns: int) -> None:
        packet = self._held.pop(start_sample).packet
        if start_sample > self._next_sample:
            self._fill(packet)
        if start_sample + packet.count_samples <= self._next_sample:
            self._drop_old(packet)
        else:
            self._write(packet, now_ns)

    def _anchor(self, packet: AudioPacket) -> None:
        self._next_sample = packet.start_sample
        self._sequence = (packet.sequence - 1) & _SEQUENCE_MASK
        self._probe_sample = -1

    def _change_rate(self, rate_hz: int, now_ns: int) -> None:
        self.finish(now_ns)
        self._lanes.retire(self._lane)
        self._lane = self._lanes.admit(rate_hz)
        self._latency_ns = round(self._lane.latency_s * 1e9)
        self._next_sample = -1
        self._holes.clear()

    def _probe(self, packet: AudioPacket, ahead_samples: int, now_s: float, now_ns: int) -> None:
        """Take a far jump only when two packets agree on it; one alone is damaged or misplaced."""
        if packet.start_sample != self._probe_sample:
            self._probe_sample = packet.start_sample + packet.count_samples
            self._lose(packet.count_samples)
            return
        for start_sample in sorted(self._held):
            self._release(start_sample, now_ns)
        missing = (packet.sequence - self._sequence - 1) & _SEQUENCE_MASK
        if 1 < missing < 1 << 31 and 0 < ahead_samples <= _COUNTED_JUMP_S * self.rate_hz:
            self._lose(ahead_samples - packet.count_samples)  # the first of the two is counted already
        self._anchor(packet)
        self.take(packet, now_s, now_ns)

    def _fill(self, packet: AudioPacket) -> None:
        """Fill the hole before a packet."""
        start, end = self._next_sample, packet.start_sample
        missing = (packet.sequence - self._sequence - 1) & _SEQUENCE_MASK
        reason = Hole.LOSS if missing else Hole.PAUSE
        self._next_sample = end
        if reason is Hole.PAUSE and self._is_live:
            return
        self._batch.flush()
        silence = self._lane.convert(np.zeros(end - start, np.float32))
        if reason is Hole.PAUSE:
            self._deliver(silence, 0)
            return
        self._holes.append((start, end))
        self.counts.lost_samples += end - start
        if self._is_live:
            self._writer.write_gap(silence.shape[0])
        else:
            self._spill.append(silence.shape[0])
            self._pour()

    def _write(self, packet: AudioPacket, now_ns: int) -> None:
        payload = packet.payload
        skip_samples = self._next_sample - packet.start_sample
        if skip_samples:
            payload = payload[skip_samples * BYTES_PER_SAMPLE[packet.codec] :]
        self.counts.received_samples += packet.count_samples - skip_samples
        self._next_sample = packet.start_sample + packet.count_samples
        self._sequence = packet.sequence
        capture_ns = packet.capture_ns
        if capture_ns:
            is_sane = abs(now_ns - capture_ns) < _MAX_SKEW_NS
            capture_ns = min(capture_ns, now_ns) - self._latency_ns if is_sane else 0
        self._batch.add(Packet(self._lane, packet.codec, payload, capture_ns, self._deliver))

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

    def _drop_old(self, packet: AudioPacket) -> None:
        end = packet.start_sample + packet.count_samples
        if any(packet.start_sample < hole_end and end > hole_start for hole_start, hole_end in self._holes):
            self.counts.late_packets += 1  # its samples were counted when the hole was filled
        else:
            self.counts.duplicate_packets += 1

    def _lose(self, count_samples: int) -> None:
        self.counts.lost_samples += count_samples
        self._writer.count_lost(count_samples * self.to_hz // self.rate_hz)
