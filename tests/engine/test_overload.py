"""What an engine that cannot carry its load does without: in order, one thing after the other, and back again."""

import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from rtemo.api import (
    OVERLOAD_ORDER,
    THRIFT,
    Health,
    HopFlag,
    LaneSpec,
    Overload,
    PluginError,
    PluginSpec,
    ResetReason,
)
from rtemo.engine.chain_order import check
from tests.engine.costly import costly
from tests.engine.lane_work import WorkOptions, describe
from tests.engine.plugins import FakePlugin, FakeProcessor, slow, witness
from tests.engine.rig import HOP, HOP_NS, Rig, Timetable, ramp

pytestmark = pytest.mark.engine

S = 1_000_000_000
LATE = 240
"""Samples by which the plugin that enhances delays the audio."""


class House:
    """A chain that has everything, at 7 ms a hop, and a stranger who may take more; one stream or several, live."""

    def __init__(self, streams: int = 1, is_watched: bool = False, **options: Any) -> None:
        self.clock = clock = Timetable()
        self.speech = costly("speech", clock, 0.5)
        self.reasons = costly("reasons", clock, 1.3, "extras")
        self.texts = costly("texts", clock, 1.3, "words")
        self.doubt = costly("doubt", clock, 1.3, "spoof")
        self.clean = costly("clean", clock, 1.3, "enhancement", edits_audio=True, latency_samples=LATE)
        self.mood = costly("mood", clock, 1.3, "rate")
        self.stranger = costly("stranger", clock, 0.0)
        self.all = (self.stranger, self.speech, self.mood, self.reasons, self.texts, self.doubt, self.clean)
        self.eye = witness()
        watching = (self.eye,) if is_watched else ()
        self.rig = Rig(*self.all, *watching, clock=clock, health_interval_s=0.5, **options)
        for plugin in self.all:
            plugin.processor.begin()
        self.written = 0
        self.writers = [self.rig.open(f"call {number}") for number in range(streams)]
        clock.every(HOP_NS, self._write, 0, 3_600 * S)
        if is_watched:
            self.eye.processor.seen.clear()

    def _write(self) -> None:
        for writer in self.writers:
            writer.write(ramp(HOP, self.written))
        self.written += HOP

    def run(self, duration_s: float, load_ms: float) -> "House":
        """Go on for so long, with a stranger who takes so much at every hop."""
        self.stranger.processor.busy_ns = round(load_ms * 1e6)
        self.rig.run_until(self.clock.now_ns() + round(duration_s * S))
        return self

    def changes(self) -> list[tuple[str, str]]:
        return [(event.data.state, event.data.what) for event in self.rig.all_events("overload")]

    def said(self, plugin: FakePlugin, since_s: float) -> int:
        """Events of a plugin since a time."""
        events = [event for event in self.rig.all_events("level") if event.plugin == plugin.spec.name]
        return sum(event.emit_ns >= since_s * S for event in events)

    def behind_hops(self) -> int:
        ring = self.rig.engine.floor._ring
        return int((ring.write - ring.read).max()) // HOP


HAS = ("extras", "words", "spoof", "enhancement", "rate")
"""What there is to give up in it; nobody scores queries there."""


def test_load_that_can_be_carried_takes_nothing_away_and_costs_no_counter() -> None:
    house = House().run(30.0, 1.4)  # 8.4 ms of 10
    assert house.changes() == []
    counters = house.rig.counters()
    assert counters.skipped_hops == counters.xruns == 0
    health = house.rig.engine.health()
    assert (health.given_up, health.given_up_s) == ((), 0.0)
    assert {plugin.state for plugin in health.plugins} == {"running"}


def test_things_are_given_up_in_order_and_come_back_in_the_reverse_order_when_the_load_is_gone() -> None:
    house = House().run(8.0, 7.8)  # 14.8 ms; 8.6 without everything
    assert house.changes() == [("given_up", what) for what in HAS]
    assert list(HAS) == [what for what in OVERLOAD_ORDER if what in HAS]
    house.run(60.0, 0.0)
    assert house.changes()[len(HAS) :] == [("taken_back", what) for what in reversed(HAS)]


