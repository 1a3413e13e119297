import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtemo.api import Block, Emit, Fault, HopFlag, Level, Mark, PluginError, PluginSpec
from rtemo.engine.chain_order import check
from rtemo.engine.engine import Engine
from tests.engine.plugins import (
    FailingProcessor,
    FakePlugin,
    FakeProcessor,
    delay,
    failing,
    gain,
    listener,
    stamper,
    teller,
    witness,
)
from tests.engine.rig import HOP, Rig, noise, ramp

pytestmark = pytest.mark.engine


def spec(name: str, provides: tuple[str, ...] = (), requires: tuple[str, ...] = ()) -> PluginSpec:
    return PluginSpec(name=name, provides=tuple(Mark(name=mark) for mark in provides), requires=requires)


def refusal(*specs: PluginSpec) -> str:
    with pytest.raises(PluginError) as caught:
        check(specs)
    return str(caught.value)


def test_missing_mark_is_refused_with_what_to_add() -> None:
    assert refusal(spec("emotion", requires=("speech",))) == (
        "plugin 'emotion' needs 'speech', which no plugin in the chain provides; "
        "add a plugin that provides 'speech' before 'emotion'"
    )


def test_mark_provided_too_late_is_refused_with_the_order_to_choose() -> None:
    assert refusal(spec("emotion", requires=("speech",)), spec("vad", provides=("speech",))) == (
        "plugin 'emotion' needs 'speech', which 'vad' provides only after it; put 'vad' before 'emotion' in `chain`"
    )


def test_mark_a_plugin_provides_itself_does_not_count_as_provided() -> None:
    assert "no plugin in the chain provides" in refusal(spec("vad", provides=("speech",), requires=("speech",)))


def test_mark_provided_twice_is_refused() -> None:
    assert refusal(spec("vad", provides=("speech",)), spec("energy", provides=("speech",))) == (
        "plugins 'vad' and 'energy' both provide 'speech'; keep one of them in `chain`"
    )


def test_same_plugin_twice_is_refused() -> None:
    assert refusal(spec("vad"), spec("vad")) == "plugin 'vad' stands twice in the chain; name each plugin once"


def test_plugin_that_cannot_be_opened_is_named_and_those_before_it_are_closed() -> None:
    first = failing("first", "never")

    def cannot(context: object, capacity: int) -> None:
        raise OSError("no such licence")

    engine = Engine([first, FakePlugin(PluginSpec(name="second"), cannot)])
    with pytest.raises(PluginError, match=r"plugin 'second' cannot be opened \(OSError: no such licence\)"):
        engine.open()
    assert first.processor.closed == 1


@given(latencies=st.lists(st.integers(0, 700), min_size=1, max_size=3))
@settings(max_examples=25, deadline=None)
def test_declared_latencies_add_up_to_the_measured_delay(latencies: list[int]) -> None:
    plugins = [delay(f"d{index}", latency) for index, latency in enumerate(latencies)]
    rig = Rig(*plugins, live=False)
    sound = noise(13 * HOP + 57, seed=len(latencies))
    writer = rig.open()
    writer.write(sound)
    writer.end("done")
    rig.run_dry()
    total = sum(latencies)
    out = rig.audio()
    assert rig.engine.latency_samples == rig.engine.chain.latency_samples == total
    assert np.array_equal(out[total : total + sound.shape[0]], sound)
    assert not out[:total].any()
    assert not out[total + sound.shape[0] :].any()
    assert [start for start, _ in rig.heard["a", "0"]] == list(range(-total, out.shape[0] - total, HOP))


def test_latency_of_a_plugin_that_only_listens_does_not_delay_the_audio() -> None:
    rig = Rig(listener("wise", FakeProcessor(), latency_samples=999), live=False)
    assert rig.engine.latency_samples == rig.engine.chain.latency_samples == 0


def test_marks_and_flags_arrive_with_the_audio_they_were_made_for() -> None:
    seer = witness()
    rig = Rig(stamper(), delay("late", 3 * HOP), seer, live=False)
    writer = rig.open()
    sound = ramp(10 * HOP)
    sound[4 * HOP + 5] = np.nan
    writer.write(sound)
    writer.end("done")
    seer.processor.seen.clear()
    rig.run_dry()
    seen = seer.processor.seen
    assert [hop.start_sample for hop in seen] == [(tick - 3) * HOP for tick in range(14)]
    for hop in seen[:3]:
        assert np.isnan(hop.marks["stamp"])
        assert hop.flags == 0
    for hop in seen[3:]:
        assert hop.marks["stamp"] == hop.start_sample
    assert [hop.start_sample for hop in seen if hop.flags & HopFlag.SANITISED] == [4 * HOP]
    assert [hop.start_sample for hop in seen if hop.flags & HopFlag.PADDED] == [10 * HOP]
    assert [hop.start_sample for hop in seen if hop.flags & HopFlag.LAST] == [10 * HOP]


