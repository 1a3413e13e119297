"""What a guarding plugin holds against a stream shows in the emotion events of all plugins."""

import pytest

from rtemo.api import EMOTIONS, Block, Emit, Emotion, Level, StreamFacts
from tests.engine.plugins import FakeProcessor, listener
from tests.engine.rig import HOP, Rig, noise

pytestmark = pytest.mark.engine


EMOTION = Emotion(
    label="calm",
    probabilities=dict.fromkeys(EMOTIONS, 0.125),
    arousal=0.0,
    valence=0.0,
    confidence=0.125,
    speech_s=1.0,
    trigger="refresh",
)


class Feels(FakeProcessor):
    """Emits an emotion and a level at every hop."""

    def process(self, block: Block, emit: Emit) -> None:
        for row in range(block.n):
            start = int(block.start_sample[row])
            emit(row, EMOTION, start, start + HOP)
            emit(row, Level(rms_dbfs=-20.0, peak_dbfs=-10.0, clipped_ratio=0.0), start, start + HOP)


class Guards(FakeProcessor):
    """Doubts a stream once, from its third hop on, unless its slot is 1; says nothing afterwards."""

    def process(self, block: Block, emit: Emit) -> None:
        block.is_doubted[(block.start_sample == 2 * HOP) & (block.rows != 1)] = True


class Recalls(FakeProcessor):
    """Emits an emotion about every stream that has left, once, as what a lane found late would be."""

    def __init__(self) -> None:
        self.here: dict[int, StreamFacts] = {}

    def process(self, block: Block, emit: Emit) -> None:
        here = {stream.id: stream for stream in block.streams}
        for stream in [stream for id_, stream in self.here.items() if id_ not in here]:
            emit(stream, EMOTION, 0, HOP)
        self.here = here


def test_doubt_counts_from_the_next_event_on_for_that_stream_alone_and_stays() -> None:
    rig = Rig(listener("before", Feels()), listener("guard", Guards()), listener("after", Feels()), live=False)
    for call, hops in (("a", 9), ("b", 5), ("c", 7), ("d", 6)):
        writer = rig.open(call)
        writer.write(noise(hops * HOP))
        writer.end("done")
    rig.run_dry()
    for call in "abcd":
        for plugin, first in (("before", 3), ("after", 2)):
            told = [event for event in rig.all_events("emotion", call) if event.plugin == plugin]
            wanted = [call == "b" or event.start_sample < first * HOP for event in told]
            assert [event.data.is_trusted for event in told] == wanted
            assert len(told) >= 5
    assert len(rig.all_events("level")) == len(rig.all_events("emotion"))


def test_a_stream_that_takes_the_row_of_a_doubted_one_begins_trusted() -> None:
    rig = Rig(listener("guard", Guards()), listener("after", Feels()), live=False, capacity=1)
    for call in ("a", "b"):
        writer = rig.open(call)
        writer.write(noise(5 * HOP))
        writer.end("done")
        rig.run_dry()
        trusted = [event.data.is_trusted for event in rig.all_events("emotion", call)]
        assert trusted[:2] == [True, True]
        assert not any(trusted[2:])


def test_what_is_found_late_about_a_stream_that_left_doubted_is_untrusted() -> None:
    rig = Rig(listener("guard", Guards()), listener("late", Recalls()), live=False)
    for call, hops in (("a", 5), ("b", 5), ("c", 9)):  # b has slot 1, which the guard lets pass
        writer = rig.open(call)
        writer.write(noise(hops * HOP))
        writer.end("done")
    rig.run_dry()
    for call in "ab":
        (late,) = rig.all_events("emotion", call)
        assert late.data.is_trusted == (call == "b")
