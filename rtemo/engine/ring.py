"""RingRows: bounded audio buffers between the sources and the driver, one row per stream."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import HopFlag
from rtemo.dsp.kernel import kernel

_CONCEALED = int(HopFlag.CONCEALED)
_CLIPPED = int(HopFlag.CLIPPED)
_SANITISED = int(HopFlag.SANITISED)
_FULL_SCALE = 0.9999  # 32767 / 32768 and above counts as clipped

WHOLE_GAP = 128
"""Beside the `HopFlag` bits, inside the ring only: nothing in this hop was ever heard."""


class RingRows:
    """Rings of whole hops, single writer and single reader per slot, without a lock.

    Indices count samples from the start of the stream and never wrap, so fill and overrun are plain
    differences (as in PipeWire's ring). The writer never waits: when the reader is too slow the oldest hops
    are overwritten, which the reader finds out, counts and flags. `claim` moves before the samples are
    written and `write` after, so that the reader can tell that what it copied was being overwritten.

    Attributes:
        slab: float32 [slots, capacity_hops, hop_samples], the audio.
        flags: uint8 [slots, capacity_hops] of `HopFlag` bits and `WHOLE_GAP`.
        capture_ns: int64 [slots, capacity_hops], UTC ns at which the last sample of the hop was (or will have
            been) captured; 0 when unknown.
        write: int64 [slots], samples written.
        read: int64 [slots], samples read; always a multiple of the hop.
        claim: int64 [slots], samples written or being written.
        ended: uint8 [slots], 1 when the writer has said that no more follows.
        source_lost: int64 [slots], samples the source counted as lost.
    """

    def __init__(self, slots: int, capacity_hops: int, hop_samples: int, sample_rate_hz: int = 16_000) -> None:
        if capacity_hops < 4 or capacity_hops & (capacity_hops - 1):
            raise ValueError(f"capacity must be a power of two of at least 4 hops, got {capacity_hops}")
        self.capacity_hops = capacity_hops
        self.hop_samples = hop_samples
        self.sample_rate_hz = sample_rate_hz
        self.slab = np.zeros((slots, capacity_hops, hop_samples), np.float32)
        self.flags = np.zeros((slots, capacity_hops), np.uint8)
        self.capture_ns = np.zeros((slots, capacity_hops), np.int64)
        self.write = np.zeros(slots, np.int64)
        self.read = np.zeros(slots, np.int64)
        self.claim = np.zeros(slots, np.int64)
        self.ended = np.zeros(slots, np.uint8)
        self.source_lost = np.zeros(slots, np.int64)

    @property
    def capacity_samples(self) -> int:
        """Samples one slot holds."""
        return self.capacity_hops * self.hop_samples

    def clear(self, slot: int) -> None:
        """Make a slot fresh for a new stream and overwrite its audio. Owner: whoever holds the slot."""
        used_hops = min(self.capacity_hops, -(-int(self.claim[slot]) // self.hop_samples))
        self.slab[slot, :used_hops] = 0.0  # the rest was never written since it was last cleared
        self.flags[slot, :used_hops] = 0
        self.capture_ns[slot, :used_hops] = 0
        for index in (self.write, self.read, self.claim, self.ended, self.source_lost):
            index[slot] = 0

    def space_samples(self, slot: int) -> int:
        """Samples that can be written without overwriting unread ones. Writer's thread.

        One hop stays free so that the hop being read is never the hop being written.
        """
        return max(0, int(self.capacity_samples - self.hop_samples - (self.write[slot] - self.read[slot])))

    def append(self, slot: int, samples: NDArray[np.float32], capture_ns: int) -> None:
        """Write samples at the end of a slot, NaN and infinities as zeros. Writer's thread."""
        start = int(self.write[slot])
        self.claim[slot] = start + samples.shape[0]
        write_samples(
            self.slab[slot], self.flags[slot], self.capture_ns[slot], start, samples, capture_ns, self.sample_rate_hz
        )
        # Stored by the interpreter after the kernel has returned, so never before the samples it covers.
        self.write[slot] = start + samples.shape[0]

    def append_rows(
        self,
        slots: NDArray[np.int64],
        samples: NDArray[np.float32],
        counts: NDArray[np.int64],
        capture_ns: NDArray[np.int64],
    ) -> None:
        """Write at the ends of several slots at once, as `append` does. Writer's thread of all of them.

        Args:
            slots: int64 [n], each once.
            samples: float32 [n, m].
            counts: int64 [n], how many of the m samples of each row count.
            capture_ns: int64 [n], UTC ns of the last of them; 0 when unknown.
        """
        start = self.write[slots]
        end = start + counts
        self.claim[slots] = end
        write_rows(
            self.slab, self.flags, self.capture_ns, slots, start, samples, counts, capture_ns, self.sample_rate_hz
        )
        self.write[slots] = end

    def append_gap(self, slot: int, gap_samples: int, capture_ns: int) -> None:
        """Write concealed samples in place of lost ones; more than the ring holds is overrun too. Writer's thread."""
        if gap_samples <= 0:
            return
        if gap_samples > self.capacity_samples:
            # More than the ring holds would be overwritten at once: move the indices instead.
            skipped = (gap_samples // self.hop_samples) * self.hop_samples - self.capacity_samples
            self.claim[slot] += skipped
            self.write[slot] += skipped
            gap_samples -= skipped
        start = int(self.write[slot])
        self.claim[slot] = start + gap_samples
        write_gap(
            self.slab[slot],
            self.flags[slot],
            self.capture_ns[slot],
            start,
            gap_samples,
            capture_ns,
            self.sample_rate_hz,
        )
        self.write[slot] = start + gap_samples


@kernel
def write_samples(
    slab: Any, flags: Any, capture: Any, start: Any, samples: Any, capture_ns: Any, sample_rate_hz: Any
) -> None:
    """Copy samples into one slot's hops; sanitise and find clipping on the way."""
    capacity, hop = slab.shape
    end = start + samples.shape[0]
    position = start
    while position < end:
        h = (position // hop) % capacity
        first = position % hop
        last = min(hop, first + end - position)
        flag = flags[h] & ~WHOLE_GAP if first > 0 else 0
        for k in range(first, last):
            value = samples[position - start + k - first]
            if not np.isfinite(value):
                value = np.float32(0.0)
                flag |= _SANITISED
            elif abs(value) >= _FULL_SCALE:
                value = np.float32(min(max(value, -1.0), 1.0))
                flag |= _CLIPPED
            slab[h, k] = value
        flags[h] = flag
        position += last - first
        capture[h] = hop_capture_ns(capture_ns, end, position + hop - last, sample_rate_hz)


@kernel
def write_rows(
    slab: Any,
    flags: Any,
    capture: Any,
    slots: Any,
    starts: Any,
    samples: Any,
    counts: Any,
    capture_ns: Any,
    sample_rate_hz: Any,
) -> None:
    """Write a row of samples into each of several slots; see `write_samples`."""
    for i in range(slots.shape[0]):
        s = slots[i]
        if counts[i] > 0:
            write_samples(
                slab[s], flags[s], capture[s], starts[i], samples[i, : counts[i]], capture_ns[i], sample_rate_hz
            )


@kernel
def write_gap(
    slab: Any, flags: Any, capture: Any, start: Any, gap_samples: Any, capture_ns: Any, sample_rate_hz: Any
) -> None:
    """Write a gap: the last sample decays to silence within a few ms, so that no click is heard."""
    capacity, hop = slab.shape
    end = start + gap_samples
    value = np.float32(0.0)
    if start > 0:
        value = slab[((start - 1) // hop) % capacity, (start - 1) % hop]
    position = start
    while position < end:
        h = (position // hop) % capacity
        first = position % hop
        last = min(hop, first + end - position)
        for k in range(first, last):
            value *= np.float32(0.95)
            if abs(value) < 1e-6:
                value = np.float32(0.0)
            slab[h, k] = value
        flags[h] = flags[h] | _CONCEALED if first > 0 else _CONCEALED | WHOLE_GAP
        position += last - first
        capture[h] = hop_capture_ns(capture_ns, end, position + hop - last, sample_rate_hz)


@kernel
def hop_capture_ns(capture_ns: Any, end: Any, hop_end: Any, sample_rate_hz: Any) -> Any:
    """Tell when the last sample of a hop was captured, from when the last sample of the chunk was."""
    return capture_ns - (end - hop_end) * 1_000_000_000 // sample_rate_hz if capture_ns else 0
