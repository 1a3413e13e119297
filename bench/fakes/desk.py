"""FakeDesk and FakeWriter: what a source writes, recorded; with rings of any size and no engine behind them."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import FullError, NameTakenError, Payload, Source, StreamFormat

UNBOUNDED_SAMPLES = 1 << 40


class FakeWriter:
    """Records what is written; holds `ring_samples` until `drain` reads them, as a ring would.

    Attributes:
        chunks: What was written, in order; gaps stand as zeros.
        captures: (position after the write, capture_ns) of every write.
        gaps: (position, gap_samples) of every gap.
        lost_samples: Samples counted as lost, gaps included.
        overrun_samples: Samples a live stream has overwritten.
        reports: Payloads reported on the stream.
        end_reason: None until the source has ended the stream.
    """

    def __init__(self, call: str, channel: str, source: str, role: str, is_live: bool, ring_samples: int) -> None:
        self.call = call
        self.channel = channel
        self.source = source
        self.role = role
        self.prefill_s = 0.0
        self.is_estimate = False
        self.chunks: list[NDArray[np.float32]] = []
        self.captures: list[tuple[int, int]] = []
        self.gaps: list[tuple[int, int]] = []
        self.lost_samples = 0
        self.overrun_samples = 0
        self.reports: list[Payload] = []
        self.end_reason: str | None = None
        self.is_closed = False
        self.position_samples = 0
        self._is_live = is_live
        self._ring_samples = ring_samples
        self._read_samples = 0

    @property
    def samples(self) -> NDArray[np.float32]:
        """float32 [position_samples], everything written."""
        return np.concatenate(self.chunks) if self.chunks else np.zeros(0, np.float32)

    def write(self, samples: NDArray[np.float32], capture_ns: int = 0) -> int:
        assert samples.ndim == 1, samples.shape
        assert samples.dtype == np.float32, samples.dtype
        assert self.end_reason is None, "written after the end"
        if self.is_closed:
            return 0
        if not self._is_live:
            samples = samples[: self.space_samples()]
        if samples.shape[0]:
            self._append(samples.copy())
            self.captures.append((self.position_samples, capture_ns))
        return int(samples.shape[0])

    def write_gap(self, gap_samples: int) -> None:
        assert self.end_reason is None, "written after the end"
        if gap_samples <= 0:
            return
        self.gaps.append((self.position_samples, gap_samples))
        self.lost_samples += gap_samples
        self._append(np.zeros(gap_samples, np.float32))

    def count_lost(self, lost_samples: int) -> None:
        self.lost_samples += lost_samples

    def space_samples(self) -> int:
        return 0 if self.is_closed else max(0, self._ring_samples - (self.position_samples - self._read_samples))

    def report(self, data: Payload) -> None:
        self.reports.append(data)

    def end(self, reason: str) -> None:
        assert self.end_reason is None, "ended twice"
        self.end_reason = reason

    def drain(self, count_samples: int | None = None) -> None:
        """Read as the engine would: `count_samples`, or everything; a stream read to its end is closed."""
        fill = self.position_samples - self._read_samples
        taken = fill if count_samples is None else min(fill, count_samples)
        self._read_samples += taken
        if self.end_reason is not None and taken == fill:
            self.is_closed = True

    def _append(self, samples: NDArray[np.float32]) -> None:
        self.chunks.append(samples)
        self.position_samples += samples.shape[0]
        over = self.position_samples - self._read_samples - self._ring_samples
        if over > 0:
            self.overrun_samples += over
            self._read_samples += over


class FakeDesk:
    """Admits streams up to `capacity` at once and keeps every writer for inspection.

    Attributes:
        writers: Every writer ever opened, by (call, channel).
        reports: Payloads about sources as a whole.
    """

    def __init__(
        self,
        *,
        is_live: bool = False,
        capacity: int = 64,
        ring_samples: int = UNBOUNDED_SAMPLES,
        format: StreamFormat | None = None,
    ) -> None:
        self.format = format or StreamFormat()
        self.is_live = is_live
        self.capacity = capacity
        self.writers: dict[tuple[str, str], FakeWriter] = {}
        self.reports: list[Payload] = []
        self._ring_samples = ring_samples

    @property
    def open_writers(self) -> list[FakeWriter]:
        """Streams that the engine has not worked off to their end."""
        return [writer for writer in self.writers.values() if not writer.is_closed]

    def open_stream(
        self,
        call: str,
        channel: str,
        *,
        source: str = "",
        role: str = "",
        prefill_s: float = 0.0,
        is_estimate: bool = False,
    ) -> FakeWriter:
        if len(self.open_writers) >= self.capacity:
            raise FullError(f"all {self.capacity} streams are in use")
        held = self.writers.get((call, channel))
        if held is not None and held in self.open_writers:
            raise NameTakenError(f"call {call!r} channel {channel!r} is already open")
        writer = FakeWriter(call, channel, source, role, self.is_live, self._ring_samples)
        writer.prefill_s = prefill_s
        writer.is_estimate = is_estimate
        self.writers[call, channel] = writer
        return writer

    def report(self, data: Payload) -> None:
        self.reports.append(data)

    def drain(self, count_samples: int | None = None) -> None:
        """Read from every stream."""
        for writer in self.writers.values():
            writer.drain(count_samples)

    def only(self) -> FakeWriter:
        """The one stream there is."""
        (writer,) = self.writers.values()
        return writer


def play(source: Source, desk: FakeDesk, *, drain_samples: int | None = None, limit_pumps: int = 100_000) -> FakeDesk:
    """Open a source at a freewheeling desk and pump until it ends, reading `drain_samples` after every pump."""
    source.open(desk)
    try:
        for _ in range(limit_pumps):
            if source.pump() is None:
                return desk
            desk.drain(drain_samples)
        raise AssertionError(f"the source did not end within {limit_pumps} pumps")
    finally:
        source.close()
