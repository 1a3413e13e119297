"""Lanes: the converters from every rate to the engine's, shared by all streams, and the batch that fills them."""

from collections.abc import Callable
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from rtemo.api import StreamWriter, TogetherWriter
from rtemo.dsp.resample_rows import RowResampler
from rtemo.io.pcm import SampleType, decode_pcm

_TABLE_ROWS = 1024


class Lane:
    """The conversion of one stream: a row in a table that it shares with others of its rate.

    A filter would smear a NaN over all samples it touches, so a bad sample goes in as zero and is marked as NaN
    again where it comes out: the writer then flags that one place.

    Attributes:
        from_hz: Rate of what goes in.
        to_hz: Rate of what comes out.
        table: Where the state stands; None when the two rates are the same.
        row: Row in the table.
    """

    def __init__(self, from_hz: int, to_hz: int, table: RowResampler | None, row: int) -> None:
        self.from_hz = from_hz
        self.to_hz = to_hz
        self.table = table
        self.row = row
        self._heard_samples = 0
        self._bad: list[int] = []

    @property
    def latency_s(self) -> float:
        """How long a sample is held back: audio that comes out now was heard this long ago."""
        return self.table.latency_samples / self.to_hz if self.table else 0.0

    def convert(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Convert any number of samples, float32 [k], by themselves."""
        if self.table is None:
            return samples
        out, counts = self.table.process(np.array([self.row]), self.clean(samples)[None, :])
        return self.mark(out[0, : counts[0]])

    def flush(self) -> NDArray[np.float32]:
        """Give what was held back, float32 [m], and start anew."""
        rest = self.mark(self.table.flush(self.row)) if self.table else np.zeros(0, np.float32)
        self._heard_samples = 0
        self._bad.clear()
        return rest

    def clean(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Replace bad samples that are about to go in by zero, and remember where they come out."""
        finite = np.isfinite(samples)
        if not finite.all():
            bad = np.flatnonzero(~finite) + self._heard_samples
            self._bad += (bad * self.to_hz // self.from_hz).tolist()
            samples = np.where(finite, samples, np.float32(0.0))
        self._heard_samples += samples.shape[0]
        return samples

    def mark(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Mark bad samples among those that have just come out."""
        if self._bad and self.table is not None:
            end = int(self.table.given_samples[self.row]) - self.table.latency_samples
            begin = end - samples.shape[0]
            for position in self._bad:
                if begin <= position < end:
                    samples[position - begin] = np.nan
            self._bad = [position for position in self._bad if position >= end]
        return samples


class Lanes:
    """Gives streams a lane when they begin and takes it back when they end."""

    def __init__(self, to_hz: int) -> None:
        self.to_hz = to_hz
        self._free: dict[int, list[tuple[RowResampler, int]]] = {}

    def admit(self, from_hz: int) -> Lane:
        """Give a lane for a stream of this rate."""
        if from_hz == self.to_hz:
            return Lane(from_hz, self.to_hz, None, 0)
        free = self._free.setdefault(from_hz, [])
        if not free:
            table = RowResampler(from_hz, self.to_hz, _TABLE_ROWS)
            free += [(table, row) for row in reversed(range(_TABLE_ROWS))]
        table, row = free.pop()
        table.reset(row)
        return Lane(from_hz, self.to_hz, table, row)

    def retire(self, lane: Lane) -> None:
        """Take a lane back; its stream must not use it any more."""
        if lane.table is not None:
            self._free[lane.from_hz].append((lane.table, lane.row))


class Packet(NamedTuple):
    """Samples on their way through a lane."""

    lane: Lane
    codec: SampleType
    payload: memoryview
    capture_ns: int
    deliver: Callable[[NDArray[np.float32], int], None]
    writer: TogetherWriter | None = None
    """Where to write straight away, with others; `deliver` otherwise."""


class Batch:
    """Packets of many streams that are decoded and converted together.

    Python's cost per call is paid once per batch instead of once per packet, and the interpreter is free for the
    driver while the kernel works. Packets of one stream keep their order.
    """

    def __init__(self) -> None:
        self._packets: dict[Lane, Packet] = {}

    def add(self, packet: Packet) -> None:
        """Take a packet; what the lane holds already goes first."""
        if packet.lane in self._packets:
            self.flush()
        self._packets[packet.lane] = packet

    def flush(self) -> None:
        """Decode, convert and deliver everything."""
        if not self._packets:
            return
        packets, self._packets = self._packets, {}
        groups: dict[tuple[RowResampler | None, str, int], list[Packet]] = {}
        for packet in packets.values():
            groups.setdefault((packet.lane.table, packet.codec, len(packet.payload)), []).append(packet)
        for (table, codec, _), members in groups.items():
            samples = decode_pcm(b"".join([packet.payload for packet in members]), codec).reshape(len(members), -1)
            if table is None:
                for packet, row in zip(members, samples, strict=True):
                    packet.deliver(row, packet.capture_ns)
                continue
            may_be_bad = codec == "f32le"
            if may_be_bad:
                samples = np.stack([packet.lane.clean(row) for packet, row in zip(members, samples, strict=True)])
            out, counts = table.process(np.array([packet.lane.row for packet in members]), samples)
            if not may_be_bad:
                members, out, counts = _write_together(members, out, counts)
            for packet, row, count in zip(members, out, counts.tolist(), strict=True):
                converted = row[:count]
                packet.deliver(packet.lane.mark(converted) if may_be_bad else converted, packet.capture_ns)


def _write_together(
    members: list[Packet], out: NDArray[np.float32], counts: NDArray[np.int64]
) -> tuple[list[Packet], NDArray[np.float32], NDArray[np.int64]]:
    """Write the rows of those whose writers can do so in one call; give the others."""
    together = [row for row, packet in enumerate(members) if packet.writer is not None]
    if not together:
        return members, out, counts
    writers = [packet.writer for packet in members if packet.writer is not None]
    captures_ns = np.array([members[row].capture_ns for row in together], np.int64)
    if len(together) == len(members):
        writers[0].write_together(writers, out, counts, captures_ns)
        return [], out[:0], counts[:0]
    writers[0].write_together(writers, out[together], counts[together], captures_ns)
    rest = [row for row, packet in enumerate(members) if packet.writer is None]
    return [members[row] for row in rest], out[rest], counts[rest]


def together_writer(writer: StreamWriter, is_live: bool) -> TogetherWriter | None:
    """Give a writer as one that writes with others; None where it cannot, or a full ring must be waited for."""
    return cast("TogetherWriter", writer) if is_live and hasattr(writer, "write_together") else None
