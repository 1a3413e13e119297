import pytest

from rtemo.api import HopFlag
from tests.engine.plugins import (
    SlowProcessor,
    slow,
)
from tests.engine.rig import HOP, HOP_NS, Rig, Timetable, ramp

pytestmark = pytest.mark.engine


def overloaded(*, is_optional: bool) -> tuple[Rig, SlowProcessor, SlowProcessor]:
    """A rig of two plugins that take the time they are told."""
    clock = Timetable()
    heavy, light = slow("heavy", clock, is_optional=is_optional), slow("light", clock)
    rig = Rig(heavy, light, clock=clock)
    for plugin in (heavy, light):
        plugin.processor.flags.clear()
        plugin.processor.ticks = 0
    return rig, heavy.processor, light.processor


def test_late_tick_is_an_xrun_charged_to_the_plugin_that_took_longest() -> None:
    rig, heavy, light = overloaded(is_optional=False)
    writer = rig.open()
    heavy.busy_ns, light.busy_ns = 7_000_000, 4_000_000
    writer.write(ramp(HOP))
    rig.tick()
    assert [stage.xruns for stage in rig.engine.chain.stages] == [1, 0]
    assert rig.counters().xruns == 1
    heavy.busy_ns, light.busy_ns = 1_000_000, 9_100_000
    rig.run_until(30_000_000)
    writer.write(ramp(HOP))
    rig.tick()
    assert [stage.xruns for stage in rig.engine.chain.stages] == [1, 1]
    writer.end("done")
    heavy.busy_ns = light.busy_ns = 0
    rig.run_dry()
    assert rig.final_counters("a").xruns == 2
    assert rig.final_counters("a").skipped_hops == 0


def test_tick_that_ends_just_in_time_is_no_xrun() -> None:
    rig, heavy, _ = overloaded(is_optional=False)
    heavy.busy_ns = HOP_NS
    writer = rig.open()
    writer.write(ramp(HOP))
    rig.tick()
    assert rig.counters().xruns == 0


def test_optional_plugin_is_left_out_when_late_and_told_by_a_discontinuity() -> None:
    rig, heavy, light = overloaded(is_optional=True)
    writer = rig.open()
    heavy.busy_ns = 25_000_000
    writer.write(ramp(HOP))
    rig.tick()
    heavy.busy_ns = 0
    for _ in range(5):
        writer.write(ramp(HOP))
        rig.tick()
    assert light.ticks == 6
    assert heavy.ticks == 5
    assert heavy.flags == [0, HopFlag.DISCONTINUITY, 0, 0, 0]
    assert light.flags == [0] * 6
    assert rig.counters().skipped_hops == 1
    assert rig.counters().xruns == 2


def test_freewheel_is_never_late() -> None:
    clock = Timetable()
    heavy = slow("heavy", clock, is_optional=True)
    rig = Rig(heavy, clock=clock, live=False)
    heavy.processor.busy_ns, heavy.processor.ticks = 50_000_000, 0
    writer = rig.open()
    writer.write(ramp(20 * HOP))
    writer.end("done")
    rig.run_dry()
    assert heavy.processor.ticks == 21
    counters = rig.counters()
    assert counters == type(counters)()
