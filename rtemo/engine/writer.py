"""RingWriter: the writing end of a stream's ring, which its source holds."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Payload
from rtemo.engine.clock import Clock, Doorbell
from rtemo.engine.outbox import Outbox
from rtemo.engine.outlet import checked_report
from rtemo.engine.ring import RingRows
from rtemo.engine.stream import Stream


class RingWriter:
    """The writing end of a stream's ring; see `rtemo.api.StreamWriter`."""

    def __init__(
        self, stream: Stream, ring: RingRows, bell: Doorbell, clock: Clock, outbox: Outbox, is_live: bool
    ) -> None:
        self._stream = stream
        self._ring = ring
        self._bell = bell
        self._clock = clock
        self._outbox = outbox
        self._is_live = is_live

    @property
    def call(self) -> str:
        """Call the stream belongs to."""
        return self._stream.call

    @property
    def channel(self) -> str:
        """Channel within the call."""
        return self._stream.channel

    @property
    def is_closed(self) -> bool:
        """Whether the stream has ended in the engine."""
        return self._stream.is_closed

    @property
    def position_samples(self) -> int:
        """Samples written so far, gaps included."""
        return 0 if self._stream.is_closed else int(self._ring.write[self._stream.slot])

    def space_samples(self) -> int:
        """Samples that can be written now without overrun."""
        return 0 if self._stream.is_closed else self._ring.space_samples(self._stream.slot)

    def write(self, samples: NDArray[np.float32], capture_ns: int = 0) -> int:
        """Append mono samples at the engine's rate; returns how many were taken."""
        if self._stream.is_closed or self._ring.ended[self._stream.slot]:
            return 0
        if not self._is_live:
            samples = samples[: self._ring.space_samples(self._stream.slot)]
        if samples.shape[0]:
            if self._is_live and not capture_ns:
                capture_ns = self._clock.utc_ns()
            self._ring.append(self._stream.slot, np.ascontiguousarray(samples, dtype=np.float32), capture_ns)
            self._bell.ring()
        return int(samples.shape[0])

    @staticmethod
    def write_together(
        writers: "Sequence[RingWriter]",
        samples: NDArray[np.float32],
        counts: NDArray[np.int64],
        capture_ns: NDArray[np.int64],
    ) -> None:
        """Append to several live streams at once; see `rtemo.api.TogetherWriter`."""
        ring, rows = writers[0]._ring, [row for row, writer in enumerate(writers) if not writer._stream.is_closed]
        slots = np.array([writers[row]._stream.slot for row in rows], np.int64)
        is_open = ring.ended[slots] == 0
        if len(rows) < len(writers) or not is_open.all():
            kept = np.array(rows, np.int64)[is_open]
            slots, samples, counts, capture_ns = slots[is_open], samples[kept], counts[kept], capture_ns[kept]
        if not capture_ns.all():
            capture_ns = np.where(capture_ns, capture_ns, writers[0]._clock.utc_ns())
        ring.append_rows(slots, samples, counts, capture_ns)
        writers[0]._bell.ring()

    def write_gap(self, gap_samples: int) -> None:
        """Append concealed audio in place of lost samples, counted as lost by the source."""
        if self._stream.is_closed or gap_samples <= 0:
            return
        self._ring.append_gap(self._stream.slot, gap_samples, self._clock.utc_ns() if self._is_live else 0)
        self._ring.source_lost[self._stream.slot] += gap_samples
        self._bell.ring()

    def count_lost(self, lost_samples: int) -> None:
        """Count samples that were lost at an unknown place or came too late."""
        if not self._stream.is_closed:
            self._ring.source_lost[self._stream.slot] += lost_samples

    def report(self, data: Payload) -> None:
        """Emit an event about this stream at the position written so far; nothing once it has ended."""
        if self._stream.is_closed:
            return
        position = self.position_samples
        self._outbox.post(self._stream, "source", checked_report(data), position, position)

    def end(self, reason: str) -> None:
        """Say that no more audio follows."""
        if self._stream.is_closed or self._ring.ended[self._stream.slot]:
            return
        self._stream.end_reason = reason
        self._ring.ended[self._stream.slot] = 1
        self._bell.ring()
