"""Which plugin speaks of a turn when both the listener and merit are in the chain."""

import itertools

import numpy as np
import pytest

from rtemo.api import Emotion, Event, StreamFormat
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.runtime import ModelStore
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.plugin import ListenerPlugin
from rtemo_plugins.listener.room import Room
from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.plugin import MeritPlugin
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.plugin import VadPlugin
from tests.engine.rig import Timetable
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

CALM_HOPS = 200


def play(monkeypatch: pytest.MonkeyPatch, when: str, turns: int | None, sounds: dict[str, np.ndarray]) -> list[Event]:
    """Streams through vad, listener and merit; with `turns` the listener's lane has proved good for so many at once."""
    if turns is not None:
        monkeypatch.setattr(Room, "look", lambda self, taken: setattr(self, "turns", turns))
    plugins = [
        VadPlugin(VadOptions()),
        ListenerPlugin(ListenerOptions(when=when)),  # type: ignore[arg-type]
        MeritPlugin(MeritOptions(enhance=False)),
    ]
    options = EngineOptions(capacity=8, ring_s=30.0)
    engine = Engine(plugins, options, is_live=False, clock=Timetable(), open_store=ModelStore)
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
    assert not [e for e in events if e.kind == "fault"]
    return [e for e in events if isinstance(e.data, Emotion)]


def test_merit_later_in_the_chain_leaves_the_turns_to_the_listener(monkeypatch: pytest.MonkeyPatch) -> None:
    said = play(monkeypatch, "always", None, {"a": voice(6.0, 1)})
    assert {e.plugin for e in said} == {"listener"}


def test_with_room_for_one_turn_merit_speaks_of_the_others_and_no_turn_has_two_voices(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said = play(monkeypatch, "spare", 1, {"a": voice(9.0, 1), "b": voice(9.0, 2), "c": voice(9.0, 3)})
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


def test_room_shrinks_while_windows_are_dropped_and_grows_when_they_are_not() -> None:
    room = Room(StreamFormat())
    room.look(40)
    unbound = room.turns
    room.dropped += 3
    room.look(40)
    assert room.turns == 32 < unbound
    room.dropped += 3
    for _ in range(CALM_HOPS - 1):
        room.look(32)
    assert room.turns == 32, "what was dropped right after a step back may have been cut before it"
    room.look(30)
    assert room.turns == 24
    for _ in range(3 * CALM_HOPS):
        room.look(24)
    assert room.turns == 27
    for _ in range(40 * CALM_HOPS):
        room.dropped += 1
        room.look(1)
    assert room.turns == 1, "one turn is always listened to, else nothing would show that it is better"
