"""The shipped ranker behind the shipped listener: what the large network tells goes into arousal and valence."""

import msgspec
import numpy as np
import pytest

from rtemo.api import Emotion, Event, Rank
from rtemo.config import load_config
from rtemo.session import Session
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

CHAIN = ["vad", "listener", "merit", "ranker"]
OFTEN = {"least_s": 0.5, "refresh_s": 0.5}


def said(estimates_of: list[str]) -> list[Event]:
    config = load_config(None, (), CHAIN)
    plugins = config.plugins | {"ranker": OFTEN | {"estimates_of": estimates_of}}
    config = msgspec.structs.replace(config, plugins=plugins)
    with Session(config=config, mode="freewheel") as session:
        stream = session.stream("call", role="caller")
        stream.push(np.concatenate([voice(7.0, 1), np.zeros(16_000, np.float32)]))
        stream.end()
        return list(stream.events())


def scores(events: list[Event], attribute: str) -> dict[float, float]:
    ranks = [event.data for event in events if isinstance(event.data, Rank)]
    return {rank.speech_s: rank.score for rank in ranks if rank.attribute == attribute}


def test_arousal_and_valence_follow_the_listener_and_intensity_does_not():
    alone, heard = said([]), said(["listener"])
    first = next(event for event in heard if isinstance(event.data, Emotion))
    assert first.plugin == "listener"
    assert scores(heard, "intensity") == scores(alone, "intensity")
    for attribute in ("arousal", "valence"):
        before, after = scores(alone, attribute), scores(heard, attribute)
        assert before.keys() == after.keys()
        moved = [speech_s for speech_s in before if before[speech_s] != after[speech_s]]
        assert min(moved) > 0.5  # nothing is told in the first second of a turn
        assert len(moved) > len(before) / 2
    assert [(e.kind, e.data) for e in said(["listener"])] == [(e.kind, e.data) for e in heard]
