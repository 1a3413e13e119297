"""Open events: plugins hear what earlier ones and lanes have said, in words that they have declared."""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest

from rtemo.api import (
    Block,
    BlockEvent,
    Emit,
    Finding,
    Health,
    LaneSpec,
    Level,
    PluginContext,
    PluginError,
    PluginSpec,
    SpeechEnd,
)
from rtemo.engine.chain_order import check
from rtemo.engine.outlet import kinds_of
from tests.engine.lane_work import WorkOptions, describe
from tests.engine.plugins import FakePlugin, FakeProcessor, listener
from tests.engine.rig import HOP, Rig, noise
from tests.engine.test_lanes import play, wait_until

pytestmark = pytest.mark.engine


class Laughter(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="laughter"):
    """Somebody laughs."""

    intensity: float


class OtherLaughter(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="laughter"):
    """A type that claims the same kind."""

    loudness: int


class OwnLevel(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="level"):
    """A type that claims a kind of the shared vocabulary."""


class Says(FakeProcessor):
    """Says something about every row at every hop, with the row's start as its value."""

    def __init__(self, make: Callable[[int], Any] = lambda start: Laughter(intensity=float(start))) -> None:
        self.make = make

    def process(self, block: Block, emit: Emit) -> None:
        for row in range(block.n):
            start = int(block.start_sample[row])
            emit(row, self.make(start), start, start + HOP)


class Hears(FakeProcessor):
    """Keeps what it hears, with the call that its row belongs to."""

    def __init__(self) -> None:
        self.ticks: list[list[tuple[BlockEvent, str]]] = []

    def process(self, block: Block, emit: Emit) -> None:
        self.ticks.append(
            [
                (event, block.streams[event.row].call if block.streams and event.row is not None else "")
                for event in block.events
            ]
        )

    @property
    def heard(self) -> list[tuple[BlockEvent, str]]:
        return [pair for tick in self.ticks for pair in tick]


@pytest.fixture
def rigs() -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(*plugins: FakePlugin, **options: Any) -> Rig:
        made.append(Rig(*plugins, live=False, **options))
        return made[-1]

    yield make
    for rig in made:
        rig.engine.stop("test is over")


def run(rig: Rig, **calls: tuple[str, int]) -> None:
    for call, (analysis, hops) in calls.items():
        writer = rig.engine.open_stream(call, "0", analysis=analysis)
        writer.write(noise(hops * HOP))
        writer.end("done")
    rig.run_dry()


def test_event_is_heard_in_its_tick_by_later_plugins_that_ask_for_its_kind(rigs: Callable[..., Rig]) -> None:
    hears, deaf, before = Hears(), Hears(), Hears()
    rig = rigs(
        listener("before", before, hears=("laughter",)),
        listener("says", Says()),
        listener("deaf", deaf, hears=("emotion",)),
        listener("hears", hears, hears=("laughter",)),
    )
    assert hears.heard, "it is warmed up with events too"
    hears.ticks.clear()
    run(rig, a=("person", 4), b=("person", 3))
    assert not deaf.heard
    assert not before.heard
    assert [len(tick) for tick in hears.ticks[:3]] == [2, 2, 2]
    for event, call in hears.heard:
        assert (event.plugin, event.kind) == ("says", "laughter")
        assert event.stream is not None
        assert event.stream.call == call
        assert event.data == Laughter(intensity=float(event.start_sample))
        assert event.end_sample == event.start_sample + HOP
    assert len(hears.heard) == len(rig.all_events("laughter"))


def test_nothing_is_kept_that_nobody_hears(rigs: Callable[..., Rig]) -> None:
    rig = rigs(listener("says", Says()), listener("witness", FakeProcessor()))
    log = rig.engine.chain.log
    added = []
    log.add = lambda *event: added.append(event)  # type: ignore[method-assign]
    run(rig, a=("person", 5))
    assert rig.all_events("laughter")
    assert added == []


def test_plugin_about_persons_hears_nothing_of_a_stream_that_is_timed_only(rigs: Callable[..., Rig]) -> None:
    person, clock = Hears(), Hears()
    rig = rigs(
        listener("timer", Says(lambda start: SpeechEnd(speech_s=1.0)), analyses="timing"),
        listener("feels", Says()),
        listener("person", person, hears=("speech_end", "laughter")),
        listener("clock", clock, hears=("speech_end", "laughter"), analyses="timing"),
    )
    person.ticks.clear()
    clock.ticks.clear()
    run(rig, employee=("timing", 6), caller=("person", 5), third=("timing", 3))
    assert {call for _, call in person.heard} == {"caller"}
    assert {event.stream.call for event, _ in person.heard if event.stream} == {"caller"}
    assert {event.kind for event, _ in person.heard} == {"speech_end", "laughter"}
    assert {event.kind for event, _ in clock.heard} == {"speech_end"}, "what is found about a person is no timing"
    assert {call for _, call in clock.heard} == {"employee", "caller", "third"}
    assert all(event.stream is not None and event.stream.call == call for event, call in clock.heard)


class FromLane(FakeProcessor):
    """Says what its lane found."""

    def tell(self, finding: Finding, emit: Emit) -> None:
        emit(finding.stream, Laughter(intensity=0.5), finding.start_sample, finding.end_sample)


