"""The shipped gem behind the shipped listener: of one voice one of them speaks at a time."""

from typing import Any

import msgspec
import numpy as np
import pytest

from rtemo.api import Event, Spoof
from rtemo.config import load_config
from rtemo.session import Session
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

CHAIN = ["vad", "listener", "merit", "gem"]
OFTEN = {"listener": {"refresh_s": 0.5}}
SOUND = np.concatenate([voice(12.0, 4), np.zeros(16_000, np.float32)])


def said(sound: np.ndarray = SOUND, **plugins: Any) -> list[Event]:
    config = load_config(None, (), CHAIN)
    config = msgspec.structs.replace(config, plugins=config.plugins | OFTEN | plugins)
    with Session(config=config, mode="freewheel") as session:
        stream = session.stream("call", role="caller")
        stream.push(sound)
        stream.end()
        return [event for event in stream.events() if isinstance(event.data, Spoof)]


@pytest.fixture(scope="module")
def both() -> list[Event]:
    return said()


def test_gem_is_silent_from_the_first_verdict_of_the_listener_on(both: list[Event]) -> None:
    speakers = [event.plugin for event in both]
    first = speakers.index("listener")
    assert set(speakers[:first]) == {"gem"}, "before the listener has heard two seconds"
    assert set(speakers[first:]) == {"listener"}
    assert len(speakers) - first >= 2


def test_the_listener_says_the_same_with_and_without_gem_that_believes_it(both: list[Event]) -> None:
    apart = said(gem={"verdicts_of": []})
    assert {event.plugin for event in apart[-3:]} == {"gem", "listener"}
    listened = [[e.data for e in events if e.plugin == "listener"] for events in (both, apart)]
    assert listened[0] == listened[1]


def test_where_the_listener_does_not_judge_gem_says_what_it_always_says() -> None:
    alone = said(listener={"spoof": False, "refresh_s": 0.5})
    assert {event.plugin for event in alone} == {"gem"}
    assert [e.data for e in alone] == [e.data for e in said(gem={"verdicts_of": []}) if e.plugin == "gem"]
    assert alone[-1].data.trigger == "stream_end"
