"""Processed audio on its way out: where it belongs, and that nobody who takes it can hold the engine up."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rtemo.api import EndpointError
from rtemo.engine.audio_outbox import AudioOutbox
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from tests.engine.conftest import Make
from tests.engine.plugins import delay, gain, teller
from tests.engine.rig import HOP, HOP_NS, RATE_HZ, Rig, Timetable, ramp
from tests.fakes.sinks import FakeSink

pytestmark = pytest.mark.engine


def wait_for(condition: Any, timeout_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to that"
        time.sleep(0.002)


@pytest.mark.parametrize("latencies", [(), (HOP,), (200,), (1,), (2 * HOP + 33, 77)])
@pytest.mark.parametrize("length", [1, HOP - 1, HOP, 5 * HOP, 5 * HOP + 1, 1_601])
def test_sample_k_that_went_in_comes_out_as_sample_k_and_the_tail_is_flushed(
    session_of: Make, latencies: tuple[int, ...], length: int
) -> None:
    sink = FakeSink()
    plugins = [delay(f"d{index}", latency) for index, latency in enumerate(latencies)]
    with session_of(*plugins, mode="freewheel", sinks=[sink]) as session:
        stream = session.stream("a")
        stream.push(ramp(length))
        stream.end()
        assert session.wait(10.0)
    assert np.array_equal(sink.audio(), ramp(length))
    assert sink.ended == [("a", "0")]


@pytest.mark.parametrize("latency", [HOP, 2 * HOP, 100, HOP + 60])
def test_positions_are_right_across_dropped_hops_although_the_audio_is_late(latency: int) -> None:
    """The driver sleeps, the backlog is dropped: what still comes out of the delay belongs to before the jump."""
    rig = Rig(delay("late", latency), max_backlog_s=0.05, patience_s=0.0)
    writer = rig.open()
    writer.write(ramp(10 * HOP))
    rig.tick(10)
    writer.write(ramp(100 * HOP, start=10 * HOP))
    rig.clock.advance(HOP_NS)
    for index in range(20):
        rig.tick()
        writer.write(ramp(HOP, start=(110 + index) * HOP))
    assert rig.counters().skipped_hops > 50
    assert rig.counters().concealed_hops == 0
    jumps = 0
    for start, hop in rig.heard["a", "0"]:
        if start < 0:
            continue
        is_straddling = hop[-1] != ramp(HOP, start=start)[-1]
        jumps += is_straddling
        assert hop[0] == ramp(1, start=start)[0]
    assert jumps == (1 if latency % HOP else 0)


def test_two_taps_and_three_sinks_hear_the_same(session_of: Make) -> None:
    heard: list[np.ndarray] = []
    sinks = [FakeSink(f"sink{index}") for index in range(3)]
    tap = lambda call, channel, start, hop: heard.append(hop) if start >= 0 else None  # noqa: E731
    with session_of(gain("half", 0.5), mode="freewheel", sinks=sinks, on_audio=tap) as session:
        stream = session.stream("a")
        stream.push(ramp(50 * HOP))
        stream.end()
        assert session.wait(10.0)
    for sink in sinks:
        assert np.array_equal(sink.audio(), ramp(50 * HOP) * np.float32(0.5))
    assert np.array_equal(np.concatenate(heard)[: 50 * HOP], sinks[0].audio())
    assert len({number for sink in sinks for number in sink.threads}) == 3
    assert [sink.closed for sink in sinks] == [1, 1, 1]


def test_streams_that_come_and_go_keep_their_own_audio(session_of: Make) -> None:
    sink = FakeSink()
    lengths = {f"c{index}": 320 + 977 * index for index in range(8)}
    with session_of(delay("late", 200), mode="freewheel", sinks=[sink]) as session:
        streams = {call: session.stream(call) for call in lengths}
        for call, stream in streams.items():
            stream.push(ramp(lengths[call], start=len(call) + lengths[call]))
            stream.end()
        assert session.wait(10.0)
    for call, length in lengths.items():
        assert np.array_equal(sink.audio(call), ramp(length, start=len(call) + length))


def test_name_that_is_used_again_is_another_stream(session_of: Make) -> None:
    sink = FakeSink()
    with session_of(mode="freewheel", sinks=[sink]) as session:
        for _ in range(2):
            stream = session.stream("a")
            stream.push(ramp(HOP))
            stream.end()
            assert session.wait(10.0)
    assert len({id(stream) for block in sink.blocks for stream in block.streams}) == 2


def test_freewheeling_engine_waits_for_a_slow_sink_and_loses_nothing(session_of: Make) -> None:
    sink = FakeSink()
    sink.lets.clear()
    engine = EngineOptions(capacity=8, audio_buffer_s=0.1)
    with session_of(mode="freewheel", sinks=[sink], engine=engine) as session:
        stream = session.stream("a")
        stream.push(ramp(60 * HOP))
        stream.end()
        time.sleep(0.1)
        assert session.health().ticks < 12
        assert not session.is_finished
        sink.lets.set()
        assert session.wait(10.0)
    assert np.array_equal(sink.audio(), ramp(60 * HOP))


def test_sink_that_does_not_read_costs_a_live_engine_nothing_but_its_own_audio() -> None:
    stuck, well = FakeSink("stuck"), FakeSink("well")
    stuck.lets.clear()
    clock = Timetable()
    engine = Engine([teller()], EngineOptions(audio_buffer_s=0.05), clock=clock, sinks=[stuck, well])
    engine.open()
    engine.open_sinks()
    writer = engine.open_stream("a", "0")
    for _ in range(40):
        writer.write(ramp(HOP))
        engine.driver.step()
        wait_for(lambda: all(sink.is_idle for sink in engine.sinks[1:]))
    writer.end("done")
    while not engine.floor.is_empty:
        engine.driver.step()
    states = {state.name: state for state in engine.health().sinks}
    assert states["well"].dropped_hops == 0
    assert states["stuck"].dropped_hops in (35, 36)  # of 41: five are held, one may be in its hands
    assert sum(event.kind == "level" for event in engine.outbox.take(0.0)) == 41
    stuck.lets.set()
    wait_for(lambda: all(sink.is_idle for sink in engine.sinks))
    assert stuck.ended == well.ended == [("a", "0")]
    engine.stop("done")
    engine.close_sinks(2.0)
    assert len(well.pieces["a", "0"]) == 40


def test_sink_that_fails_is_closed_and_named_and_the_others_go_on(session_of: Make) -> None:
    bad, well = FakeSink("bad", fails_in="write"), FakeSink("well")
    with session_of(mode="freewheel", sinks=[bad, well]) as session:
        stream = session.stream("a")
        stream.push(ramp(300 * HOP))
        stream.end()
        assert session.wait(10.0)
        (fault,) = [event.data for event in session.events() if event.kind == "fault"]
        states = {state.name: state.state for state in session.health().sinks}
    assert (fault.where, fault.problem, fault.action) == ("bad", "OSError: disk full", "closed")
    assert states == {"bad": "closed", "well": "running"}
    assert bad.closed == 1
    assert np.array_equal(well.audio(), ramp(300 * HOP))


def test_sink_that_cannot_open_keeps_the_session_from_starting(session_of: Make) -> None:
    bad = FakeSink("bad", fails_in="open", error=EndpointError("port taken", "choose another"))
    well = FakeSink("well")
    with pytest.raises(EndpointError, match="port taken"):
        session_of(sinks=[well, bad]).start()
    assert well.closed == bad.closed == 1


def test_stopping_is_not_held_up_by_a_sink_that_hangs(session_of: Make) -> None:
    stuck = FakeSink("stuck")
    stuck.lets.clear()
    session = session_of(mode="freewheel", sinks=[stuck])
    session.start()
    session.stream("a").push(ramp(4 * HOP))
    time.sleep(0.05)
    start_s = time.monotonic()
    session.stop()
    assert time.monotonic() - start_s < 1.5
    stuck.lets.set()


def test_sinks_are_ticked_while_no_audio_comes(session_of: Make) -> None:
    sink = FakeSink()
    with session_of(sinks=[sink]):
        wait_for(lambda: sink.ticks > 3)


def test_capture_time_is_that_of_the_audio_that_comes_out() -> None:
    latency = 2 * HOP
    clock = Timetable()
    sink = FakeSink()
    engine = Engine([delay("late", latency)], clock=clock, sinks=[sink])
    engine.open()
    engine.open_sinks()
    writer = engine.open_stream("a", "0")
    base_ns = 1_000_000_000_000
    for index in range(1, 11):
        writer.write(ramp(HOP), base_ns + index * HOP_NS)
        engine.driver.step()
    wait_for(lambda: len(sink.blocks) == 10)
    for block in sink.blocks[2:]:
        end_sample = int(block.start_sample[0]) + HOP
        assert block.capture_ns[0] == base_ns + end_sample * 1_000_000_000 // RATE_HZ
    engine.stop("done")
    engine.close_sinks(2.0)


def test_full_outbox_drops_the_newest_audio_but_never_an_end() -> None:
    sink = FakeSink()
    source = Rig(live=False)
    blocks: list[Any] = []
    collecting = SimpleNamespace(outbox=SimpleNamespace(put=blocks.append, is_half_full=False))
    source.engine.driver._hand_out._sinks = (collecting,)  # type: ignore[assignment]
    writer = source.open()
    writer.write(ramp(6 * HOP))
    writer.end("done")
    source.run_dry()
    outbox = AudioOutbox(3)
    for block in blocks:
        outbox.put(block)
    while (block := outbox.take(0.0)) is not None:
        sink.write(block)
    assert [start for start, _ in sink.pieces["a", "0"]] == [0, HOP, 2 * HOP]
    assert outbox.dropped_hops == len(blocks) - 3
    assert sink.ended == [("a", "0")]