def test_at_the_bottom_speech_and_mood_are_still_told_and_audio_is_not_behind() -> None:
    house = House().run(12.0, 7.8)
    before = house.rig.counters()
    house.run(20.0, 7.8)
    after = house.rig.counters()
    assert house.said(house.speech, 12.0) == pytest.approx(200, abs=3), "as often as ever"
    assert house.said(house.stranger, 12.0) == pytest.approx(200, abs=3), "who declares nothing loses nothing"
    assert house.said(house.mood, 12.0) == pytest.approx(200 / THRIFT, abs=3), "less often"
    assert house.said(house.reasons, 12.0) == house.said(house.texts, 12.0) == house.said(house.doubt, 12.0) == 0
    assert house.behind_hops() <= 2
    assert after.overrun_samples == after.concealed_hops == 0
    hops = house.speech.processor.ticks
    assert after.skipped_hops - before.skipped_hops == pytest.approx(4 * 2_000, abs=8), "three plugins, and the audio"
    assert abs(hops - 3_200) <= 90, "no more audio was dropped than while nothing had been given up yet"


def test_what_is_given_up_is_as_little_as_is_enough_and_stays_away_at_the_threshold() -> None:
    house = House().run(120.0, 3.6)  # 10.6 ms, 9.3 without the first, 8 without the second
    assert house.changes() == [("given_up", "extras"), ("given_up", "words")]


def test_one_event_tells_each_change_with_plugins_and_load_and_health_the_present_state_and_for_how_long() -> None:
    house = House().run(1.7, 2.3)  # 9.3 ms
    (event,) = house.rig.all_events("overload")
    assert (event.call, event.plugin) == ("", "engine")
    assert isinstance(event.data, Overload)
    assert event.data == Overload(
        state="given_up", what="extras", plugins=("reasons",), given_up=("extras",), load=pytest.approx(0.93, abs=0.01)
    )
    house.run(3.0, 2.3)
    health = house.rig.engine.health()
    told = [event.data for event in house.rig.all_events("health")]
    assert isinstance(told[-1], Health)
    assert health.given_up == told[-1].given_up == ("extras",)
    assert health.given_up_s == pytest.approx(3.6, abs=0.4)
    states = {plugin.name: plugin.state for plugin in told[-1].plugins}
    assert states.pop("reasons") == "left out"
    assert set(states.values()) == {"running"}


def test_plugin_that_was_left_out_says_unknown_meanwhile_and_begins_anew_with_all_its_rows() -> None:
    house = House(streams=3, is_watched=True).run(4.0, 2.3)
    reasons = house.reasons.processor
    ticks = reasons.ticks
    house.eye.processor.seen.clear()
    house.run(1.0, 2.3)
    assert reasons.ticks == ticks
    assert all(np.isnan(seen.marks["reasons.mark"]) for seen in house.eye.processor.seen)
    assert all(seen.marks["speech.mark"] == 1 for seen in house.eye.processor.seen)
    assert reasons.resets == []
    reasons.flags.clear()
    house.run(10.0, 0.0)
    assert reasons.resets == [([0, 1, 2], ResetReason.DISCONTINUITY)]
    assert reasons.flags[0] == HopFlag.DISCONTINUITY
    assert set(reasons.flags[1:]) == {0}
    assert house.eye.processor.seen[-1].marks["reasons.mark"] == 1


def test_streams_that_come_and_go_while_a_plugin_is_left_out_have_fresh_rows_in_it() -> None:
    house = House(streams=2).run(4.0, 2.3)
    assert house.changes() == [("given_up", "extras")]
    house.writers.pop(0).end("done")
    house.run(0.5, 2.3)
    house.writers += [house.rig.open("new"), house.rig.open("newer")]
    house.run(10.0, 0.0)
    assert house.changes()[1:] == [("taken_back", "extras")]
    assert house.reasons.processor.resets == [([0, 1, 2], ResetReason.DISCONTINUITY)]
    assert not house.rig.all_events("fault")