@given(
    lengths=st.lists(st.integers(0, 12 * HOP), min_size=2, max_size=6),
    latency_hops=st.integers(0, 3),
    seed=st.integers(0, 1 << 30),
)
@settings(max_examples=25, deadline=None)
def test_marks_stay_with_their_stream_when_rows_move(lengths: list[int], latency_hops: int, seed: int) -> None:
    seer = witness()
    rig = Rig(stamper(), delay("late", latency_hops * HOP), seer, live=False)
    rng = np.random.default_rng(seed)
    seer.processor.seen.clear()
    for index, length in enumerate(lengths):
        writer = rig.open(f"c{index}")
        writer.write(noise(length, seed=index))
        writer.end("done")
        for _ in range(int(rng.integers(0, 5))):
            rig.step()
    rig.run_dry()
    for hop in seer.processor.seen:
        known = hop.marks["stamp"] == hop.start_sample
        assert known or (np.isnan(hop.marks["stamp"]) and hop.start_sample < 0)
    for index, length in enumerate(lengths):
        out = rig.audio(f"c{index}")[latency_hops * HOP :]
        assert np.array_equal(out[:length], noise(length, seed=index))


SOUNDS = [noise(40 * HOP - (2 - index) * 500, seed=index) for index in range(3)]


def play(*plugins: object) -> Rig:
    """Run three streams through a chain; the first is over first, so that rows move."""
    rig = Rig(*plugins, live=False)
    for index, sound in enumerate(SOUNDS):
        writer = rig.open(f"c{index}")
        writer.write(sound)
        writer.end("done")
    rig.run_dry()
    return rig


def assert_all_was_played(rig: Rig) -> None:
    for index, sound in enumerate(SOUNDS):
        assert np.array_equal(rig.audio(f"c{index}")[: sound.shape[0]], sound)


def told(rig: Rig, plugin: str) -> list[tuple[str, int, int, float]]:
    """What a `teller` said, without its sequence numbers."""
    return [
        (event.call, event.start_sample, event.end_sample, event.data.rms_dbfs)
        for event in rig.all_events("level")
        if event.plugin == plugin and isinstance(event.data, Level)
    ]


@pytest.mark.parametrize(
    ("at", "count"),
    [
        ("process", 1),
        ("process", 220),
        ("process", 221),
        ("process", 237),
        ("admit", 2),
        ("admit", 4),
        ("retire", 2),
        ("retire", 3),
        ("retire", 4),
    ],
)
@pytest.mark.parametrize("edits_audio", [False, True])
def test_raising_plugin_is_bypassed_and_nobody_else_notices(at: str, count: int, edits_audio: bool) -> None:
    # 220 calls of `process` and two of `admit` and `retire` are the warm-up's.
    bad = failing("bad", at, count, edits_audio=edits_audio)
    seer = witness()
    broken = play(teller("before"), bad, teller("after"), seer)
    whole = play(teller("before"), teller("after"))
    for plugin in ("before", "after"):
        assert told(broken, plugin) == told(whole, plugin)
    for index in range(3):
        assert np.array_equal(broken.audio(f"c{index}"), whole.audio(f"c{index}"))
    (fault,) = broken.all_events("fault")
    assert isinstance(fault.data, Fault)
    assert (fault.data.where, fault.data.action) == ("bad", "bypassed")
    verb = "" if at == "process" else f"{at}: "
    assert fault.data.problem == f"{verb}ZeroDivisionError: on purpose in {at}"
    assert bad.processor.calls_after == 0
    health = broken.engine.health()
    assert [timing.state for timing in health.plugins if timing.name == "bad"] == ["bypassed"]


