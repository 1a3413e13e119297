import gc
import sys
from functools import partial

import msgspec
import numpy as np
import pytest

from rtemo.api import Counters, Health
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from tests.engine.plugins import slow, teller
from tests.engine.rig import HOP, HOP_NS, Rig, Timetable, ramp

pytestmark = pytest.mark.engine

S = 1_000_000_000


def test_wait_and_busy_are_exact() -> None:
    clock = Timetable()
    first, second = slow("first", clock), slow("second", clock)
    rig = Rig(first, second, clock=clock)
    first.processor.busy_ns, second.processor.busy_ns = 20, 5
    writer = rig.open()
    for tick in range(1, 4):
        rig.run_until(tick * HOP_NS)
        rig.clock.at(clock.now_ns() + 1000, lambda: writer.write(ramp(HOP)))
        rig.tick()
    stages = rig.engine.chain.stages
    assert [(stage.busy.count, stage.busy.total_ns, stage.busy.max_ns) for stage in stages] == [(3, 60, 20), (3, 15, 5)]
    assert [(stage.wait.count, stage.wait.total_ns) for stage in stages] == [(3, 0), (3, 60)]
    assert (rig.engine.driver.tick_time.total_ns, rig.engine.driver.late.total_ns) == (75, 0)


def test_health_reports_the_interval_and_starts_anew() -> None:
    clock = Timetable()
    heavy = slow("heavy", clock)
    rig = Rig(heavy, clock=clock, health_interval_s=0.5)
    rig.all_events()
    writer = rig.open()
    heavy.processor.busy_ns = 1_000_000
    clock.every(HOP_NS, lambda: writer.write(ramp(HOP)), 0, S)
    rig.run_until(499_000_000)
    assert rig.all_events("health") == []
    heavy.processor.busy_ns = 3_000_000
    rig.run_until(S + 1_000_000)
    first, second = (event.data for event in rig.all_events("health"))
    assert isinstance(first, Health)
    assert isinstance(second, Health)
    assert (first.streams, first.ticks, second.ticks) == (1, 50, 100)
    assert first.plugins[0].busy_p50_us == pytest.approx(1000, rel=0.06)
    assert second.plugins[0].busy_p50_us == pytest.approx(3000, rel=0.06)
    assert second.load == pytest.approx(0.3)
    assert second.plugins[0].load == pytest.approx(0.3)
    assert second.tick_p50_us == pytest.approx(3000, rel=0.06)


def test_health_comes_every_interval_also_when_nothing_else_happens() -> None:
    rig = Rig(health_interval_s=1.0)
    rig.run_until(10 * S + HOP_NS)
    times = [event.emit_ns for event in rig.all_events("health")]
    assert np.allclose(np.diff(times), S, atol=HOP_NS)
    assert len(times) == 10


def test_session_start_comes_first_and_names_the_chain() -> None:
    rig = Rig(teller(), teller("other"))
    event = rig.all_events()[0]
    assert (event.kind, event.seq, event.plugin) == ("session_start", 1, "engine")
    assert event.data.chain == ("teller", "other")  # type: ignore[union-attr]
    assert event.data.hop_samples == HOP  # type: ignore[union-attr]


def test_warm_up_leaves_no_trace() -> None:
    rig = Rig(teller())
    assert [event.kind for event in rig.all_events()] == ["session_start"]
    health = rig.engine.health()
    assert (health.streams, health.ticks, health.tick_p99_us) == (0, 0, 0.0)
    assert health.counters == Counters()
    assert all(stage.busy.count == 0 for stage in rig.engine.chain.stages)
    assert not rig.engine._ring.slab.any()
    assert not rig.engine._intake.position.any()


def raised(counters: Counters) -> set[str]:
    return {name for name in Counters.__struct_fields__ if getattr(counters, name)}


def both(rig: Rig, call: str = "a") -> tuple[set[str], set[str]]:
    """Which counters are raised for the stream and for the run."""
    rig.run_dry()
    return raised(rig.final_counters(call)), raised(rig.counters())


def test_audio_the_source_lost_raises_its_counter_alone() -> None:
    rig = Rig()
    writer = rig.open()
    writer.write(ramp(10 * HOP))
    writer.write_gap(3 * HOP)
    writer.count_lost(40)
    writer.end("done")
    assert both(rig) == ({"source_lost_samples"}, {"source_lost_samples"})
    assert rig.counters().source_lost_samples == 3 * HOP + 40


def test_reader_that_stalls_raises_overrun_alone() -> None:
    rig = Rig(ring_s=0.16, max_backlog_s=10.0)
    writer = rig.open()
    for _ in range(40):
        writer.write(ramp(HOP))
    writer.end("done")
    assert both(rig) == ({"overrun_samples"}, {"overrun_samples"})
    assert rig.counters().overrun_samples == (40 - 8) * HOP


def test_slow_plugin_raises_xruns_alone() -> None:
    clock = Timetable()
    heavy = slow("heavy", clock)
    rig = Rig(heavy, clock=clock)
    heavy.processor.busy_ns = 11_000_000
    writer = rig.open()
    writer.write(ramp(HOP))
    rig.tick()
    heavy.processor.busy_ns = 0
    writer.end("done")
    assert both(rig) == ({"xruns"}, {"xruns"})


def test_policy_raises_skipped_alone() -> None:
    clock = Timetable()
    rig = Rig(clock=clock, max_backlog_s=0.1, patience_s=0.0)
    pace, writer = rig.open("pace"), rig.open("a")
    pace.write(ramp(HOP))
    writer.write(ramp(50 * HOP))
    for stream in (pace, writer):
        clock.every(HOP_NS, partial(stream.write, ramp(HOP)), HOP_NS, 100_000_000)
    rig.run_until(90_000_000)
    pace.end("done")
    writer.end("done")
    assert both(rig) == ({"skipped_hops"}, {"skipped_hops"})


