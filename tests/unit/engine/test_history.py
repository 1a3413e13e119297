"""The past of a stream is kept in memory that it has filled, and in no more."""

import sys
from pathlib import Path

import numpy as np
import pytest

from rtemo.engine.history import History

pytestmark = pytest.mark.unit


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how much of the memory is there")
def test_a_hundred_streams_that_come_at_once_cost_a_page_each_and_not_two_megabytes() -> None:
    """Huge pages had the tick in which they came take 0.16 s: the system clears each at its first write."""
    slots = np.arange(100)
    history = History(len(slots), hops=1_400, hop_samples=160)
    before = resident_bytes()
    history.append(slots, np.ones((len(slots), 160), np.float32), np.zeros(len(slots), np.int64))
    assert resident_bytes() - before < 100 * 64_000
    assert history.read(7, 0, 0, 160) is not None


def test_what_was_never_written_reads_as_nothing() -> None:
    history = History(slots=2, hops=8, hop_samples=4)
    assert history.read(0, 0, 0, 4) is None
    assert history.end_sample(0) == 0
