import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from numpy.typing import NDArray

from rtemo.api import HopFlag
from rtemo.engine.gather import Intake
from rtemo.engine.ring import RingRows

pytestmark = pytest.mark.unit

HOP = 8
CAPACITY_HOPS = 4
CAPACITY = HOP * CAPACITY_HOPS
FOREVER = 1 << 60


def intake_of(ring: RingRows, is_live: bool = True) -> Intake:
    """An intake whose overload policy never acts."""
    return Intake(ring, is_live, max_backlog_samples=FOREVER, patience_ns=FOREVER, settle_ns=FOREVER)


class Taken:
    """One hop of one slot, taken."""

    def __init__(self, intake: Intake, slot: int = 0) -> None:
        hop = intake.ring.hop_samples
        samples, start = np.full((1, hop), np.nan, np.float32), np.zeros(1, np.int64)
        flags, capture = np.zeros(1, np.uint8), np.zeros(1, np.int64)
        intake.take(np.array([slot]), 0, samples, start, flags, capture)
        self.samples: NDArray[np.float32] = samples[0]
        self.start_sample = int(start[0])
        self.flags = HopFlag(int(flags[0]))
        self.capture_ns = int(capture[0])


class RingMachine(RuleBasedStateMachine):
    """Ring and intake of one live slot against lists that remember everything."""

    @initialize(lap=st.sampled_from([0, 1, (1 << 40) // HOP - 3]), slot=st.integers(0, 2))
    def begin(self, lap: int, slot: int) -> None:
        self.slot, self.base = slot, lap * HOP
        self.ring = RingRows(3, CAPACITY_HOPS, HOP)
        self.intake = intake_of(self.ring)
        for index in (self.ring.write, self.ring.read, self.ring.claim, self.intake.position):
            index[slot] = self.base
        self.written: list[float | None] = []  # None where a gap is
        self.notes: list[HopFlag] = []
        self.read = self.overrun = self.passed = self.handed = self.concealed = 0
        self.position = 0
        self.is_broken = False

    @rule(size=st.integers(0, 3 * HOP), seed=st.integers(0, 1 << 30))
    def write(self, size: int, seed: int) -> None:
        samples = np.random.default_rng(seed).uniform(-0.9, 0.9, size).astype(np.float32)
        self.ring.append(self.slot, samples, 0)
        self.written += [float(value) for value in samples]
        self.notes += [HopFlag.NONE] * size

    @rule(value=st.sampled_from([np.nan, np.inf, -np.inf, 1.0, -1.0, 3.0, -1e30, 32767 / 32768]))
    def write_one_bad(self, value: float) -> None:
        self.ring.append(self.slot, np.array([value], np.float32), 0)
        finite = bool(np.isfinite(value))
        self.written.append(float(np.float32(min(max(value, -1.0), 1.0))) if finite else 0.0)
        self.notes.append(HopFlag.CLIPPED if finite else HopFlag.SANITISED)

    @rule(size=st.integers(0, 2 * HOP))
    def write_gap(self, size: int) -> None:
        self.ring.append_gap(self.slot, size, 0)
        self.written += [None] * size
        self.notes += [HopFlag.CONCEALED] * size

    @rule(size=st.integers(CAPACITY, 5 * CAPACITY), is_gap=st.booleans(), seed=st.integers(0, 1 << 30))
    def write_more_than_fits(self, size: int, is_gap: bool, seed: int) -> None:
        if is_gap:
            self.write_gap(size)
        else:
            self.write(size, seed)

    @rule(count=st.integers(1, 6))
    def take(self, count: int) -> None:
        for _ in range(count):
            self._take_one()

    def _take_one(self) -> None:
        fill = len(self.written) - self.read
        if fill > CAPACITY:
            lost = (fill - CAPACITY // 2) // HOP * HOP
            self.overrun += lost
            self._pass(lost)
            self.is_broken = True
        while len(self.written) - self.read >= 2 * HOP and self.position > self.read and self._is_whole_gap():
            self.passed += HOP
            self._pass(HOP)
        self.position = max(self.position, self.read)
        got = Taken(self.intake, self.slot)
        assert got.start_sample == self.base + self.position
        self.position += HOP
        if len(self.written) - self.read < HOP:
            self.concealed += 1
            self.is_broken = True
            assert got.flags == HopFlag.CONCEALED
            assert np.abs(got.samples).max() <= 1.0
            return
        hop = self.written[self.read : self.read + HOP]
        expected = HopFlag.NONE
        for note in self.notes[self.read : self.read + HOP]:
            expected |= note
        if HopFlag.CONCEALED in expected:
            self.is_broken = True
        elif self.is_broken:
            expected |= HopFlag.DISCONTINUITY
            self.is_broken = False
        assert got.flags == expected
        for value, sample in zip(hop, got.samples, strict=True):
            assert abs(sample) <= 1.0 if value is None else sample == np.float32(value)
        self._pass(HOP)
        self.handed += HOP

    def _is_whole_gap(self) -> bool:
        return all(value is None for value in self.written[self.read : self.read + HOP])

    def _pass(self, count: int) -> None:
        self.read += count

    @invariant()
    def indices_agree(self) -> None:
        if not hasattr(self, "ring"):
            return
        assert self.ring.write[self.slot] == self.base + len(self.written)
        assert self.ring.claim[self.slot] == self.ring.write[self.slot]
        assert self.ring.read[self.slot] == self.base + self.read
        assert self.intake.overrun[self.slot] == self.overrun
        assert self.intake.concealed[self.slot] == self.concealed
        assert self.intake.skipped[self.slot] == 0
        unread = len(self.written) - self.read
        assert self.handed + self.overrun + self.passed + unread == len(self.written)

    @invariant()
    def other_slots_are_untouched(self) -> None:
        if hasattr(self, "ring"):
            others = [slot for slot in range(3) if slot != self.slot]
            assert not self.ring.slab[others].any()
            assert not self.ring.write[others].any()


TestRingAgainstModel = RingMachine.TestCase
TestRingAgainstModel.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_ring_refuses_a_capacity_that_is_not_a_power_of_two() -> None:
    for capacity_hops in (0, 2, 3, 12, 100):
        with pytest.raises(ValueError, match="power of two"):
            RingRows(1, capacity_hops, HOP)


@given(sizes=st.lists(st.integers(1, 5 * HOP), min_size=1, max_size=30))
def test_space_never_lets_a_writer_overwrite_unread_hops(sizes: list[int]) -> None:
    ring = RingRows(1, CAPACITY_HOPS, HOP)
    intake = intake_of(ring, is_live=False)
    written = np.arange(1, sum(sizes) + 1, dtype=np.float32) / np.float32(4096)
    heard: list[NDArray[np.float32]] = []
    at = 0
    while at < written.shape[0]:
        chunk = written[at : at + min(sizes[at % len(sizes)], ring.space_samples(0))]
        ring.append(0, chunk, 0)
        at += chunk.shape[0]
        if ring.write[0] - ring.read[0] >= HOP:
            heard.append(Taken(intake).samples)
    while ring.write[0] - ring.read[0] >= HOP:
        heard.append(Taken(intake).samples)
    out = np.concatenate(heard) if heard else np.zeros(0, np.float32)
    assert np.array_equal(out, written[: out.shape[0]])
    assert written.shape[0] - out.shape[0] < HOP
    assert intake.overrun[0] == 0


def test_bad_samples_become_zero_and_flag_only_their_own_hop() -> None:
    ring = RingRows(1, CAPACITY_HOPS, HOP)
    samples = np.full(3 * HOP, 0.25, np.float32)
    samples[HOP + 2], samples[HOP + 3] = np.nan, -np.inf
    ring.append(0, samples, 0)
    intake = intake_of(ring)
    before, bad, after = (Taken(intake) for _ in range(3))
    assert bad.flags == HopFlag.SANITISED
    assert before.flags == after.flags == HopFlag.NONE
    assert bad.samples[2] == bad.samples[3] == 0.0
    assert (np.delete(bad.samples, [2, 3]) == np.float32(0.25)).all()


def test_full_scale_is_flagged_as_clipped_and_more_is_limited_to_it() -> None:
    ring = RingRows(1, CAPACITY_HOPS, HOP)
    ring.append(
        0, np.array([0.9998, -0.9998] + [0.0] * 6 + [32767 / 32768] + [0.0] * 7 + [5.0, -7.0] * 4, np.float32), 0
    )
    intake = intake_of(ring)
    loud, full, over = (Taken(intake) for _ in range(3))
    assert loud.flags == HopFlag.NONE
    assert full.flags == HopFlag.CLIPPED
    assert over.flags == HopFlag.CLIPPED
    assert over.samples.tolist() == [1.0, -1.0] * 4


def test_flags_of_a_hop_do_not_survive_to_the_next_lap() -> None:
    ring = RingRows(1, CAPACITY_HOPS, HOP)
    intake = intake_of(ring)
    ring.append(0, np.full(HOP, np.nan, np.float32), 0)
    for _ in range(CAPACITY_HOPS):
        ring.append(0, np.zeros(HOP, np.float32), 0)
        Taken(intake)
    assert Taken(intake).flags == HopFlag.NONE


@given(count=st.integers(1, 40), chunk=st.integers(1, 3 * HOP), rate_hz=st.sampled_from([8_000, 16_000, 44_100]))
def test_capture_time_of_a_hop_is_that_of_its_last_sample_whatever_the_chunks(
    count: int, chunk: int, rate_hz: int
) -> None:
    ring = RingRows(1, 64, HOP, rate_hz)
    intake = intake_of(ring)
    epoch_ns = 1_700_000_000_000_000_000

    def captured_ns(position: int) -> float:
        return epoch_ns + position * 1e9 / rate_hz

    for start in range(0, count * HOP, chunk):
        size = min(chunk, count * HOP - start)
        ring.append(0, np.zeros(size, np.float32), round(captured_ns(start + size)))
    for hop in range(count):
        assert Taken(intake).capture_ns == pytest.approx(captured_ns((hop + 1) * HOP), abs=400)


def test_unknown_capture_time_stays_unknown() -> None:
    ring = RingRows(1, CAPACITY_HOPS, HOP)
    intake = intake_of(ring, is_live=False)
    ring.append(0, np.zeros(2 * HOP, np.float32), 0)
    ring.ended[0] = 1
    intake.drain_hops[0] = 1
    assert [Taken(intake).capture_ns for _ in range(3)] == [0, 0, 0]


def test_concealed_and_padded_hops_are_timed_onward_from_the_last_real_one() -> None:
    ring = RingRows(1, CAPACITY_HOPS, HOP)
    intake = intake_of(ring)
    hop_ns = HOP * 1_000_000_000 // 16_000
    ring.append(0, np.zeros(HOP, np.float32), 1_000_000_000)
    times = [Taken(intake).capture_ns for _ in range(2)]
    ring.ended[0] = 1
    times.append(Taken(intake).capture_ns)
    assert np.diff([1_000_000_000, *times]).tolist() == [0, hop_ns, hop_ns]


def test_gap_decays_from_the_last_sample_without_a_click() -> None:
    ring = RingRows(1, 64, 160)
    intake = intake_of(ring)
    ring.append(0, np.full(160, 0.8, np.float32), 0)
    ring.append_gap(0, 320, 0)
    Taken(intake)
    gap = Taken(intake)
    assert gap.flags == HopFlag.CONCEALED
    assert gap.samples[0] == pytest.approx(0.76)
    assert (np.diff(gap.samples) <= 0).all()
    assert Taken(intake).samples[-1] == 0.0


def test_partial_hop_after_a_break_says_so() -> None:
    ring = RingRows(1, CAPACITY_HOPS, HOP)
    intake = intake_of(ring)
    ring.append(0, np.full(3, 0.5, np.float32), 0)
    assert Taken(intake).flags == HopFlag.CONCEALED
    ring.ended[0] = 1
    tail = Taken(intake)
    assert tail.flags == HopFlag.PADDED | HopFlag.DISCONTINUITY
    assert tail.samples.tolist() == [0.5] * 3 + [0.0] * 5


def test_cleared_slot_holds_no_audio() -> None:
    ring = RingRows(2, CAPACITY_HOPS, HOP)
    for slot in (0, 1):
        ring.append(slot, np.full(5 * HOP, 0.5, np.float32), 7)
    ring.clear(0)
    assert not ring.slab[0].any()
    assert not ring.flags[0].any()
    assert ring.write[0] == ring.read[0] == ring.claim[0] == 0
    assert ring.slab[1].all()


class OvertakingRing(RingRows):
    """Claims more as soon as its samples have been copied, as a writer in the middle of a chunk does."""

    overtake_samples = 0

    @property
    def claim(self) -> NDArray[np.int64]:
        if self.overtake_samples and self.read[0] > 0:
            return self._claim + self.overtake_samples
        return self._claim

    @claim.setter
    def claim(self, value: NDArray[np.int64]) -> None:
        self._claim = value


@pytest.mark.parametrize("unread_hops", [CAPACITY_HOPS, 3 * CAPACITY_HOPS])
def test_hop_overwritten_while_it_was_copied_is_silenced_flagged_and_counted(unread_hops: int) -> None:
    # Also after a jump over what was overwritten before: the copy starts in the middle of the ring then.
    ring = OvertakingRing(1, CAPACITY_HOPS, HOP)
    intake = intake_of(ring)
    ring.append(0, np.full(unread_hops * HOP, 0.5, np.float32), 0)
    kept = CAPACITY_HOPS if unread_hops == CAPACITY_HOPS else CAPACITY_HOPS // 2
    ring.overtake_samples = (CAPACITY_HOPS - kept) * HOP + 1  # one sample more reaches into the copied hop
    torn = Taken(intake)
    assert torn.flags == HopFlag.CONCEALED | HopFlag.DISCONTINUITY
    assert not torn.samples.any()
    assert intake.overrun[0] == (unread_hops - kept + 1) * HOP
    ring.overtake_samples = 0
    following = Taken(intake)
    assert following.flags == HopFlag.DISCONTINUITY
    assert following.samples.tolist() == [0.5] * HOP


def test_one_claim_short_of_the_copied_hop_is_no_loss() -> None:
    ring = OvertakingRing(1, CAPACITY_HOPS, HOP)
    intake = intake_of(ring)
    ring.append(0, np.full(CAPACITY, 0.5, np.float32), 0)
    assert Taken(intake).flags == HopFlag.NONE
    ring.overtake_samples = HOP
    assert Taken(intake).flags == HopFlag.NONE
    assert intake.overrun[0] == 0


@given(seed=st.integers(0, 1 << 30), hops=st.integers(1, 12))
def test_slots_of_one_block_do_not_mix(seed: int, hops: int) -> None:
    rng = np.random.default_rng(seed)
    slots = rng.permutation(6)[:4]
    ring = RingRows(6, 16, HOP)
    intake = intake_of(ring)
    audio = rng.uniform(-0.5, 0.5, (6, hops * HOP)).astype(np.float32)
    for slot in slots:
        ring.append(int(slot), audio[slot], 0)
    samples, start = np.zeros((4, HOP), np.float32), np.zeros(4, np.int64)
    flags, capture = np.zeros(4, np.uint8), np.zeros(4, np.int64)
    for hop in range(hops):
        intake.take(slots, 0, samples, start, flags, capture)
        assert np.array_equal(samples, audio[slots, hop * HOP : (hop + 1) * HOP])
        assert (start == hop * HOP).all()
        assert not flags.any()


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 400), min_size=3, max_size=3), min_size=1, max_size=8), st.integers(0, 9))
def test_rows_written_together_are_as_if_written_one_by_one(turns: list[list[int]], seed: int) -> None:
    random = np.random.default_rng(seed)
    together, alone = (RingRows(4, 8, 160) for _ in range(2))
    slots = np.array([2, 0, 3])
    for turn, sizes in enumerate(turns):
        samples = random.uniform(-1.2, 1.2, (3, 400)).astype(np.float32)
        samples[random.random(samples.shape) < 0.01] = np.nan
        captures = np.array([0, 1_000_000_000 + 10_000_000 * turn, 7])
        together.append_rows(slots, samples, np.array(sizes), captures)
        for row, slot in enumerate(slots.tolist()):
            if sizes[row]:
                alone.append(slot, samples[row, : sizes[row]], int(captures[row]))
    for name in ("slab", "flags", "capture_ns", "write", "claim"):
        np.testing.assert_array_equal(getattr(together, name), getattr(alone, name))