def test_plugin_left_out_under_overload_raises_skipped_of_the_run() -> None:
    clock = Timetable()
    extra, late = slow("extra", clock, gives_way=("extras",)), slow("late", clock)
    rig = Rig(extra, late, clock=clock, max_backlog_s=10.0)
    writer = rig.open()
    late.processor.busy_ns = 11_000_000
    for _ in range(150):
        writer.write(ramp(HOP))
        rig.tick()
    late.processor.busy_ns = 0
    writer.end("done")
    assert both(rig) == ({"xruns"}, {"xruns", "skipped_hops"})


def test_full_outbox_raises_dropped_events_alone() -> None:
    rig = Rig(teller(), outbox_events=16)
    writer = rig.open()
    writer.write(ramp(30 * HOP))
    writer.end("done")
    rig.run_dry()
    dropped = rig.engine.outbox.dropped_events
    assert raised(rig.counters()) == {"dropped_events"}
    assert dropped == rig.counters().dropped_events == 1 + 1 + 31 + 1 - 16
    kept = rig.all_events()
    assert [event.seq for event in kept[1:]] == list(range(1, 16))
    rig.open("b")
    assert rig.all_events(call="b")[0].seq == 1


def test_late_audio_raises_concealed_alone() -> None:
    rig = Rig()
    pace, late = rig.open("pace"), rig.open("a")
    pace.write(ramp(3 * HOP))
    late.write(ramp(HOP))
    rig.run_until(3 * HOP_NS)
    late.end("done")
    pace.end("done")
    assert both(rig) == ({"concealed_hops"}, {"concealed_hops"})


def test_counters_of_the_run_include_streams_that_have_left() -> None:
    rig = Rig()
    for call in "ab":
        writer = rig.open(call)
        writer.write_gap(HOP)
        writer.end("done")
        rig.run_dry()
    rig.open("c").write_gap(HOP)
    rig.tick()
    assert rig.counters().source_lost_samples == 3 * HOP
    assert rig.engine.stop("done").counters.source_lost_samples == 3 * HOP
    assert rig.all_events("session_end")[0].data.counters.source_lost_samples == 3 * HOP  # type: ignore[union-attr]


def test_health_of_an_engine_that_was_never_opened_is_all_zero() -> None:
    engine = Engine([teller()])
    assert engine.health().ticks == 0
    assert engine.stop("unused").counters == Counters()


def test_embedding_program_keeps_its_heap_and_its_switch_interval() -> None:
    before = (gc.get_freeze_count(), sys.getswitchinterval())
    engine = Engine([])
    engine.open()
    assert (gc.get_freeze_count(), sys.getswitchinterval()) == before
    engine.stop("done")


def test_engine_that_owns_the_process_tunes_it_and_gives_it_back() -> None:
    interval_s = sys.getswitchinterval()
    engine = Engine([], EngineOptions(owns_process=True))
    engine.open()
    try:
        assert gc.get_freeze_count() > 0
        assert sys.getswitchinterval() == pytest.approx(0.0005)
    finally:
        engine.stop("done")
    assert gc.get_freeze_count() == 0
    assert sys.getswitchinterval() == pytest.approx(interval_s)


def test_options_out_of_range_are_refused() -> None:
    for bad in ({"capacity": 0}, {"ring_s": -1}, {"outbox_events": 1}, {"hang_s": 0}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(bad, EngineOptions)


def test_tap_that_raises_is_let_go_and_the_audio_goes_on() -> None:
    heard: list[int] = []

    def tap(call: str, channel: str, start_sample: int, hop: np.ndarray) -> None:
        heard.append(start_sample)
        if len(heard) == 3:
            raise KeyError("lost my file")

    engine = Engine([teller()], is_live=False, clock=Timetable(), on_audio=tap)
    engine.open()
    writer = engine.open_stream("a", "0")
    writer.write(ramp(10 * HOP))
    writer.end("done")
    while not engine.floor.is_empty:
        engine.driver.step()
    events = engine.outbox.take(0.0)
    assert heard == [0, HOP, 2 * HOP]
    (fault,) = [event.data for event in events if event.kind == "fault"]
    assert (fault.where, fault.problem, fault.action) == ("on_audio", "KeyError: 'lost my file'", "closed")
    assert sum(event.kind == "level" for event in events) == 11


def test_hops_a_tap_was_given_stay_as_they_were() -> None:
    kept: list[np.ndarray] = []
    engine = Engine([], is_live=False, clock=Timetable(), on_audio=lambda call, channel, start, hop: kept.append(hop))
    engine.open()
    writer = engine.open_stream("a", "0")
    writer.write(ramp(5 * HOP))
    writer.end("done")
    while not engine.floor.is_empty:
        engine.driver.step()
    assert np.array_equal(np.concatenate(kept)[: 5 * HOP], ramp(5 * HOP))


def test_freewheeling_driver_lets_the_publishers_catch_up_and_drops_nothing() -> None:
    rig = Rig(teller(), outbox_events=16, live=False)
    writer = rig.open()
    writer.write(ramp(100 * HOP))
    writer.end("done")
    for _ in range(50):
        rig.step()
    assert rig.engine.driver.ticks < 16
    while not rig.engine.floor.is_empty:
        rig.step()
        if rig.engine.outbox.is_half_full:
            rig.take_events()
    assert [event.seq for event in rig.all_events(call="a")] == list(range(1, 104))
    assert rig.counters().dropped_events == 0
