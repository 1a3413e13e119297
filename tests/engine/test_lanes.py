"""Worker lanes: slow work beside the tick."""

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import numpy as np
import pytest

from rtemo.api import (
    Emit,
    Fault,
    Finding,
    Health,
    LaneContext,
    LaneWork,
    Level,
    Mark,
    PluginError,
    PluginSpec,
    SpeechEnd,
)
from rtemo.engine.history import History
from tests.engine.lane_work import WorkOptions, describe, release_hang
from tests.engine.plugins import FakePlugin, FakeProcessor
from tests.engine.rig import HOP, HOP_NS, Rig, Timetable, ramp
from tests.engine.slow_plugin import lane_plugin

pytestmark = pytest.mark.engine


@pytest.fixture
def rigs() -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(*plugins: FakePlugin, **options: Any) -> Rig:
        made.append(Rig(*plugins, **options))
        return made[-1]

    yield make
    release_hang.set()
    for rig in made:
        start_s = time.monotonic()
        rig.engine.stop("test is over")
        assert time.monotonic() - start_s < 1.0, "lanes end within a second"
    release_hang.clear()


def play(rig: Rig, calls: dict[str, int], hops: int = 200, scale: float = 1.0) -> None:
    """Push whole streams of the given lengths in hops and let them run to their end (freewheel)."""
    writers = {call: rig.open(call) for call in calls}
    left = dict.fromkeys(calls, 0)
    for _ in range(20 * hops):
        for call, writer in list(writers.items()):
            end = calls[call] * HOP
            taken = min(end - left[call], max(writer.space_samples(), 0), HOP)
            left[call] += writer.write(scale * ramp(taken, left[call]))
            if left[call] == end:
                writer.end("end")
                del writers[call]
        rig.step()
        if not writers:
            break
    rig.run_dry()