def test_audio_whose_enhancement_is_given_up_passes_at_the_same_delay_without_a_click() -> None:
    house = House(max_backlog_s=10.0, ring_s=20.0)  # none is dropped
    house.run(8.0, 7.8)
    house.run(40.0, 0.0)
    heard = house.rig.heard["call 0", "0"]
    assert set(np.diff([start for start, _ in heard])) == {HOP}
    events = {event.data.what: event for event in house.rig.all_events("overload")}
    assert set(events) == set(HAS)
    signs = []
    for start, hop in heard[-(-LATE // HOP) :]:
        came_in = ramp(HOP, start)
        if np.array_equal(hop, -came_in):
            signs.append("made")
        elif np.array_equal(hop, came_in):
            signs.append("plain")
        else:
            assert np.abs(hop).max() <= came_in.max(), "over one hop the one becomes the other"
            assert np.abs(np.diff(hop)).max() < 2.1 * came_in.max() / HOP
            signs.append("fades")
    runs = [sign for index, sign in enumerate(signs) if index == 0 or signs[index - 1] != sign]
    assert runs == ["made", "fades", "plain", "fades", "made"]
    assert signs.count("fades") == 2
    assert house.clean.processor.ticks == house.speech.processor.ticks, "it is called all the same"


def test_audio_that_nobody_will_ever_want_is_nothing_to_give_up() -> None:
    clock = Timetable()
    clean = costly("clean", clock, 9.5, "enhancement", edits_audio=True)
    rig = Rig(clean, clock=clock)
    assert rig.engine.chain.having("enhancement"), "the rig listens"
    rig.engine.chain.stages[0].keep_no_audio()
    assert not rig.engine.chain.having("enhancement")


def test_plugin_that_was_bypassed_is_nothing_to_give_up() -> None:
    house = House()
    house.rig.engine.chain.stages[3].is_bypassed = True
    house.run(3.0, 3.6)
    assert house.changes()[0] == ("given_up", "words")


def test_files_are_never_late_and_nothing_of_them_is_given_up() -> None:
    clock = Timetable()
    heavy = slow("heavy", clock, gives_way=("extras",))
    rig = Rig(heavy, clock=clock, live=False)
    heavy.processor.busy_ns, heavy.processor.ticks = 50_000_000, 0
    writer = rig.open()
    writer.write(ramp(400 * HOP))
    writer.end("done")
    rig.run_dry()
    assert heavy.processor.ticks == 401
    counters = rig.counters()
    assert counters == type(counters)()
    assert rig.all_events("overload") == []


def test_threshold_is_a_setting_and_may_be_out_of_reach() -> None:
    assert House(give_up_load=1_000.0).run(10.0, 7.8).changes() == []
    assert House(give_up_load=0.5).run(3.0, 0.0).changes()[0] == ("given_up", "extras")


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({"gives_way": ("sleep",)}, "gives way in 'sleep', of which the engine knows nothing"),
        ({"gives_way": ("enhancement",)}, "gives way in its 'enhancement', but edits no audio"),
    ],
)
def test_way_that_there_is_not_is_refused(facts: dict[str, Any], problem: str) -> None:
    with pytest.raises(PluginError, match=problem):
        check([PluginSpec(name="x", **facts)])


def test_plugin_that_fails_to_begin_anew_is_bypassed_and_takes_nobody_along() -> None:
    house = House().run(4.0, 2.3)

    def reset(rows: Any, reason: ResetReason) -> None:
        raise KeyError("lost")

    house.reasons.processor.reset = reset
    house.run(10.0, 0.0)
    (fault,) = house.rig.all_events("fault")
    assert (fault.data.where, fault.data.problem) == ("reasons", "KeyError: 'lost'")
    assert house.said(house.speech, 5.0) > 80


@pytest.fixture
def lane_rigs() -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(*plugins: Any, **options: Any) -> Rig:
        made.append(Rig(*plugins, **options))
        return made[-1]

    yield make
    for rig in made:
        rig.engine.stop("test is over")


class Noting(FakeProcessor):
    """Notes that it was called, and what its lane found."""

    def __init__(self) -> None:
        self.ticks = 0
        self.ends: list[int] = []
        self.lane: Any = None

    def process(self, block: Any, emit: Any) -> None:
        self.ticks += 1


