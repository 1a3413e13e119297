"""Which plugin speaks of a turn when both the listener and merit are in the chain."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from rtemo.api import Emotion, Event, Fault, ModelError, SpeechEnd, Window
from rtemo.engine import lane_worker
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.runtime import ModelStore
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.plugin import ListenerPlugin
from rtemo_plugins.listener.room import Room
from rtemo_plugins.listener.work import Work
from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.plugin import MeritPlugin
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.plugin import VadPlugin
from tests.engine.rig import Timetable
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine


def play(
    sounds: dict[str, np.ndarray], open_store: Callable[[], ModelStore] = ModelStore, **wanted: Any
) -> list[Event]:
    """Streams through vad, listener and merit, faults among what is said."""
    plugins = [
        VadPlugin(VadOptions()),
        ListenerPlugin(ListenerOptions(**wanted)),
        MeritPlugin(MeritOptions(enhance=False)),
    ]
    options = EngineOptions(capacity=8, ring_s=30.0)
    engine = Engine(plugins, options, is_live=False, clock=Timetable(), open_store=open_store)
    engine.open()
    engine.lanes.start()
    try:
        for call, sound in sounds.items():
            writer = engine.open_stream(call, "0", prefill_s=0.0)
            assert writer.write(sound) == len(sound)
            writer.end("end")
        while not engine.floor.is_empty:
            engine.driver.step(engine.chain.turn.holder)
    finally:
        events = engine.outbox.take(0.0)
        engine.stop("test is over")
    return events


def emotions(events: list[Event]) -> list[Event]:
    return [e for e in events if isinstance(e.data, Emotion)]


def faults(events: list[Event]) -> list[Fault]:
    return [e.data for e in events if isinstance(e.data, Fault)]


def overlap_of(one: Event, other: Event) -> int:
    return min(one.end_sample, other.end_sample) - max(one.start_sample, other.start_sample)


@pytest.mark.parametrize("when", ["spare", "always"])
def test_merit_later_in_the_chain_leaves_the_turns_to_the_listener(when: str) -> None:
    events = play({"a": voice(6.0, 1)}, when=when)
    assert {e.plugin for e in emotions(events)} == {"listener"}
    assert not faults(events)


class Bare(ModelStore):
    """What lends all models but the large one, as where its file is spoilt."""

    def load(self, name: str) -> Any:
        if name == "gem-large":
            raise ModelError("the weights of 'gem-large' are spoilt", "reinstall the bundle")
        return super().load(name)


class Empty(Bare):
    """The same where there is not even its card."""

    def card(self, name: str) -> Any:
        return self.load(name).card


@pytest.mark.parametrize("store", [Bare, Empty])
def test_without_the_large_network_merit_speaks_of_everything_and_it_is_said_once_why(store: type[ModelStore]) -> None:
    events = play({"a": voice(6.0, 1), "b": voice(6.0, 2)}, store)
    alone = play({"a": voice(6.0, 1), "b": voice(6.0, 2)}, store)
    (fault,) = faults(events)
    assert (fault.where, fault.action) == ("listener.encode", "given up")
    assert "'gem-large' are spoilt" in fault.problem
    ends = [(e.call, e.end_sample) for e in events if isinstance(e.data, SpeechEnd)]
    finals = [e for e in emotions(events) if e.data.is_final]
    assert len(finals) == len(ends) >= 4
    assert {e.plugin for e in finals} == {"merit"}
    assert [(e.call, e.data) for e in emotions(events)] == [(e.call, e.data) for e in emotions(alone)], "every time"


def test_a_bundle_that_somebody_has_named_must_be_there() -> None:
    with pytest.raises(ModelError, match="no model bundle 'my-moods'"):
        play({"a": voice(1.0, 1)}, bundle="my-moods")


def test_a_turn_whose_lane_is_lost_is_spoken_of_by_merit_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    calls, works = [], Work.__call__

    def work(self: Work, windows: Sequence[Window]) -> list[Any]:
        calls.append(len(windows))
        if len(calls) > 3:
            raise RuntimeError("out of memory")
        return works(self, windows)

    monkeypatch.setattr(Work, "__call__", work)
    monkeypatch.setattr(lane_worker, "_FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(lane_worker, "_LONGEST_PAUSE_S", 0.01)
    events = play({"a": voice(9.0, 1)})
    assert [fault.action for fault in faults(events)] == ["retrying"] * 3 + ["given up"]
    ends = [e for e in events if isinstance(e.data, SpeechEnd)]
    said = emotions(events)
    lost = said[[e.plugin for e in said].index("merit") - 1]
    assert lost.plugin == "listener"
    assert not lost.data.is_final
    finals = [e for e in said if e.data.is_final]
    assert len(finals) == len(ends) >= 2
    assert {e.plugin for e in finals[1:]} == {"merit"}
    for end, final in zip(ends, finals, strict=True):
        assert overlap_of(end, final) > 0.5 * (end.end_sample - end.start_sample)


def test_a_turn_that_is_looked_at_less_often_has_the_same_first_word_and_spans_the_same_speech(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    without_pauses = np.tile(voice(9.0, 1)[3_200:38_400], 4)
    sound = {"a": without_pauses, "b": voice(9.0, 2)}
    often = sorted(emotions(play(sound)), key=lambda e: (e.call, e.end_sample))
    rooms, unbind = [], Room.unbind

    def spare(room: Room) -> None:
        unbind(room)
        room.sparing = 4
        rooms.append(room)

    monkeypatch.setattr(Room, "unbind", spare)
    rarely = sorted(emotions(play(sound)), key=lambda e: (e.call, e.end_sample))
    assert rooms[0].dropped == 0, "what it passes over itself is no loss"
    for trigger in ("first", "turn_end"):
        spans = [
            [(e.call, e.start_sample, e.end_sample) for e in said if e.data.trigger == trigger]
            for said in (often, rarely)
        ]
        assert spans[0] == spans[1] != []
    firsts = [[(e.call, e.data) for e in said if e.data.trigger == "first"] for said in (often, rarely)]
    assert firsts[0] == firsts[1]
    steps = {
        name: [
            (later.end_sample - one.end_sample) / 16_000
            for one, later in itertools.pairwise(said)
            if one.call == later.call and one.start_sample == later.start_sample and later.data.trigger == "refresh"
        ]
        for name, said in (("often", often), ("rarely", rarely))
    }
    assert max(steps["often"]) < 0.6
    assert min(steps["rarely"]) > 1.7
    assert len(rarely) < 0.7 * len(often)


def test_with_room_for_one_turn_merit_speaks_of_the_others_and_no_turn_has_two_voices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Room, "look", lambda self, taken: setattr(self, "turns", 1))
    said = emotions(play({"a": voice(9.0, 1), "b": voice(9.0, 2), "c": voice(9.0, 3)}))
    assert {e.plugin for e in said} == {"listener", "merit"}
    spans: dict[tuple[str, str], list[tuple[int, int]]] = {}
    for event in said:
        if event.data.is_final:
            spans.setdefault((event.call, event.plugin), []).append((event.start_sample, event.end_sample))
    for call in "abc":
        for start, end in spans.get((call, "listener"), []):
            for other_start, other_end in spans.get((call, "merit"), []):
                assert min(end, other_end) - max(start, other_start) < 0.5 * (end - start)
    finals = [e for e in said if e.data.is_final]
    taken = sorted((e.start_sample, e.end_sample) for e in finals if e.plugin == "listener")
    # A turn begins for the lane 0.3 s before the mark rises, so neighbours may overlap by that.
    assert all(before[1] - after[0] < 16_000 for before, after in itertools.pairwise(taken))
