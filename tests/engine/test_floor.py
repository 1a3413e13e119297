import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtemo.api import CapacityError, ConfigError, HopFlag, SourceState
from tests.engine.plugins import delay, teller, witness
from tests.engine.rig import HOP, RATE_HZ, Rig, noise, ramp

pytestmark = pytest.mark.engine


@given(
    lengths=st.lists(st.integers(0, 30 * HOP), min_size=1, max_size=12),
    latency=st.sampled_from([0, 1, HOP - 1, HOP, 2 * HOP + 50]),
    seed=st.integers(0, 1 << 30),
)
@settings(max_examples=25, deadline=None)
def test_streams_that_come_and_go_keep_their_audio_in_order_whatever_moves_beside_them(
    lengths: list[int], latency: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    rig = Rig(delay("late", latency), teller(every_hops=3), live=False, capacity=4, ring_s=0.16)
    waiting = [(f"c{index}", noise(length, seed=index)) for index, length in enumerate(lengths)]
    open_streams: dict[str, list] = {}
    for _ in range(5_000):
        if not waiting and not open_streams:
            break
        if waiting and len(rig.engine.floor._names) < 4 and rng.random() < 0.3:
            call, sound = waiting.pop()
            open_streams[call] = [rig.open(call), sound]
        for call, (writer, left) in list(open_streams.items()):
            if rng.random() < 0.5:
                taken = writer.write(left[: int(rng.integers(1, 4 * HOP))])
                open_streams[call][1] = left = left[taken:]
            if not left.shape[0]:
                writer.end("done")
                del open_streams[call]
        rig.step()
    rig.run_dry()
    assert not waiting
    for index, length in enumerate(lengths):
        call = f"c{index}"
        out = rig.audio(call)
        assert np.array_equal(out[latency : latency + length], noise(length, seed=index))
        assert not out[:latency].any()
        assert not out[latency + length :].any()
        assert [start for start, _ in rig.heard[call, "0"]] == list(range(-latency, out.shape[0] - latency, HOP))
        events = rig.all_events(call=call)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        assert (events[0].kind, events[-1].kind) == ("stream_start", "stream_end")
        assert events[-1].end_sample == length
        counters = rig.final_counters(call)
        assert counters == type(counters)()
        levels = [event.data.rms_dbfs for event in events if event.kind == "level"]
        whole = np.concatenate(
            [np.zeros(latency, np.float32), noise(length, seed=index), np.zeros(9 * HOP, np.float32)]
        )
        energy = np.square(whole[: len(levels) * 3 * HOP].astype(np.float64)).reshape(-1, 3 * HOP).sum(axis=1)
        assert np.allclose(levels, energy)


def end_flags(*plugins: object, length: int) -> list[HopFlag]:
    seer = witness()
    rig = Rig(*plugins, seer, live=False)
    seer.processor.seen.clear()
    writer = rig.open()
    writer.write(ramp(length))
    writer.end("done")
    rig.run_dry()
    return [HopFlag(hop.flags) for hop in seer.processor.seen]


def test_partial_hop_at_the_end_is_padded_and_last_comes_once() -> None:
    assert end_flags(length=2 * HOP + 1) == [HopFlag.NONE] * 2 + [HopFlag.PADDED, HopFlag.PADDED | HopFlag.LAST]
    assert end_flags(length=2 * HOP) == [HopFlag.NONE] * 2 + [HopFlag.PADDED | HopFlag.LAST]


@pytest.mark.parametrize("latency", [1, HOP, HOP + 1, 5 * HOP])
@pytest.mark.parametrize("length", [0, 1, HOP, 3 * HOP + 7])
def test_drain_is_just_long_enough_for_all_audio_to_come_out(latency: int, length: int) -> None:
    flags = end_flags(delay("late", latency), length=length)
    assert [flag & HopFlag.LAST for flag in flags] == [HopFlag.NONE] * (len(flags) - 1) + [HopFlag.LAST]
    assert len(flags) == -(-length // HOP) + 1 + -(-latency // HOP)


@pytest.mark.parametrize("live", [True, False])
def test_stream_without_a_sample_starts_and_ends(live: bool) -> None:
    rig = Rig(live=live)
    rig.open().end("hung up")
    rig.run_dry()
    start, end = rig.all_events(call="a")
    assert (start.kind, start.seq) == ("stream_start", 1)
    assert (end.kind, end.seq) == ("stream_end", 2)
    assert (end.data.reason, end.data.duration_s, end.end_sample) == ("hung up", 0.0, 0)  # type: ignore[union-attr]
    assert rig.engine.health().streams == 0
    assert not live or rig.engine.driver.ticks == 0, "what never had audio costs no run of the chain"


def test_one_sample_is_a_stream() -> None:
    rig = Rig(live=False)
    writer = rig.open()
    writer.write(np.array([0.5], np.float32))
    writer.end("done")
    rig.run_dry()
    assert rig.audio()[0] == 0.5
    assert rig.all_events("stream_end")[0].data.duration_s == 1 / RATE_HZ  # type: ignore[union-attr]


def test_stream_beyond_capacity_is_refused_with_a_reason_and_taken_once_one_has_left() -> None:
    rig = Rig(live=False, capacity=2)
    first, _ = rig.open("a"), rig.open("b")
    with pytest.raises(CapacityError, match="all 2 streams are in use; end a call, raise `engine"):
        rig.open("c")
    first.end("done")
    rig.tick()
    rig.open("c")
    assert rig.engine.floor.streams_total == 3


def test_audio_of_a_stream_is_overwritten_when_it_has_left() -> None:
    rig = Rig(delay("late", 3 * HOP), live=False, capacity=2)
    for call in "ab":
        writer = rig.open(call)
        writer.write(np.full(30 * HOP, 0.5, np.float32))
        writer.end("done")
    rig.run_dry()
    engine = rig.engine
    assert not engine._ring.slab.any()
    for stage in engine.chain.stages:
        assert not stage._audio._line.any()  # type: ignore[union-attr]
    assert not engine._intake._last_sample.any()
    assert not engine.driver._samples.any()


def test_writer_of_a_stream_that_has_left_does_nothing() -> None:
    rig = Rig(live=False)
    writer = rig.open()
    writer.end("done")
    rig.run_dry()
    other = rig.open("b")
    rig.all_events()
    assert writer.is_closed
    assert writer.write(ramp(HOP)) == 0
    writer.write_gap(HOP)
    writer.count_lost(HOP)
    writer.report(SourceState(state="lost"))
    writer.end("again")
    assert writer.space_samples() == writer.position_samples == 0
    assert rig.take_events() == []
    assert other.position_samples == 0


def test_nothing_is_taken_after_the_end() -> None:
    rig = Rig(live=False)
    writer = rig.open()
    writer.write(ramp(HOP))
    writer.end("done")
    assert writer.write(ramp(HOP)) == 0
    writer.end("again")
    rig.run_dry()
    assert rig.all_events("stream_end")[0].data.reason == "done"  # type: ignore[union-attr]


def test_channels_of_one_call_come_in_together() -> None:
    rig = Rig(live=False)
    left, right, other = rig.open("a", "left"), rig.open("a", "right"), rig.open("b", "0")
    left.write(ramp(3 * HOP))
    other.write(ramp(HOP))
    rig.tick()
    assert rig.engine.health().streams == 1
    right.write(ramp(HOP))
    other.write(ramp(HOP))
    rig.tick()
    assert len(rig.heard["a", "left"]) == len(rig.heard["a", "right"]) == 1


def test_channel_without_audio_holds_the_other_up_for_five_hops_at_most() -> None:
    rig = Rig(live=False)
    left, _ = rig.open("a", "left"), rig.open("a", "right")
    left.write(ramp(5 * HOP))
    for _ in range(3):
        rig.step()
    assert not rig.heard
    left.write(ramp(HOP))
    rig.tick(6)
    assert len(rig.heard["a", "left"]) == 6


def test_stream_is_not_opened_before_the_engine_is_ready_nor_after_it_has_stopped() -> None:
    from rtemo.engine.engine import Engine

    engine = Engine([])
    with pytest.raises(CapacityError, match="the engine has not been started"):
        engine.open_stream("a", "0")
    engine.open()
    engine.stop("done")
    with pytest.raises(CapacityError, match="the engine has stopped"):
        engine.open_stream("a", "0")


def test_more_in_hand_than_the_ring_holds_is_refused() -> None:
    rig = Rig(ring_s=1.0)
    with pytest.raises(ConfigError, match="2 s of audio cannot be kept in hand, the ring holds 1 s"):
        rig.open(prefill_s=2.0)
    rig.open(prefill_s=0.3)


def test_stopping_ends_streams_with_and_without_a_row() -> None:
    rig = Rig(live=False)
    rig.open("admitted").write(ramp(3 * HOP))
    rig.tick()
    rig.open("waiting")
    health = rig.engine.stop("maintenance")
    assert rig.engine.floor.is_empty
    assert {event.call for event in rig.all_events("stream_end")} == {"admitted", "waiting"}
    assert {event.data.reason for event in rig.all_events("stream_end")} == {"maintenance"}  # type: ignore[union-attr]
    (admitted,) = rig.all_events("stream_end", "admitted")
    assert (admitted.end_sample, admitted.data.duration_s) == (HOP, 0.01)  # type: ignore[union-attr]  # what was worked on
    assert rig.events[-1].kind == "session_end"
    assert rig.engine.stop("again").counters == health.counters
    assert rig.take_events() == []


def test_second_stream_of_the_same_name_is_refused_until_the_first_has_left() -> None:
    rig = Rig(live=False)
    writer = rig.open("a", "left")
    with pytest.raises(CapacityError, match="call 'a' channel 'left' is already open; end it first"):
        rig.open("a", "left")
    rig.open("a", "right").end("done")
    writer.end("done")
    rig.run_dry()
    rig.open("a", "left")