def with_lane(name: str, **facts: Any) -> FakePlugin:
    def make(context: Any, capacity: int) -> Noting:
        noting = Noting()
        spec = LaneSpec(name="work", window_s=0.2, stride_s=0.1, least_s=0.05, max_age_s=10.0)
        tell = lambda finding, emit: noting.ends.append(finding.end_sample)  # noqa: E731
        noting.lane = context.lane(spec, describe, tell, WorkOptions())
        return noting

    return FakePlugin(PluginSpec(name=name, **facts), make)


def test_lanes_of_a_plugin_that_is_left_out_get_no_windows_and_those_of_its_rate_fewer(
    lane_rigs: Callable[..., Rig],
) -> None:
    clock = Timetable()
    load = costly("load", clock, 0.0)
    words, mood = with_lane("words", gives_way=("words",)), with_lane("mood", gives_way=("rate",))
    rig = lane_rigs(load, words, mood, clock=clock)
    written = 0

    def play(seconds: float, load_ms: float) -> None:
        """In real time of the lanes, which work on threads of their own: no window is superseded by the next."""
        nonlocal written
        load.processor.busy_ns = round(load_ms * 1e6)
        for _ in range(round(seconds * 100)):
            writer.write(ramp(HOP, written))
            written += HOP
            rig.run_until(max(clock.now_ns(), written // HOP * HOP_NS))
            wait_for(lambda: not any(len(lane.queue) or lane.queue._working for lane in rig.engine.lanes.all))

    def count(plugin: FakePlugin, from_s: float) -> int:
        return sum(end > from_s * 16_000 for end in plugin.processor.ends)

    writer = rig.open()
    wait_for(lambda: words.processor.lane.is_up and mood.processor.lane.is_up)
    play(2.0, 0.0)
    usual = count(words, 1.0)
    assert usual == pytest.approx(10, abs=2)
    play(3.0, 9.5)
    assert [event.data.what for event in rig.all_events("overload")] == ["words", "rate"]
    states = {lane.name: lane for lane in rig.engine.lanes.states()}
    skipped = states["words.work"].lane_skipped
    assert states["words.work"].state == "left out"
    assert not words.processor.lane.is_up
    assert mood.processor.lane.is_up
    ticks = words.processor.ticks
    play(4.0, 9.5)
    assert count(words, 5.2) == 0
    assert count(mood, 5.2) == pytest.approx(38 / THRIFT, abs=2)
    assert rig.engine.lanes.states()[0].lane_skipped - skipped == pytest.approx(40, abs=3), (
        "what is left out is counted"
    )
    assert words.processor.ticks == ticks + 400, "it goes on noting what its windows are about"
    play(8.0, 0.0)
    assert [event.data.what for event in rig.all_events("overload")][2:] == ["rate", "words"]
    back = written / 16_000
    play(1.0, 0.0)
    assert count(words, back) == pytest.approx(10, abs=2)


def wait_for(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.0005)


def test_late_tick_is_an_xrun_charged_to_the_plugin_that_took_longest() -> None:
    clock = Timetable()
    heavy, light = slow("heavy", clock), slow("light", clock)
    rig = Rig(heavy, light, clock=clock)
    writer = rig.open()
    heavy.processor.busy_ns, light.processor.busy_ns = 7_000_000, 4_000_000
    writer.write(ramp(HOP))
    rig.tick()
    assert [stage.xruns for stage in rig.engine.chain.stages] == [1, 0]
    assert rig.counters().xruns == 1
    heavy.processor.busy_ns, light.processor.busy_ns = 1_000_000, 9_100_000
    rig.run_until(30_000_000)
    writer.write(ramp(HOP))
    rig.tick()
    assert [stage.xruns for stage in rig.engine.chain.stages] == [1, 1]
    writer.end("done")
    heavy.processor.busy_ns = light.processor.busy_ns = 0
    rig.run_dry()
    assert rig.final_counters("a").xruns == 2
    assert rig.final_counters("a").skipped_hops == 0


def test_tick_that_ends_just_in_time_is_no_xrun() -> None:
    clock = Timetable()
    heavy = slow("heavy", clock)
    rig = Rig(heavy, clock=clock)
    heavy.processor.busy_ns = HOP_NS
    writer = rig.open()
    writer.write(ramp(HOP))
    rig.tick()
    assert rig.counters().xruns == 0
