"""Writer and reader at full speed on two threads: every sample is handed out in order, or counted."""

import threading
import time

import numpy as np
import pytest
from numpy.typing import NDArray

from rtemo.api import HopFlag
from rtemo.engine.gather import Intake
from rtemo.engine.ring import RingRows

pytestmark = [pytest.mark.stress, pytest.mark.timed]

FOREVER = 1 << 60
CYCLE = 1 << 20
SECONDS = 1.5


def ramp(start: int, count_samples: int) -> NDArray[np.float32]:
    """Samples that tell their own position modulo `CYCLE`, exactly, and are never silent."""
    position = np.arange(start, start + count_samples, dtype=np.int64)
    return ((position % CYCLE + 1) / np.float64(2 * CYCLE)).astype(np.float32)


def positions(hop: NDArray[np.float32]) -> NDArray[np.int64]:
    return np.rint(hop.astype(np.float64) * 2 * CYCLE).astype(np.int64) - 1


class Writer(threading.Thread):
    """Writes a ramp in chunks of random size until told to stop, then to the end of a hop."""

    def __init__(self, ring: RingRows, base: int, chunk_hops: float, nap_s: float) -> None:
        super().__init__(daemon=True)
        self.ring, self.base, self.chunk_hops, self.nap_s = ring, base, chunk_hops, nap_s
        self.stopping = threading.Event()
        self.written = 0

    def run(self) -> None:
        rng = np.random.default_rng(1)
        hop = self.ring.hop_samples
        sound = ramp(self.base, CYCLE)
        sound = np.concatenate([sound, sound])
        while not self.stopping.is_set():
            size = int(rng.integers(1, max(2, round(self.chunk_hops * hop))))
            start = self.written % CYCLE
            self.ring.append(0, sound[start : start + size], 1)
            self.written += size
            if self.nap_s:
                time.sleep(self.nap_s)
        rest = -self.written % hop
        if rest:
            self.ring.append(0, sound[self.written % CYCLE : self.written % CYCLE + rest], 1)
            self.written += rest
        self.ring.ended[0] = 1


@pytest.mark.parametrize(
    ("hop", "chunk_hops", "writer_nap_s", "reader_nap_s"),
    [
        (160, 3.0, 0.0, 0.0),
        (16_384, 0.6, 0.0, 0.0),  # copying takes long, so the writer overtakes it
        (16_384, 3.0, 0.0, 0.0005),
        (160, 2.0, 0.0001, 0.0),  # a reader that is faster than its writer
        (160, 9.0, 0.0, 0.002),  # chunks of more than the ring holds
    ],
)
def test_samples_come_out_in_order_and_every_lost_one_is_counted(
    hop: int, chunk_hops: float, writer_nap_s: float, reader_nap_s: float
) -> None:
    base = (1 << 40) // hop * hop
    ring = RingRows(1, 4, hop)
    intake = Intake(ring, True, FOREVER, FOREVER, FOREVER)
    intake.clear(0, 0, 1)
    for index in (ring.write, ring.read, ring.claim, intake.position):
        index[0] = base
    writer = Writer(ring, base, chunk_hops, writer_nap_s)
    samples, start = np.zeros((1, hop), np.float32), np.zeros(1, np.int64)
    flags, capture = np.zeros(1, np.uint8), np.zeros(1, np.int64)
    slots = np.array([0])
    expected = 0  # samples of the stream that are settled: handed out or counted
    handed = torn = jumps = 0
    writer.start()
    deadline_s = time.monotonic() + SECONDS
    while True:
        if time.monotonic() > deadline_s:
            writer.stopping.set()
        before = int(intake.overrun[0])
        intake.take(slots, 0, samples, start, flags, capture)
        flag = HopFlag(int(flags[0]))
        if HopFlag.LAST in flag:
            break
        lost = int(intake.overrun[0]) - before
        if flag == HopFlag.CONCEALED:
            assert lost == 0 or lost % hop == 0
            expected += lost
            continue
        if flag == HopFlag.CONCEALED | HopFlag.DISCONTINUITY:
            assert lost >= hop
            assert not samples.any()
            torn += 1
            expected += lost
            continue
        expected += lost
        jumps += lost > 0
        assert flag in (HopFlag.NONE, HopFlag.DISCONTINUITY), flag
        assert HopFlag.DISCONTINUITY in flag or lost == 0
        got = positions(samples[0])
        assert (np.diff(got) % CYCLE == 1).all(), "a torn hop went unseen"
        assert got[0] == (base + expected) % CYCLE
        expected += hop
        handed += hop
        if reader_nap_s:
            time.sleep(reader_nap_s)
    writer.join(5.0)
    assert writer.written == handed + int(intake.overrun[0])
    assert ring.write[0] == ring.read[0] == base + writer.written
    assert writer.written > 20 * hop
    assert handed > 0


def test_freewheeling_writer_and_reader_lose_nothing() -> None:
    hop = 160
    ring = RingRows(1, 8, hop)
    intake = Intake(ring, False, FOREVER, FOREVER, FOREVER)
    intake.clear(0, 0, 1)
    sound = ramp(0, CYCLE)
    done = threading.Event()

    def write() -> None:
        rng = np.random.default_rng(2)
        at = 0
        while at < CYCLE:
            size = min(int(rng.integers(1, 600)), ring.space_samples(0), CYCLE - at)
            ring.append(0, sound[at : at + size], 0)
            at += size
        done.set()

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    samples, start = np.zeros((1, hop), np.float32), np.zeros(1, np.int64)
    flags, capture = np.zeros(1, np.uint8), np.zeros(1, np.int64)
    slots = np.array([0])
    out = []
    deadline_s = time.monotonic() + 60.0
    while not (done.is_set() and ring.write[0] - ring.read[0] < hop):
        assert time.monotonic() < deadline_s
        if ring.write[0] - ring.read[0] < hop:
            time.sleep(0)
            continue
        intake.take(slots, 0, samples, start, flags, capture)
        out.append(samples[0].copy())
        assert not flags[0]
    heard = np.concatenate(out)
    assert np.array_equal(heard, sound[: heard.shape[0]])
    assert CYCLE - heard.shape[0] < hop
    assert intake.overrun[0] == intake.concealed[0] == 0
    thread.join(5.0)