def lane_plugin(name: str, processor: Any, on: tuple[str, ...] = ("stride",), **facts: Any) -> FakePlugin:
    spec = LaneSpec(name="work", window_s=0.3, stride_s=0.2, least_s=0.05, on=on, land_s=0.0)

    def make(context: PluginContext, capacity: int) -> Any:
        context.lane(spec, describe, processor.tell, WorkOptions())
        return processor

    return FakePlugin(PluginSpec(name=name, **facts), make)


class Wakes(FakeProcessor):
    """Its lane works on what another lane has found."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def tell(self, finding: Finding, emit: Emit) -> None:
        self.findings.append(finding)


def test_what_a_lane_found_is_heard_in_the_next_tick_and_cuts_windows_of_other_lanes(
    rigs: Callable[..., Rig],
) -> None:
    hears, wakes = Hears(), Wakes()
    rig = rigs(
        lane_plugin("slow", FromLane(), emits=(Laughter,)),
        listener("hears", hears, hears=("laughter",)),
        lane_plugin("text", wakes, on=("laughter",)),
    )
    play(rig, {"a": 100, "b": 63})
    told = [(event.call, event.start_sample, event.end_sample) for event in rig.all_events("laughter")]
    heard = [(event.stream.call, event.start_sample, event.end_sample) for event, _ in hears.heard if event.stream]
    assert len(told) == 8
    assert heard == told
    spans = [(finding.stream.call, finding.start_sample, finding.end_sample) for finding in wakes.findings]
    assert set(spans) <= set(told)
    assert len(spans) >= 6
    assert {finding.trigger for finding in wakes.findings} == {"laughter"}


def test_stream_that_has_moved_is_heard_under_its_row_of_now() -> None:
    hears = Hears()
    rig = Rig(lane_plugin("slow", FromLane()), listener("hears", hears, hears=("laughter",)))
    try:
        writers = {call: rig.open(call) for call in "ab"}
        for _ in range(30):
            for writer in writers.values():
                if not writer.is_closed:
                    writer.write(noise(HOP))
            rig.step()
            if len(rig.engine.floor.rows) == 2:
                writers["a"].end("gone")
        for _ in range(40):
            writers["b"].write(noise(HOP))
            rig.step()
        wait_until(rig, lambda: bool(rig.all_events("laughter", "b")))
        writers["b"].write(noise(2 * HOP))
        rig.step()
        assert all(event.stream is not None and event.stream.call == call for event, call in hears.heard if call)
        assert any(call == "b" and event.row == 0 for event, call in hears.heard)
    finally:
        rig.engine.stop("test is over")


def test_what_a_plugin_has_not_declared_takes_it_out(rigs: Callable[..., Rig]) -> None:
    rig = rigs(listener("says", Says(), emits=(Level,)))
    run(rig, a=("person", 3))
    (fault,) = rig.all_events("fault")
    assert "'laughter', which is not among what it says it `emits`" in fault.data.problem
    assert not rig.all_events("laughter")


def test_undeclared_type_of_a_kind_that_another_plugin_declares_takes_its_plugin_out(rigs: Callable[..., Rig]) -> None:
    rig = rigs(listener("owner", FakeProcessor(), emits=(OtherLaughter,)), listener("says", Says()))
    run(rig, a=("person", 3))
    (fault,) = rig.all_events("fault")
    assert fault.data.where == "says"


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        (
            [PluginSpec(name="one", emits=(Laughter,)), PluginSpec(name="two", emits=(OtherLaughter,))],
            "plugin 'two' emits events of the kind 'laughter', which in plugin 'one' are of another type",
        ),
        ([PluginSpec(name="one", emits=(OwnLevel,))], "kind 'level', which in rtemo.api are of another type"),
        ([PluginSpec(name="one", emits=(Health,))], "'health', which only the engine may send"),
        ([PluginSpec(name="one", emits=(PluginSpec,))], "emits PluginSpec, which is no event"),
        ([PluginSpec(name="one", emits=("laughter",))], "emits 'laughter', which is no event"),
    ],
)
def test_kinds_that_cannot_be_told_apart_are_refused_before_anything_runs(specs: list[PluginSpec], words: str) -> None:
    with pytest.raises(PluginError, match=words):
        kinds_of(specs)
    with pytest.raises(PluginError, match=words):
        Rig(*(FakePlugin(spec, lambda context, capacity: FakeProcessor()) for spec in specs))


def test_same_type_may_be_said_by_several() -> None:
    assert kinds_of([PluginSpec(name=name, emits=(Laughter, Level)) for name in ("one", "two")])["laughter"] is Laughter


def test_hearing_what_is_only_said_later_is_refused_and_what_nobody_says_is_not() -> None:
    hears, says = PluginSpec(name="hears", hears=("laughter",)), PluginSpec(name="says", emits=(Laughter,))
    check([says, hears])
    check([hears])
    check([says, hears, PluginSpec(name="echo", emits=(Laughter,))])
    with pytest.raises(PluginError, match="'hears' hears 'laughter', which 'says' says only after it"):
        check([hears, says])
