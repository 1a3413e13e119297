"""Gather: collect the due hop of every live stream into one block, and settle what is late or too much."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import HopFlag
from rtemo.dsp.kernel import kernel
from rtemo.engine.ring import WHOLE_GAP, RingRows

_DISCONTINUITY = int(HopFlag.DISCONTINUITY)
_CONCEALED = int(HopFlag.CONCEALED)
_PADDED = int(HopFlag.PADDED)
_LAST = int(HopFlag.LAST)
_AMPLE_HOPS = 5  # in hand beyond the usual before gaps are passed over
_NO_FILL = (1 << 63) - 1  # a constant, since np.iinfo in a kernel brings a quarter of SciPy into memory


class Intake:
    """The driver's side of the rings: positions, debts and counters of every slot.

    Positions count the samples of the stream, gaps included, as its writer does. Where audio was made up because
    it was late, the position runs ahead; what is then passed over (a gap of samples that never came, or surplus
    delay) brings the two together again.

    Attributes:
        position: int64 [slots], position in the stream of the next hop handed out.
        heard: int64 [slots], one past the last sample handed out, the padding at the end left out.
        prefill: int64 [slots], samples a live stream keeps in hand against jitter: what its source asked for,
            and more after it was late for its company.
        drain_hops: int64 [slots], empty hops still to come after the end, so that delayed audio gets out.
        overrun: int64 [slots], samples overwritten before they were read.
        skipped: int64 [slots], hops dropped by the overload policy.
        concealed: int64 [slots], hops made up because the audio was late.
        dry_hops: int64 [slots], hops made up while others had audio, since a stream had any itself.
        mute_hops: From so many on a stream is mute, and nobody waits for it.
    """

    def __init__(
        self,
        ring: RingRows,
        is_live: bool,
        max_backlog_samples: int,
        patience_ns: int,
        settle_ns: int,
        max_surplus_samples: int = 1 << 40,
        surplus_patience_ns: int = 0,
        mute_hops: int = 1 << 40,
    ) -> None:
        slots = ring.write.shape[0]
        self.ring = ring
        self.position = np.zeros(slots, np.int64)
        self.heard = np.zeros(slots, np.int64)
        self.prefill = np.zeros(slots, np.int64)
        self.drain_hops = np.zeros(slots, np.int64)
        self.overrun = np.zeros(slots, np.int64)
        self.skipped = np.zeros(slots, np.int64)
        self.concealed = np.zeros(slots, np.int64)
        self.dry_hops = np.zeros(slots, np.int64)
        self.mute_hops = mute_hops
        self._asked = np.zeros(slots, np.int64)
        self._over_since_ns = np.zeros(slots, np.int64)
        self._surplus_since_ns = np.zeros(slots, np.int64)
        self._least_fill = np.zeros(slots, np.int64)
        self._last_sample = np.zeros(slots, np.float32)
        self._last_capture_ns = np.zeros(slots, np.int64)
        self._broken = np.zeros(slots, np.uint8)
        self._is_live = is_live
        self._max_backlog_samples = max_backlog_samples
        self._patience_ns = patience_ns
        self._settle_ns = settle_ns
        self._max_surplus_samples = max_surplus_samples
        self._surplus_patience_ns = surplus_patience_ns
        self._settled_ns = 0

    def clear(self, slot: int, prefill_samples: int, drain_hops: int) -> None:
        """Make a slot fresh for a new stream."""
        for array in (self.position, self.heard, self.overrun, self.skipped, self.concealed, self.dry_hops):
            array[slot] = 0
        self._over_since_ns[slot] = self._surplus_since_ns[slot] = 0
        self.prefill[slot] = self._asked[slot] = prefill_samples
        self.drain_hops[slot] = drain_hops
        self._least_fill[slot] = 0  # judged from the next whole window on
        self._last_sample[slot] = 0.0
        self._last_capture_ns[slot] = 0
        self._broken[slot] = 0

    def lose_hop(self, slot: int) -> None:
        """Count a hop that was taken but never came out of the chain."""
        self.skipped[slot] += 1
        self._broken[slot] = 1

    def take(
        self,
        slots: NDArray[np.int64],
        now_ns: int,
        samples: NDArray[np.float32],
        start_sample: NDArray[np.int64],
        flags: NDArray[np.uint8],
        capture_ns: NDArray[np.int64],
    ) -> None:
        """Fill one block: a hop for every slot in `slots`, concealed where there is none.

        Args:
            slots: int64 [n].
            now_ns: Monotonic time.
            samples: float32 [n, hop_samples], written.
            start_sample: int64 [n], written.
            flags: uint8 [n], written.
            capture_ns: int64 [n], written: UTC ns of the hop's last sample.
        """
        ring = self.ring
        # `ended` is read before `write`: the writer stores them in the other order, so no last samples are missed.
        ended = ring.ended[slots]
        written = ring.write[slots]
        before = ring.read[slots]
        settle = self._is_live and now_ns - self._settled_ns >= self._settle_ns
        if settle:
            self._settled_ns = now_ns
        take_hops(
            slots, ended, written, now_ns, settle, self._is_live, self._max_backlog_samples, self._patience_ns,
            self._max_surplus_samples, self._surplus_patience_ns, self.mute_hops,
            ring.slab, ring.flags, ring.capture_ns, ring.read, ring.sample_rate_hz,
            self.position, self.heard, self.prefill, self._asked, self.drain_hops,
            self.overrun, self.skipped, self.concealed, self.dry_hops,
            self._over_since_ns, self._surplus_since_ns, self._least_fill, self._last_sample, self._last_capture_ns,
            self._broken,
            samples, start_sample, flags, capture_ns,
        )  # fmt: skip
        if not self._is_live:
            return
        after = ring.read[slots]
        torn = (after > before) & (ring.claim[slots] - (after - ring.hop_samples) > ring.capacity_samples)
        if torn.any():  # the writer has overtaken the copy: what was copied may be a mixture
            for i in np.flatnonzero(torn):
                samples[i] = 0.0
                flags[i] = _DISCONTINUITY | _CONCEALED
                self.overrun[slots[i]] += ring.hop_samples
                self._last_sample[slots[i]] = 0.0
                self._broken[slots[i]] = 1


@kernel
def take_hops(
    slots: Any, ended: Any, written: Any, now_ns: Any, settle: Any, is_live: Any, max_backlog: Any, patience_ns: Any,
    max_surplus: Any, surplus_patience_ns: Any, mute_hops: Any,
    slab: Any, ring_flags: Any, ring_capture: Any, read: Any, sample_rate_hz: Any,
    position: Any, heard: Any, prefill: Any, asked: Any, drain_hops: Any, overrun: Any, skipped: Any, concealed: Any,
    dry_hops: Any, over_since_ns: Any, surplus_since_ns: Any, least_fill: Any, last_sample: Any, last_capture_ns: Any,
    broken: Any,
    samples: Any, start_sample: Any, flags: Any, capture_ns: Any,
) -> None:  # fmt: skip
    """Copy or make up one hop per slot; see `Intake.take`."""
    capacity = slab.shape[1]
    hop = slab.shape[2]
    hop_ns = hop * 1_000_000_000 // sample_rate_hz
    in_company = False
    catches_up = True  # everybody has audio to spare: ticks are due at once, and delay is worked off without loss
    for i in range(slots.shape[0]):
        s = slots[i]
        in_company |= written[i] - read[s] >= hop
        fill = written[i] - read[s]
        catches_up &= ended[i] != 0 or fill >= hop + prefill[s] or (fill < hop and dry_hops[s] >= mute_hops)
    is_alone = catches_up and slots.shape[0] == 1
    surplus_wait_ns = surplus_patience_ns * 3 // 2 if catches_up else surplus_patience_ns
    for i in range(slots.shape[0]):
        s = slots[i]
        fill = written[i] - read[s]
        flag = 0
        passed = 0
        if fill > capacity * hop:  # the writer went round: keep the newer half
            passed = (fill - capacity * hop // 2) // hop * hop
            overrun[s] += passed
        elif is_live and not ended[i]:
            drop = 0
            if fill > prefill[s] + max_backlog:
                if over_since_ns[s] == 0:
                    over_since_ns[s] = now_ns
                elif now_ns - over_since_ns[s] >= patience_ns:
                    drop = (fill - prefill[s] - hop) // hop
                    over_since_ns[s] = 0
            else:
                over_since_ns[s] = 0
            if is_alone or fill <= prefill[s] + max_surplus:
                surplus_since_ns[s] = 0
            elif surplus_since_ns[s] == 0:
                surplus_since_ns[s] = now_ns
            elif drop == 0 and now_ns - surplus_since_ns[s] >= surplus_wait_ns:
                # Others set the pace, so what is left of a burst would stand here for ever.
                drop = (fill - prefill[s] - hop) // hop
                surplus_since_ns[s] = 0
            if settle:
                if drop == 0 and least_fill[s] > asked[s] + hop:
                    # Never empty in a whole window: a hop of delay for nothing. Keeping less in hand may be enough
                    # to have it worked off; where others set the pace it is dropped.
                    if prefill[s] > asked[s]:
                        prefill[s] = max(asked[s], prefill[s] - hop)
                    else:
                        drop = 1
                least_fill[s] = _NO_FILL
            passed = drop * hop
            skipped[s] += drop
        if passed > 0:
            read[s] += passed
            fill -= passed
            broken[s] = 1
        while fill >= 2 * hop and position[s] > read[s] and ring_flags[s, (read[s] // hop) % capacity] & WHOLE_GAP:
            read[s] += hop  # a gap over time that concealed hops have filled already
            fill -= hop
        if is_live and slots.shape[0] > 1:
            # Time that is lost anyhow: one stream must not make up for it hop by hop while others go on.
            while (
                fill - hop > prefill[s] + _AMPLE_HOPS * hop and ring_flags[s, (read[s] // hop) % capacity] & WHOLE_GAP
            ):
                read[s] += hop
                fill -= hop
                broken[s] = 1
        position[s] = max(position[s], read[s])
        last_capture_ns[s] += hop_ns if last_capture_ns[s] else 0
        if fill >= hop or not ended[i]:
            heard[s] = position[s] + hop
        elif fill > 0:
            heard[s] = position[s] + fill
        if fill >= hop:
            dry_hops[s] = 0
            h = (read[s] // hop) % capacity
            for k in range(hop):
                samples[i, k] = slab[s, h, k]
            flag = ring_flags[s, h] & ~WHOLE_GAP
            last_capture_ns[s] = ring_capture[s, h]
            read[s] += hop
            if flag & _CONCEALED:
                broken[s] = 1
            elif broken[s]:
                flag |= _DISCONTINUITY
                broken[s] = 0
        elif ended[i]:
            flag = _PADDED
            h = (read[s] // hop) % capacity
            for k in range(hop):
                samples[i, k] = slab[s, h, k] if k < fill else np.float32(0.0)
            if fill > 0:
                flag |= ring_flags[s, h] & ~WHOLE_GAP
                flag |= _DISCONTINUITY if broken[s] else 0
                last_capture_ns[s] = ring_capture[s, h]
                read[s] += fill
            else:
                drain_hops[s] -= 1
                if drain_hops[s] <= 0:
                    flag |= _LAST
        else:
            value = last_sample[s]
            for k in range(hop):
                value *= np.float32(0.95)
                samples[i, k] = value if abs(value) > 1e-6 else np.float32(0.0)
            flag = _CONCEALED
            concealed[s] += 1
            dry_hops[s] += in_company  # where nobody has audio, nobody is mute
            if in_company and not broken[s]:
                # Late for its company, which must not be held up again and again: keep one hop more in hand.
                prefill[s] = min(prefill[s] + hop, asked[s] + max_backlog // 2)
            broken[s] = 1
        fill = written[i] - read[s]
        if fill < least_fill[s]:
            least_fill[s] = fill
        last_sample[s] = samples[i, hop - 1]
        start_sample[i] = position[s]
        position[s] += hop
        flags[i] = flag
        capture_ns[i] = last_capture_ns[s]
