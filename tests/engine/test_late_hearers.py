"""What lanes find of a stream after its last hop is told, between ticks, to who hears late, and to nobody twice."""

from collections.abc import Sequence

import msgspec
import pytest

from rtemo.api import Block, BlockEvent, Emit, Finding, LaneSpec, PluginContext, PluginSpec
from tests.engine.lane_work import WorkOptions, describe
from tests.engine.plugins import FakePlugin, FakeProcessor, listener
from tests.engine.rig import Rig
from tests.engine.test_hearing import Hears, Laughter
from tests.engine.test_lanes import play

pytestmark = pytest.mark.engine


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="answer"):
    """To laughter."""

    start_sample: int


class Laughs(FakeProcessor):
    """Says what its lane found."""

    def tell(self, finding: Finding, emit: Emit) -> None:
        emit(finding.stream, Laughter(intensity=1.0), finding.start_sample, finding.end_sample)


class HearsLate(Hears):
    """Answers to all that it hears; keeps apart what came after the stream had left."""

    def __init__(self, raises: bool = False) -> None:
        super().__init__()
        self.late: list[BlockEvent] = []
        self.raises = raises

    def process(self, block: Block, emit: Emit) -> None:
        super().process(block, emit)
        for event in block.events:
            emit(event.row, Answer(start_sample=event.start_sample), event.start_sample, event.end_sample)

    def hear(self, events: Sequence[BlockEvent], emit: Emit) -> None:
        if self.raises:
            raise RuntimeError("too late")
        self.late += events
        for event in events:
            emit(event.stream, Answer(start_sample=event.start_sample), event.start_sample, event.end_sample)


def rig_of(hears: HearsLate) -> Rig:
    def make(context: PluginContext, capacity: int) -> Laughs:
        laughs = Laughs()
        spec = LaneSpec(name="work", window_s=0.3, stride_s=0.2, least_s=0.05, land_s=0.5)
        context.lane(spec, describe, laughs.tell, WorkOptions())
        return laughs

    slow = FakePlugin(PluginSpec(name="slow", emits=(Laughter,)), make)
    return Rig(slow, listener("late", hears, hears=("laughter",)), live=False)


def test_what_is_found_of_a_stream_that_has_left_is_heard_once_and_may_be_answered() -> None:
    hears = HearsLate()
    rig = rig_of(hears)
    try:
        play(rig, {"a": 100, "b": 63})
        found = [(e.call, e.start_sample) for e in rig.all_events("laughter")]
        answered = [(e.call, e.start_sample) for e in rig.all_events("answer")]
        assert sorted(answered) == sorted(found)
        assert hears.late, "the last windows of a stream are found when it has left"
        assert all(event.row is None and event.stream is not None for event in hears.late)
        in_ticks = {(e.stream.call, e.start_sample) for e, _ in hears.heard if e.stream is not None}
        after = {(e.stream.call, e.start_sample) for e in hears.late if e.stream is not None}
        assert not in_ticks & after
    finally:
        rig.engine.stop("test is over")


def test_one_that_raises_when_it_hears_late_is_taken_out_and_the_rest_goes_on() -> None:
    rig = rig_of(HearsLate(raises=True))
    try:
        play(rig, {"a": 100, "b": 63})
        (fault,) = rig.all_events("fault")
        assert fault.data.where == "late"
        assert "too late" in fault.data.problem
        assert len(rig.all_events("stream_end")) == 2
        assert rig.all_events("laughter", "b")
    finally:
        rig.engine.stop("test is over")