def wait_until(rig: Rig, condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    """Step the driver until something on another thread has happened."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        rig.step()
        time.sleep(0.002)


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_windows_of_a_file_lie_at_their_strides_and_hold_the_audio_of_their_span(
    rigs: Callable[..., Rig], kind: str
) -> None:
    plugin = lane_plugin(kind=kind)
    rig = rigs(plugin, live=False)
    play(rig, {"a": 100, "b": 47})
    for call, hops in (("a", 100), ("b", 47)):
        found = [finding for finding in plugin.processor.findings if finding.stream.call == call]
        spans = [(finding.start_sample, finding.end_sample) for finding in found]
        ends = [20 * HOP * k for k in range(1, hops // 20 + 1)]
        assert spans == [(max(0, end - 50 * HOP), end) for end in ends]
        for finding in found:
            np.testing.assert_array_equal(finding.result["samples"], ramp(3, finding.start_sample))
            assert finding.result["call"] == call
            assert (finding.result["process"] != os.getpid()) == (kind == "process")


def test_findings_land_at_a_fixed_place_in_ten_runs_of_a_file(rigs: Callable[..., Rig]) -> None:
    def run(number: int) -> list[Any]:
        rig = rigs(lane_plugin(WorkOptions(busy_s=0.002 * (number % 3)), land_s=0.1), live=False)
        play(rig, {"a": 80, "b": 80, "c": 33})
        # Who came in when depends on nothing here, so the order over all streams must be the same too.
        return [(e.call, e.seq, e.kind, e.start_sample, e.end_sample) for e in rig.all_events() if e.call]

    first, *others = [run(number) for number in range(10)]
    assert any(kind == "level" for _, _, kind, _, _ in first)
    assert all(other == first for other in others)


def test_nothing_follows_the_end_of_a_stream_and_its_last_findings_come_before_it(rigs: Callable[..., Rig]) -> None:
    rig = rigs(lane_plugin(WorkOptions(busy_s=0.02), land_s=5.0), live=False)
    play(rig, {"a": 60})
    kinds = [event.kind for event in rig.all_events(call="a")]
    assert kinds == ["stream_start", "level", "level", "level", "stream_end"]


def test_findings_find_their_stream_after_rows_have_moved(rigs: Callable[..., Rig]) -> None:
    plugin = lane_plugin(WorkOptions(busy_s=0.03))
    rig = rigs(plugin)
    writers = {call: rig.open(call) for call in "abc"}
    for number in range(60):
        for call, writer in list(writers.items()):
            writer.write((1 + "abc".index(call)) * 0.1 * np.ones(HOP, np.float32))
            if call == "a" and number == 21:  # its first window is on its way, and row 0 becomes that of `c`
                writer.end("end")
                del writers[call]
        rig.tick()
        time.sleep(0.002)
    wait_until(rig, lambda: {f.stream.call for f in plugin.processor.findings} == set("abc"))
    for event in rig.all_events("level"):
        assert isinstance(event.data, Level)
        assert event.data.rms_dbfs == pytest.approx(0.1 * (1 + "abc".index(event.call)), rel=1e-5)


def test_a_newer_window_supersedes_one_that_waits_and_is_counted(rigs: Callable[..., Rig]) -> None:
    plugin = lane_plugin(WorkOptions(busy_s=0.2), max_age_s=60.0)
    rig = rigs(plugin)
    writer = rig.open()
    for number in range(201):
        writer.write(ramp(HOP, number * HOP))
        rig.tick()
    writer.end("end")
    wait_until(rig, lambda: rig.engine.floor.is_empty)
    spans = [finding.end_sample for finding in plugin.processor.findings]
    (state,) = rig.engine.lanes.states()
    assert spans[-1] == 200 * HOP, "the newest is never lost"
    assert len(spans) < 10
    assert state.lane_skipped == 10 - len(spans)
    assert state.name == "slow.work"


def test_windows_that_waited_too_long_are_dropped_and_counted(rigs: Callable[..., Rig]) -> None:
    clock = Timetable()
    plugin = lane_plugin(WorkOptions(busy_s=0.3), max_age_s=0.5, on=("speech_end",))
    rig = rigs(_Speaker(every_hops=20), plugin, clock=clock)
    writer = rig.open()
    for number in range(41):
        writer.write(ramp(HOP, number * HOP))
        rig.tick()
    clock.advance(int(2e9))  # while the first is worked on
    wait_until(rig, lambda: rig.engine.lanes.states()[0].lane_skipped > 0)


class _Speaker(FakePlugin):
    """Says every so many hops that speech has ended."""

    def __init__(self, every_hops: int) -> None:
        class Speaking(FakeProcessor):
            def process(self, block: Any, emit: Emit) -> None:
                for row in range(block.n):
                    end = int(block.start_sample[row]) + HOP
                    if end % (every_hops * HOP) == 0:
                        emit(row, SpeechEnd(speech_s=0.1), end - 15 * HOP, end - 2 * HOP)

        super().__init__(PluginSpec(name="speaker"), lambda context, capacity: Speaking())


def test_an_event_of_an_earlier_plugin_cuts_a_window_of_its_span(rigs: Callable[..., Rig]) -> None:
    plugin = lane_plugin(on=("speech_end",))
    rig = rigs(_Speaker(every_hops=30), plugin, live=False)
    play(rig, {"a": 95})
    spans = [(f.trigger, f.start_sample // HOP, f.end_sample // HOP) for f in plugin.processor.findings]
    assert spans == [("speech_end", 15, 28), ("speech_end", 45, 58), ("speech_end", 75, 88)]


def test_strides_are_cut_only_while_the_mark_says_so(rigs: Callable[..., Rig]) -> None:
    class Marking(FakeProcessor):
        def process(self, block: Any, emit: Emit) -> None:
            block.marks["on"][:] = (block.start_sample >= 50 * HOP) & (block.start_sample < 52 * HOP)

    marker = FakePlugin(PluginSpec(name="marker", provides=(Mark("on", "uint8", unknown=0),)), lambda c, n: Marking())
    plugin = lane_plugin(while_mark="on")
    rig = rigs(marker, plugin, live=False)
    play(rig, {"a": 100})
    assert [finding.end_sample // HOP for finding in plugin.processor.findings] == [60]
    with pytest.raises(PluginError, match="'on', which nobody provides"):
        rigs(lane_plugin(while_mark="on"))


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_lane_that_raises_is_restarted_and_says_so_and_its_marks_read_unknown(
    rigs: Callable[..., Rig], kind: str
) -> None:
    plugin = lane_plugin(WorkOptions(fails_at_call=2), kind=kind)
    rig = rigs(plugin)
    writer = rig.open()

    def push() -> bool:
        writer.write(np.ones(HOP, np.float32) * 0.5)
        return bool(rig.all_events("fault"))

    wait_until(rig, push)
    (fault,) = rig.all_events("fault")
    assert fault.data == Fault(where="slow.work", problem="RuntimeError: bad window", action="retrying")
    rig.engine.chain.marks(1)["slow.mark"][:] = 7.0
    rig.tick()
    assert np.isnan(rig.engine.chain.marks(1)["slow.mark"][0])
    found = len(plugin.processor.findings)
    wait_until(rig, lambda: not push() or len(plugin.processor.findings) > found)
    assert rig.engine.lanes.states()[0].restarts >= 1


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_lane_that_hangs_is_given_up_and_a_new_one_goes_on(
    rigs: Callable[..., Rig], kind: str, tmp_path: Any
) -> None:
    options = WorkOptions(hangs_at_call=1, flag=str(tmp_path / "hung"))
    plugin = lane_plugin(options, kind=kind, hang_s=0.5)
    rig = rigs(plugin, live=False)
    play(rig, {"a": 100})
    assert [fault.data.problem for fault in rig.all_events("fault")] == ["did not return within 0.5 s"]
    assert [finding.end_sample // HOP for finding in plugin.processor.findings] == [20, 40, 60, 80, 100]


def test_a_process_that_is_killed_comes_back(rigs: Callable[..., Rig], tmp_path: Any) -> None:
    plugin = lane_plugin(WorkOptions(dies_at_call=1, flag=str(tmp_path / "dead")), kind="process")
    rig = rigs(plugin, live=False)
    play(rig, {"a": 100})
    (fault,) = rig.all_events("fault")
    assert isinstance(fault.data, Fault)
    assert fault.data.problem == "the process of the lane has died (signal 9)"
    assert [finding.end_sample // HOP for finding in plugin.processor.findings] == [20, 40, 60, 80, 100]


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_window_that_cannot_be_worked_on_takes_no_other_along(rigs: Callable[..., Rig], kind: str) -> None:
    plugin = lane_plugin(WorkOptions(poison="bad"), kind=kind)
    rig = rigs(plugin, live=False)
    play(rig, {"good": 50, "bad": 25})
    assert [(f.stream.call, f.end_sample // HOP) for f in plugin.processor.findings] == [("good", 20), ("good", 40)]
    assert rig.engine.lanes.states()[0].lane_failed == 1


def test_a_file_comes_to_its_end_though_its_lane_never_opens(rigs: Callable[..., Rig]) -> None:
    rig = rigs(lane_plugin(WorkOptions(cannot_open=True)), live=False)
    play(rig, {"a": 60})
    faults = [event.data for event in rig.all_events("fault")]
    assert faults[-1] == Fault(where="slow.work", problem="RuntimeError: no such thing", action="given up")
    assert rig.all_events("stream_end")


@pytest.mark.parametrize("live", [False, True])
def test_a_lane_whose_model_is_missing_is_given_up_at_once_and_says_so_once(
    rigs: Callable[..., Rig], live: bool
) -> None:
    def open_work(context: LaneContext, options: WorkOptions) -> LaneWork:
        return context.model("no-such-bundle")  # type: ignore[return-value]

    plugin = lane_plugin(open_work=open_work)
    rig = rigs(plugin, live=live)
    wait_until(rig, lambda: rig.engine.lanes.states()[0].state == "failed")
    assert not plugin.processor.lane.is_up
    if not live:
        play(rig, {"a": 60})
    (fault,) = [event.data for event in rig.all_events("fault")]
    assert (fault.where, fault.action) == ("slow.work", "given up")
    assert "no model bundle 'no-such-bundle'" in fault.problem


@pytest.mark.parametrize("live", [True, False])
def test_a_live_lane_is_up_when_it_has_opened_and_one_that_is_waited_for_from_the_beginning(
    rigs: Callable[..., Rig], live: bool
) -> None:
    may_open = threading.Event()

    def open_work(context: LaneContext, options: WorkOptions) -> LaneWork:
        may_open.wait(10.0)
        return describe(context, options)

    plugin = lane_plugin(open_work=open_work)
    rig = rigs(plugin, live=live)
    lane = plugin.processor.lane
    assert (lane.is_up, lane.is_awaited) == (not live, not live)
    may_open.set()
    wait_until(rig, lambda: rig.engine.lanes.states()[0].state == "running")
    assert lane.is_up


def test_strides_that_come_due_while_the_driver_is_late_are_left_out_and_counted(rigs: Callable[..., Rig]) -> None:
    plugin = lane_plugin(on=("stride", "speech_end"), stride_s=0.1, max_age_s=10.0)
    rig = rigs(plugin, capacity=2)
    writer = rig.open()
    for number in range(40):
        writer.write(ramp(HOP, number * HOP))
        if 10 <= number < 30:
            rig.clock.advance(3 * HOP_NS)  # as when another program had the processor
        rig.tick()
    (state,) = rig.engine.lanes.states()
    assert state.lane_skipped >= 2
    wait_until(rig, lambda: len(plugin.processor.findings) + rig.engine.lanes.states()[0].lane_skipped >= 4)
    ends = [finding.end_sample // HOP for finding in plugin.processor.findings]
    assert not [end for end in ends if 12 <= end <= 29]
    assert ends[-1] >= 30


def test_a_plugin_that_raises_at_a_finding_is_bypassed(rigs: Callable[..., Rig]) -> None:
    plugin = lane_plugin()
    rig = rigs(plugin, live=False)

    def tell(finding: Finding, emit: Emit) -> None:
        raise KeyError("mean")

    rig.engine.lanes.all[0].tell = tell
    play(rig, {"a": 60})
    (fault,) = rig.all_events("fault")
    assert fault.data == Fault(where="slow", problem="KeyError: 'mean'", action="bypassed")


def test_work_for_a_process_must_be_found_by_name(rigs: Callable[..., Rig]) -> None:
    rig = rigs(lane_plugin(open_work=lambda context, options: None, kind="process"), live=False)
    play(rig, {"a": 30})
    problem = rig.all_events("fault")[0].data.problem
    assert "cannot be found by another process" in problem


def test_lanes_and_the_memory_of_the_past_stand_in_health(rigs: Callable[..., Rig]) -> None:
    rig = rigs(lane_plugin(window_s=1.0, max_age_s=2.0, stride_s=0.5))
    rig.open().write(ramp(HOP))
    rig.run_until(rig.clock.now_ns() + 150 * HOP_NS)
    health = rig.all_events("health")[-1].data
    assert isinstance(health, Health)
    assert [lane.name for lane in health.lanes] == ["slow.work"]
    assert health.history_bytes_per_stream == (350 + 2) * (4 * HOP + 8)
    assert msgspec.json.decode(msgspec.json.encode(health), type=Health) == health


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("is_stopped", [True, False])
def test_what_a_lane_might_have_heard_is_overwritten_when_its_stream_ends(
    rigs: Callable[..., Rig], live: bool, is_stopped: bool
) -> None:
    rig = rigs(lane_plugin(max_age_s=0.5), live=live)
    history = rig.engine.lanes.heard
    writer = rig.open()
    for number in range(30):
        writer.write(ramp(HOP, number * HOP))
        rig.tick()
    assert history._slab.any()
    if is_stopped:
        rig.engine.stop("before its end")
    else:
        writer.end("end")
        wait_until(rig, lambda: rig.engine.floor.is_empty)
    assert not history._slab.any()


def test_an_engine_without_lanes_keeps_no_past(rigs: Callable[..., Rig]) -> None:
    rig = rigs()
    play(rig, {"a": 5}) if not rig.engine.is_live else None
    assert rig.engine.lanes.bytes_per_stream == 0
    assert not [name for name in _thread_names() if "lane" in name]


def _thread_names() -> list[str]:
    import threading

    return [thread.name for thread in threading.enumerate() if thread.is_alive()]


def test_history_gives_the_contiguous_end_of_what_was_asked_for_and_nothing_of_another_stream() -> None:
    history = History(slots=2, hops=8, hop_samples=4)
    slot = np.array([1])
    for position in (0, 4, 8, 40, 44):  # a jump after 12
        samples = np.arange(position, position + 4, dtype=np.float32)[None]
        history.append(slot, samples, np.array([position]))
    start, samples = history.read(1, 0, 2, 11) or (0, np.zeros(0))
    assert start == 2
    assert samples.tolist() == list(range(2, 11))
    assert (history.read(1, 0, 0, 46) or (0,))[0] == 40
    assert history.read(1, 0, 20, 30) is None
    for position in range(48, 80, 4):
        history.append(slot, np.zeros((1, 4), np.float32), np.array([position]))
    assert history.read(1, 0, 0, 11) is None, "overwritten"
    history.clear(1)
    assert history.read(1, 0, 60, 80) is None
    assert history.end_sample(1) == 0


def test_a_stream_that_is_timed_only_is_never_shown_to_the_lane_of_a_plugin_about_persons(
    rigs: Callable[..., Rig],
) -> None:
    plugin = lane_plugin()
    rig = rigs(plugin, live=False)
    writers = {
        analysis: rig.engine.open_stream(f"call-{analysis}", "0", analysis=analysis)
        for analysis in ("person", "timing")
    }
    for writer in writers.values():
        writer.write(ramp(60 * HOP))
        writer.end("end")
    rig.run_dry()
    assert {finding.stream.call for finding in plugin.processor.findings} == {"call-person"}


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a nice value of a single thread")
@pytest.mark.parametrize("live", [True, False])
def test_a_live_lane_gives_way_to_the_driver_and_one_that_is_waited_for_does_not(
    rigs: Callable[..., Rig], live: bool
) -> None:
    rig = rigs(lane_plugin(), live=live)
    wait_until(rig, lambda: rig.engine.lanes.states()[0].state == "running")
    ours = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    (lane,) = [thread for thread in threading.enumerate() if thread.name.startswith("rtemo-lane-")]
    theirs = os.getpriority(os.PRIO_PROCESS, lane.native_id or 0)
    assert theirs == (min(ours + 5, 19) if live else ours)
