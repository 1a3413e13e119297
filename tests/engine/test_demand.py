"""Processed audio is made for those who want it, and for nobody else."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest

from rtemo import warming
from rtemo.api import Block, Emit, Fault, LaneSpec, PluginSpec, StreamFacts
from rtemo.config import Config
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.runtime import ModelStore
from tests.engine.plugins import FakePlugin, FakeProcessor
from tests.engine.rig import HOP, Timetable, ramp
from tests.fakes.sinks import FakeSink

pytestmark = pytest.mark.engine


class Asking(FakeSink):
    """Wants the streams whose names it is told."""

    def __init__(self) -> None:
        super().__init__("asking")
        self.wanted: set[str] = set()
        self.fails = False

    def wants(self, stream: StreamFacts) -> bool:
        if self.fails:
            raise OSError("no idea")
        return stream.call in self.wanted


class Makes(FakeProcessor):
    """Keeps what it is told of the demand."""

    def __init__(self, demand: str) -> None:
        self.demand = demand
        self.wanted: list[list[bool]] = []

    def process(self, block: Block, emit: Emit) -> None:
        self.wanted.append(block.is_audio_wanted.tolist())


def makes(name: str = "makes", **spec: Any) -> FakePlugin:
    """Make a plugin that edits audio."""
    facts = PluginSpec(name=name, edits_audio=True, **spec)
    return FakePlugin(facts, lambda context, capacity: Makes(context.audio_demand))


def reader(name: str = "reader", *, reads_audio: bool = True, lane: str = "") -> FakePlugin:
    """Make a plugin that reads the audio, or a lane that does."""

    def open_reader(context: Any, capacity: int) -> FakeProcessor:
        if lane:
            spec = LaneSpec(name="lane", window_s=1.0, audio=lane)  # type: ignore[arg-type]
            context.lane(spec, lambda *_: lambda windows: [None for _ in windows], lambda *_: None)
        return FakeProcessor()

    return FakePlugin(PluginSpec(name=name, reads_audio=reads_audio), open_reader)


def opened(*plugins: Any, sinks: Sequence[Any] = (), is_live: bool = False, **options: Any) -> Engine:
    engine = Engine(
        plugins, EngineOptions(**options), is_live=is_live, clock=Timetable(), open_store=ModelStore, sinks=sinks
    )
    engine.open()
    return engine


def tick(engine: Engine, count: int) -> None:
    goal = engine.driver.ticks + count
    while engine.driver.ticks < goal:
        engine.driver.step()


@pytest.mark.parametrize(
    ("later", "sinks", "demand"),
    [
        ((), (), "never"),
        ((), (Asking,), "asked"),
        ((), (FakeSink,), "always"),
        ((), (Asking, FakeSink), "always"),
        (({},), (), "always"),
        (({"reads_audio": False},), (), "never"),
        (({"reads_audio": False}, {}), (Asking,), "always"),
        (({"reads_audio": False, "lane": "heard"},), (), "never"),
    ],
)
def test_plugin_is_told_whether_anybody_will_want_its_audio(later: Any, sinks: Any, demand: str) -> None:
    plugin = makes()
    others = [reader(f"reader{k}", **facts) for k, facts in enumerate(later)]
    opened(plugin, *others, sinks=[made() for made in sinks])
    assert plugin.processor.demand == demand


def test_lane_of_an_earlier_plugin_that_hears_processed_audio_wants_it_too() -> None:
    plugin = makes()
    engine = opened(reader(lane="processed"), plugin)
    assert plugin.processor.demand == "always"
    engine.lanes.stop(0.5)


def test_lane_on_processed_audio_of_a_plugin_that_says_it_reads_none_is_refused() -> None:
    with pytest.raises(Exception, match="hears processed audio, but the plugin says it reads none"):
        opened(reader(reads_audio=False, lane="processed"))


def test_stream_that_a_sink_wants_is_wanted_from_its_first_hop_on_and_after_rows_have_moved() -> None:
    plugin, sink = makes(), Asking()
    engine = opened(plugin, sinks=[sink], capacity=4)
    sink.wanted = {"b", "c"}
    writers = {call: engine.open_stream(call, "0") for call in "abc"}
    for writer in writers.values():
        writer.write(ramp(6 * HOP))
    writers["a"].write(ramp(HOP))
    plugin.processor.wanted.clear()
    tick(engine, 3)
    assert plugin.processor.wanted == [[False, True, True]] * 3
    engine.open_stream("d", "0").write(ramp(2 * HOP))
    tick(engine, 1)
    assert plugin.processor.wanted[-1] == [False, True, True, False]
    engine.stop("end")


def test_demand_that_changes_is_known_within_two_hops() -> None:
    plugin, sink = makes(), Asking()
    engine = opened(plugin, sinks=[sink], capacity=2)
    engine.open_stream("a", "0").write(ramp(40 * HOP))
    tick(engine, 5)
    assert plugin.processor.wanted[-1] == [False]
    for wanted in (True, False):
        sink.wanted = {"a"} if wanted else set()
        tick(engine, 2)
        assert plugin.processor.wanted[-1] == [wanted]
    engine.stop("end")


def test_sink_that_cannot_say_what_it_wants_gets_everything() -> None:
    plugin, sink = makes(), Asking()
    sink.fails = True
    engine = opened(plugin, sinks=[sink], capacity=2)
    engine.open_stream("a", "0").write(ramp(3 * HOP))
    tick(engine, 2)
    assert plugin.processor.wanted[-1] == [True]
    engine.stop("end")


def test_plugin_that_writes_into_the_demand_is_bypassed() -> None:
    class Writes(FakeProcessor):
        def process(self, block: Block, emit: Emit) -> None:
            block.is_audio_wanted[:] = True

    engine = opened(FakePlugin(PluginSpec(name="writes"), lambda *_: Writes()), sinks=[Asking()])
    engine.open_stream("a", "0").write(ramp(3 * HOP))
    tick(engine, 1)
    faults = [event.data for event in engine.outbox.take(0.0) if isinstance(event.data, Fault)]
    assert [fault.where for fault in faults] == ["writes"]
    assert "read-only" in faults[0].problem
    engine.stop("end")


def test_stream_of_which_only_the_timing_may_be_known_does_not_shift_the_demand_of_others() -> None:
    plugin, sink = makes(), Asking()
    sink.wanted = {"b"}
    engine = opened(plugin, sinks=[sink], capacity=3)
    for call, analysis in (("agent", "timing"), ("a", "person"), ("b", "person")):
        engine.open_stream(call, "0", analysis=analysis).write(ramp(3 * HOP))
    tick(engine, 2)
    assert plugin.processor.wanted[-1] == [False, True]
    engine.stop("end")


def test_block_made_by_hand_wants_everything() -> None:
    block = Block(0, np.zeros((2, HOP), np.float32), np.arange(2), np.zeros(2, np.int64), np.zeros(2, np.uint8), {})
    assert block.is_audio_wanted.tolist() == [True, True]


def test_chain_is_warmed_ahead_as_if_somebody_wanted_its_audio(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin = makes()
    monkeypatch.setattr(warming, "make", lambda name, options: plugin)
    warming.warm(msgspec.structs.replace(Config(), chain=("makes",)))
    assert plugin.processor.demand == "always"
