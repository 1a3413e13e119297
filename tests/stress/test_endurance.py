"""Long runs: memory, slots and counters after ten thousand of everything, and hours of drifting clocks."""

import gc
import sys
import threading
import time
import tracemalloc
from functools import partial

import numpy as np
import pytest

import rtemo
from rtemo.api import StreamEnd
from rtemo.config import Config
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from tests.engine.plugins import delay, stamper, teller
from tests.engine.rig import HOP, HOP_NS, RATE_HZ, Rig, ramp

pytestmark = [pytest.mark.stress, pytest.mark.timed]

S = 1_000_000_000


def allocated_blocks() -> int:
    """Blocks of memory that Python objects hold, after garbage has been collected; arrays count one or two each."""
    gc.collect()
    return sys.getallocatedblocks()


def test_memory_is_flat_over_ten_thousand_ticks_with_streams_coming_and_going() -> None:
    rig = Rig(stamper(), delay("late", 250), teller(every_hops=10), live=False, capacity=16)
    rng = np.random.default_rng(0)
    sound = ramp(60 * HOP)
    count = 0

    def run(ticks: int) -> None:
        nonlocal count
        goal = rig.engine.driver.ticks + ticks
        while rig.engine.driver.ticks < goal:
            while len(rig.engine.floor._names) < 12:
                count += 1
                writer = rig.open(f"c{count}")
                writer.write(sound[: int(rng.integers(0, 60 * HOP))])
                writer.end("done")
            rig.step()
            rig.engine.outbox.take(0.0)
            rig.heard.clear()

    run(1_000)
    before = allocated_blocks()
    run(10_000)
    assert count > 3_000
    assert allocated_blocks() - before < 500
    rig.run_dry()
    assert rig.counters() == type(rig.counters())()


def test_ten_thousand_streams_opened_and_closed_leave_nothing_behind() -> None:
    rig = Rig(delay("late", HOP), teller(), capacity=8)

    def cycle(count: int) -> None:
        for index in range(count):
            writer = rig.open(f"c{index}")
            writer.write(ramp(HOP))
            writer.end("done")
            rig.run_dry()
            rig.heard.clear()
            rig.engine.outbox.take(0.0)

    cycle(300)
    before = allocated_blocks()
    cycle(10_000)
    floor = rig.engine.floor
    assert allocated_blocks() - before < 500
    assert sorted(floor._free) == list(range(8))
    assert not floor._names
    assert not floor._lobby
    assert not rig.engine._ring.slab.any()
    assert floor.streams_total == 10_300


def test_sessions_one_after_the_other_free_their_memory_and_threads() -> None:
    def run() -> None:
        with rtemo.Session(Config(chain=()), mode="freewheel") as session:
            stream = session.stream()
            stream.push(ramp(HOP))
            stream.end()
            assert list(session.events())[-1].kind == "stream_end"

    run()
    gc.collect()
    threads = threading.active_count()
    tracemalloc.start()
    run()
    gc.collect()
    grown_bytes = []
    for _ in range(3):  # what leaks grows every time; what another test has left running may grow once
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(5):
            run()
        gc.collect()
        grown_bytes.append(tracemalloc.get_traced_memory()[0] - before)
    tracemalloc.stop()
    assert min(grown_bytes) < 200_000  # one engine's rings are 21 MB
    assert threading.active_count() == threads


def test_live_threads_of_every_pace_account_for_every_sample() -> None:
    heard: dict[str, int] = {}
    lock = threading.Lock()

    def tap(call: str, channel: str, start_sample: int, hop: np.ndarray) -> None:
        if (hop > 0).all():  # concealed and padded hops are not: the ramp never is silent or decays
            with lock:
                heard[call] = heard.get(call, 0) + int((np.diff(hop) > 0).all())

    options = EngineOptions(capacity=16, ring_s=0.3, max_backlog_s=0.1, patience_s=0.05, settle_s=0.2)
    engine = Engine([teller(every_hops=50)], options, on_audio=tap)
    engine.open()
    engine.start()
    rng = np.random.default_rng(7)
    hops = {f"c{index}": int(rng.integers(100, 250)) for index in range(8)}

    def talk(call: str, speed: float, packet: int) -> None:
        writer = engine.open_stream(call, "0")
        start_s, at = time.monotonic(), 0
        while at < hops[call]:
            size = min(packet, hops[call] - at)
            writer.write(np.tile(np.linspace(0.1, 0.8, HOP, dtype=np.float32), size))
            at += size
            time.sleep(max(0.0, start_s + at * 0.01 / speed - time.monotonic()))
        writer.end("done")

    speeds, packets = (1.0, 1.0, 1.05, 0.95, 2.0, 8.0, 100.0, 0.7), (1, 2, 1, 2, 5, 10, 100, 3)
    threads = [
        threading.Thread(target=talk, args=(call, speed, packet))
        for call, speed, packet in zip(hops, speeds, packets, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    deadline_s = time.monotonic() + 10.0
    while not engine.floor.is_empty and time.monotonic() < deadline_s:
        time.sleep(0.01)
    engine.stop("done")
    events = engine.outbox.take(0.0)
    ends = {event.call: event.data for event in events if isinstance(event.data, StreamEnd)}
    assert ends.keys() == hops.keys()
    for call, count in hops.items():
        counters = ends[call].counters
        assert ends[call].duration_s * RATE_HZ == count * HOP
        accounted = heard.get(call, 0) + counters.skipped_hops + counters.overrun_samples // HOP
        assert accounted == count, (call, heard.get(call), counters)
        assert counters.dropped_events == counters.source_lost_samples == 0


@pytest.mark.timeout(600)
@pytest.mark.parametrize("minutes", [10, pytest.param(60, marks=pytest.mark.long)])
def test_drifting_clocks_leave_the_backlog_bounded(minutes: int) -> None:
    rig = Rig(health_interval_s=1e6)
    hop = ramp(HOP)
    duration_s = 60 * minutes  # 300 ppm are 18 hops in ten minutes
    for call, drift in zip("ab", (300, -300), strict=True):
        writer = rig.open(call)
        rig.clock.every(HOP_NS / (1 + drift * 1e-6), partial(writer.write, hop), 1_000_000, duration_s * S)
    ring = rig.engine.floor._ring
    most = 0
    for minute in range(1, minutes):
        rig.run_until(minute * 60 * S)
        rig.heard.clear()
        most = max(most, int((ring.write - ring.read)[:2].max()) // HOP)
    assert most <= 6
    counters = rig.counters()
    drifted_hops = duration_s * 100 * 300e-6
    assert counters.overrun_samples == counters.xruns == 0
    assert counters.concealed_hops <= drifted_hops * 1.05 + 10
    assert counters.skipped_hops <= 2 * drifted_hops * 1.05 + 10
