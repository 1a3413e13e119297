"""What later plugins hear of the audio as it entered the chain, whatever was done to it in between."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtemo.api import Block, Emit, HopFlag, PluginError, PluginSpec
from tests.engine.plugins import (
    FakePlugin,
    FakeProcessor,
    Seen,
    delay,
    gain,
    listener,
    stamper,
    witness,
)
from tests.engine.rig import HOP, Rig, noise

pytestmark = pytest.mark.engine

LATENCY = 320
WARM_UP_CALLS = 220


class Wiping(FakeProcessor):
    """Zeroes all audio, until it fails."""

    def __init__(self, fails_at: int) -> None:
        self._fails_at = fails_at
        self.calls = 0

    def process(self, block: Block, emit: Emit) -> None:
        self.calls += 1
        block.samples[:] = 0.0
        if self.calls == self._fails_at:
            raise ZeroDivisionError("on purpose")


def wiper(fails_at: int = 1 << 30, name: str = "wiper", latency_samples: int = LATENCY) -> FakePlugin:
    """Make a plugin that gives out silence, late."""
    spec = PluginSpec(name=name, edits_audio=True, latency_samples=latency_samples)
    return FakePlugin(spec, lambda context, capacity: Wiping(fails_at))


def play(*plugins: FakePlugin, lengths: list[int], gaps_hops: list[int], waits: list[int]) -> list[list[Seen]]:
    """Play streams that come and go, each with a gap half way; give what the last plugin saw of each."""
    rig = Rig(*plugins, live=False, capacity=len(lengths))
    plugins[-1].processor.seen.clear()
    for index, length in enumerate(lengths):
        writer = rig.open(f"c{index}")
        sound = noise(length, seed=index)
        writer.write(sound[: length // 2])
        if gaps_hops[index]:
            writer.write_gap(gaps_hops[index] * HOP)
        writer.write(sound[length // 2 :])
        writer.end("done")
        for _ in range(waits[index]):
            rig.step()
    rig.run_dry()
    slots = range(len(lengths))
    return [[hop for hop in plugins[-1].processor.seen if hop.slot == slot] for slot in slots]


def heard_of(seen: list[Seen]) -> np.ndarray:
    return np.concatenate([hop.heard for hop in seen])


def test_input_of_two_hops_ago_is_heard_behind_a_plugin_that_wipes_it_out() -> None:
    sound = noise(20 * HOP + 31)
    (seen,) = play(wiper(), witness(hears_input=True), lengths=[len(sound)], gaps_hops=[0], waits=[0])
    heard = heard_of(seen)
    assert not np.concatenate([hop.samples for hop in seen]).any()
    assert not heard[:LATENCY].any()
    assert np.array_equal(heard[LATENCY:][: len(sound)], sound)
    assert [hop.start_sample for hop in seen] == list(range(-LATENCY, len(heard) - LATENCY, HOP))


@given(
    latencies=st.lists(st.integers(0, 700), min_size=1, max_size=3),
    lengths=st.lists(st.integers(0, 12 * HOP), min_size=4, max_size=4),
    gaps_hops=st.lists(st.integers(0, 3), min_size=4, max_size=4),
    waits=st.lists(st.integers(0, 6), min_size=4, max_size=4),
)
@settings(max_examples=25, deadline=None)
def test_what_is_heard_is_what_would_come_out_if_plugins_only_delayed(
    latencies: list[int], lengths: list[int], gaps_hops: list[int], waits: list[int]
) -> None:
    delays = [delay(f"d{index}", latency) for index, latency in enumerate(latencies)]
    wipers = [wiper(name=f"w{index}", latency_samples=latency) for index, latency in enumerate(latencies)]
    timetable = {"lengths": lengths, "gaps_hops": gaps_hops, "waits": waits}
    told = play(*wipers, witness(hears_input=True), **timetable)
    wanted = play(*delays, witness(hears_input=True), **timetable)
    for streams, expected in zip(told, wanted, strict=True):
        assert [hop.start_sample for hop in streams] == [hop.start_sample for hop in expected]
        for hop, other in zip(streams, expected, strict=True):
            assert np.array_equal(hop.heard, other.samples)
            assert np.array_equal(other.heard, other.samples)


def test_flags_and_marks_are_those_of_what_is_heard() -> None:
    seer = witness(hears_input=True)
    rig = Rig(stamper(), wiper(), seer, live=False)
    seer.processor.seen.clear()
    writer = rig.open()
    sound = noise(12 * HOP)
    sound[5 * HOP + 3] = np.nan
    writer.write(sound)
    writer.end("done")
    rig.run_dry()
    (bad,) = [hop for hop in seer.processor.seen if hop.flags & HopFlag.SANITISED]
    assert bad.heard is not None
    assert bad.heard[3] == 0.0
    assert np.array_equal(np.delete(bad.heard, 3), np.delete(sound[5 * HOP : 6 * HOP], 3))
    assert bad.marks["stamp"] == bad.start_sample == 5 * HOP


def test_a_bypass_is_not_heard() -> None:
    timetable = {"lengths": [30 * HOP, 17 * HOP, 25 * HOP + 9], "gaps_hops": [0, 0, 0], "waits": [3, 0, 0]}
    broken = wiper(fails_at=WARM_UP_CALLS + 9)
    seen = play(broken, witness(hears_input=True), **timetable)
    for index, length in enumerate(timetable["lengths"]):
        heard = heard_of(seen[index])
        assert np.array_equal(heard[LATENCY:][:length], noise(length, seed=index))
    assert broken.processor.calls == WARM_UP_CALLS + 9


def test_plugins_before_and_after_an_edit_hear_the_same() -> None:
    class Compares(FakeProcessor):
        """Compares what it hears with what it sees."""

        is_same = True

        def process(self, block: Block, emit: Emit) -> None:
            self.is_same &= np.array_equal(block.heard, block.samples)

    before = Compares()
    sound = noise(5 * HOP)
    chain = (listener("before", before, hears_input=True), gain("half", 0.5), witness(hears_input=True))
    (seen,) = play(*chain, lengths=[len(sound)], gaps_hops=[0], waits=[0])
    assert before.is_same
    assert np.array_equal(heard_of(seen)[: len(sound)], sound)
    assert np.array_equal(seen[1].samples, 0.5 * sound[HOP : 2 * HOP])


def test_what_is_heard_cannot_be_written_over() -> None:
    class Writes(FakeProcessor):
        def process(self, block: Block, emit: Emit) -> None:
            block.heard[:] = 0.0

    rig = Rig(listener("writes", Writes(), hears_input=True, edits_audio=True), live=False)
    (fault,) = rig.all_events("fault")
    assert "read-only" in fault.data.problem


def test_nothing_is_kept_when_no_plugin_asks_and_to_read_it_says_what_to_do() -> None:
    class Reads(FakeProcessor):
        problem = ""

        def process(self, block: Block, emit: Emit) -> None:
            with pytest.raises(PluginError) as caught:
                _ = block.heard
            self.problem = str(caught.value)

    reads = Reads()
    rig = Rig(wiper(), listener("reads", reads), live=False)
    assert "set `hears_input` in the plugin's spec" in reads.problem
    assert rig.engine.chain.heard(1) is None
