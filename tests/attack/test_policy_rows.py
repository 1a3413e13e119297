"""Streams of which only the timing may be known are kept from every plugin that does not say it tells timing alone."""

import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtemo.api import Block, Emit, HopFlag, Level, Mark, PluginSpec
from rtemo.engine.chain import TurnLost
from rtemo.engine.watchdog import Watchdog
from tests.engine.plugins import FakePlugin, delay, hanging, stamper, teller, witness
from tests.engine.rig import HOP, Rig, noise

pytestmark = pytest.mark.engine


def timing_witness() -> FakePlugin:
    plugin = witness("clock")
    plugin.spec = PluginSpec(name="clock", analyses="timing")
    return plugin


def play(rig: Rig, script: list[tuple[int, str, str, int]]) -> None:
    """Open streams at their tick: (tick, call, analysis, hops); each is played to its end."""
    for tick in range(max(start for start, *_ in script) + 1):
        for start, call, analysis, hops in script:
            if start == tick:
                writer = rig.engine.open_stream(call, "0", analysis=analysis)
                writer.write(voice_of(call, hops))
                writer.end("done")
        rig.step()
    rig.run_dry()


def voice_of(call: str, hops: int) -> np.ndarray:
    return noise(hops * HOP, seed=sum(call.encode()))


def told(rig: Rig, call: str) -> list[Any]:
    return [(e.data.rms_dbfs, e.start_sample, e.end_sample) for e in rig.all_events("level", call)]


streams = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from(["person", "timing"]), st.integers(1, 8)), min_size=1, max_size=6
)


@given(streams)
@settings(max_examples=20, deadline=None)
def test_what_is_found_about_a_person_is_the_same_whoever_else_is_there(drawn) -> None:
    script = [(start, f"call-{k}", analysis, hops) for k, (start, analysis, hops) in enumerate(drawn)]
    mixed = Rig(stamper(), teller(every_hops=2), delay("late", 200), teller("after"), live=False, capacity=8)
    play(mixed, script)
    for start, call, analysis, hops in script:
        alone = Rig(stamper(), teller(every_hops=2), delay("late", 200), teller("after"), live=False, capacity=8)
        play(alone, [(0, call, "person", hops)])
        expected = told(alone, call) if analysis == "person" else []
        assert told(mixed, call) == expected
        assert np.array_equal(mixed.audio(call), alone.audio(call)), (start, analysis)


def test_plugins_about_persons_meet_nothing_of_a_stream_that_is_timed_only() -> None:
    person, clock = witness("person", hears_input=True), timing_witness()
    rig = Rig(stamper(), person, delay("late", HOP), clock, live=False)
    person.processor.seen.clear()
    clock.processor.seen.clear()
    rig_facts = []
    process = person.processor.process

    def watch(block: Block, emit: Emit) -> None:
        rig_facts.extend(facts.call for facts in block.streams)
        assert len(block.streams) == block.n
        process(block, emit)

    person.processor.process = watch
    play(rig, [(0, "employee", "timing", 6), (1, "caller", "person", 5), (2, "another", "timing", 3)])
    assert set(rig_facts) == {"caller"}
    (slot,) = {seen.slot for seen in person.processor.seen}
    heard = np.concatenate([seen.samples for seen in person.processor.seen])
    assert np.array_equal(heard[: 5 * HOP], voice_of("caller", 5))
    assert np.array_equal(np.concatenate([seen.heard for seen in person.processor.seen]), heard)
    assert len({seen.slot for seen in clock.processor.seen}) == 3
    own = [seen for seen in clock.processor.seen if seen.slot == slot]
    assert [float(seen.marks["stamp"]) for seen in own[1:]] == [seen.start_sample for seen in own[1:]]
    others = [seen for seen in clock.processor.seen if seen.slot != slot]
    assert all(np.isnan(seen.marks["stamp"]) for seen in others)  # what a plugin about persons would have said


def test_session_of_timed_streams_alone_calls_no_plugin_about_persons() -> None:
    person, clock = witness("person"), timing_witness()
    rig = Rig(person, clock, live=False)
    person.processor.seen.clear()
    play(rig, [(0, "a", "timing", 3), (0, "b", "timing", 3)])
    assert person.processor.seen == []
    assert [event.data.analysis for event in rig.all_events("stream_start")] == ["timing", "timing"]


class Doubter(FakePlugin):
    """Doubts every stream it meets, in the middle of which it fails when told to."""

    def __init__(self) -> None:
        self.fails = False
        super().__init__(PluginSpec(name="doubter", provides=(Mark("doubt"),)), lambda context, capacity: self)

    def process(self, block: Block, emit: Emit) -> None:
        block.is_doubted[:] = True
        block.marks["doubt"][:] = 1.0
        for row in range(block.n):
            emit(row, Level(rms_dbfs=0.0, peak_dbfs=0.0, clipped_ratio=0.0), 0, HOP)
        if self.fails:
            raise RuntimeError("half done")

    def admit(self, row: int) -> None: ...
    def retire(self, row: int, last: int) -> None: ...
    def close(self) -> None: ...


@pytest.mark.parametrize("fails", [False, True])
def test_marks_doubts_and_events_come_back_to_the_rows_they_are_about(fails) -> None:
    doubter, clock = Doubter(), timing_witness()
    rig = Rig(doubter, clock, live=False)
    doubter.fails = fails
    clock.processor.seen.clear()
    play(rig, [(0, "employee", "timing", 4), (0, "caller", "person", 4)])
    assert {event.call for event in rig.all_events("level")} == {"caller"}
    marks = {seen.slot: float(seen.marks["doubt"]) for seen in clock.processor.seen if not seen.flags & HopFlag.LAST}
    assert sum(mark == 1.0 for mark in marks.values()) == (0 if fails else 1)
    assert sum(np.isnan(mark) for mark in marks.values()) == (2 if fails else 1)
    assert len(rig.all_events("fault")) == fails


def test_plugin_that_hangs_over_selected_rows_is_given_up_and_cannot_write_into_them_later() -> None:
    plugin = hanging("stuck", HOP)
    rig = Rig(stamper(), plugin, teller(), live=False)
    for call, analysis in (("employee", "timing"), ("caller", "person")):
        writer = rig.engine.open_stream(call, "0", analysis=analysis)
        writer.write(voice_of(call, 8))
        writer.end("done")
    rig.tick(2)
    engine = rig.engine
    plugin.processor.hang_at_tick = engine.driver.ticks
    watchdog = Watchdog(engine.chain, 0.05, rig.clock, lambda holder: engine.driver.pass_on())

    def drive() -> None:
        with pytest.raises(TurnLost):
            rig.step()

    thread = threading.Thread(target=drive)
    thread.start()
    assert plugin.processor.is_hanging.wait(5.0)
    rig.clock.advance(1_000_000_000)
    assert watchdog.look()
    plugin.processor.release.set()
    thread.join(5.0)
    assert plugin.processor.has_returned.is_set()
    rig.run_dry()
    assert {event.call for event in rig.all_events("level")} == {"caller"}
    levels = [event.data.rms_dbfs for event in rig.all_events("level")]
    assert 99.0 not in levels
    assert max(abs(rig.audio(call)).max() for call in ("employee", "caller")) < 1.0