@pytest.mark.parametrize(("at", "count"), [("process", 231), ("admit", 4), ("retire", 3), ("retire", 4)])
def test_bypass_of_a_plugin_with_latency_delays_the_audio_as_it_did(at: str, count: int) -> None:
    class Fails(FailingProcessor):
        """A delay that gives up half way through a call."""

        def __init__(self, inner: FakeProcessor) -> None:
            super().__init__(at, count)
            self.inner = inner

        def process(self, block: Block, emit: Emit) -> None:
            self.inner.process(block, emit)
            block.samples[0] += 0.5 * (at == "process" and self._left == 1)
            self._reach("process")

        def admit(self, row: int) -> None:
            self._reach("admit")
            self.inner.admit(row)

        def retire(self, row: int, last: int) -> None:
            self._reach("retire")
            self.inner.retire(row, last)

    latency = 2 * HOP + 33
    good = delay("good", latency)
    bad = FakePlugin(good.spec, lambda context, capacity: Fails(good.open(context, capacity)))
    broken, whole = play(bad, teller()), play(delay("good", latency), teller())
    for index in range(3):
        assert np.array_equal(broken.audio(f"c{index}"), whole.audio(f"c{index}"))
    assert told(broken, "teller") == told(whole, "teller")
    assert len(broken.all_events("fault")) == 1


def test_mark_that_is_not_written_again_stays_with_its_stream() -> None:
    class Once(FakeProcessor):
        """Says once what it thinks of a stream."""

        def process(self, block: Block, emit: Emit) -> None:
            first = block.start_sample == 0
            block.marks["opinion"][first] = block.rows[first]

    seer = witness()
    rig = Rig(listener("once", Once(), provides=(Mark(name="opinion"),)), seer, live=False)
    seer.processor.seen.clear()
    for sound in SOUNDS:
        writer = rig.open(f"c{sound.shape[0]}")
        writer.write(sound)
        writer.end("done")
    rig.run_dry()
    assert all(hop.marks["opinion"] == hop.slot for hop in seer.processor.seen)


def test_marks_of_a_bypassed_plugin_read_unknown_also_in_rows_that_come_later() -> None:
    seer = witness()
    bad = failing("bad", "process", 220 + 5, provides=(Mark(name="stamp", unknown=-1.0),))
    rig = Rig(bad, seer, live=False)
    seer.processor.seen.clear()
    writer = rig.open("first")
    writer.write(ramp(8 * HOP))
    rig.tick(6)
    other = rig.open("other")
    other.write(ramp(3 * HOP))
    for stream in (writer, other):
        stream.end("done")
    rig.run_dry()
    first = [float(hop.marks["stamp"]) for hop in seer.processor.seen if hop.slot == 0]
    assert first == [7.0] * 4 + [-1.0] * (len(first) - 4)
    assert {float(hop.marks["stamp"]) for hop in seer.processor.seen if hop.slot == 1} == {-1.0}


def test_plugin_whose_audio_is_not_finite_is_bypassed() -> None:
    rig = play(gain("burst", float("inf")), teller())
    assert_all_was_played(rig)
    (fault,) = rig.all_events("fault")
    assert fault.data.problem == "its output is not finite"  # type: ignore[union-attr]


def test_plugin_that_replaces_the_samples_is_told_to_write_into_them() -> None:
    class Replaces(FakeProcessor):
        def process(self, block: Block, emit: Emit) -> None:
            block.samples = block.samples * 2.0

    rig = play(listener("naive", Replaces(), edits_audio=True), teller())
    assert_all_was_played(rig)
    (fault,) = rig.all_events("fault")
    assert "block.samples[:] = " in fault.data.problem  # type: ignore[union-attr]


def test_plugin_that_was_bypassed_cannot_emit_from_a_thread_of_its_own() -> None:
    kept = []

    class Keeps(FakeProcessor):
        def process(self, block: Block, emit: Emit) -> None:
            kept.append(emit)
            if len(kept) == 221:
                raise RuntimeError("now")

    rig = Rig(listener("keeps", Keeps()), live=False)
    writer = rig.open()
    writer.write(ramp(2 * HOP))
    rig.tick(2)
    kept[-1](0, Level(rms_dbfs=0.0, peak_dbfs=0.0, clipped_ratio=0.0), 0, 1)
    assert rig.all_events("level") == []


def test_every_processor_is_closed_also_the_bypassed_and_after_one_that_cannot() -> None:
    plugins = [failing("bypassed", "process"), failing("unclosable", "close"), failing("fine", "never")]
    rig = Rig(*plugins, live=False)
    rig.engine.stop("done")
    assert [plugin.processor.closed for plugin in plugins] == [1, 1, 1]


def test_plugin_that_writes_over_the_flags_ends_no_stream() -> None:
    class Scribbles(FakeProcessor):
        def process(self, block: Block, emit: Emit) -> None:
            block.flags[:] = 255

    assert_all_was_played(play(listener("scribbles", Scribbles())))
