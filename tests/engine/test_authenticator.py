"""The authenticator plugin through the engine: what it says of a voice, and the emotion from the same pass."""

from typing import Any

import numpy as np
import pytest

from rtemo.api import Emotion, Event, ModelError, Spoof, StreamFormat
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.runtime import ModelStore
from rtemo_plugins.authenticator.options import AuthenticatorOptions
from rtemo_plugins.authenticator.plugin import AuthenticatorPlugin
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.plugin import ListenerPlugin
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.plugin import VadPlugin
from tests.engine.rig import Timetable
from tests.fakes import freewheel
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

RATE_HZ = 16_000


def play(plugin: Any, sounds: dict[str, np.ndarray], format: StreamFormat | None = None) -> list[Event]:
    """Run streams that begin together through vad and a plugin, freewheeling; all that is said."""
    options = EngineOptions(capacity=4, ring_s=30.0) if format is None else EngineOptions(capacity=4, format=format)
    engine = Engine([VadPlugin(VadOptions()), plugin], options, is_live=False, clock=Timetable(), open_store=ModelStore)
    return freewheel.play(engine, sounds)


@pytest.fixture(scope="module")
def sounds() -> dict[str, np.ndarray]:
    return {"a": voice(9.0, 1), "b": voice(12.0, 4)}


@pytest.fixture(scope="module")
def events(sounds: dict[str, np.ndarray]) -> list[Event]:
    return play(AuthenticatorPlugin(AuthenticatorOptions(emotion=True, refresh_s=0.5)), sounds)


def spoofs(events: list[Event], call: str) -> list[Event]:
    return [e for e in events if e.call == call and isinstance(e.data, Spoof)]


def test_a_voice_is_judged_from_two_seconds_on_with_shares_of_the_experts(events: list[Event]) -> None:
    for call in ("a", "b"):
        said = spoofs(events, call)
        assert said
        assert said[0].data.trigger in ("first", "alarm")
        assert said[0].data.speech_s >= 2.0
        for event in said:
            assert sum(event.data.contributions.values()) == pytest.approx(event.data.score, abs=2e-3)
            assert np.isfinite(event.data.score)


def test_a_stream_is_judged_alike_alone_and_beside_another(events: list[Event], sounds: dict[str, np.ndarray]) -> None:
    alone = play(AuthenticatorPlugin(AuthenticatorOptions(refresh_s=0.5)), {"b": sounds["b"]})
    assert [e.data for e in spoofs(alone, "b")] == [e.data for e in spoofs(events, "b")]
    assert not [e for e in alone if isinstance(e.data, Emotion)]


def test_the_emotion_is_what_the_listener_says(events: list[Event], sounds: dict[str, np.ndarray]) -> None:
    listened = play(ListenerPlugin(ListenerOptions(bundle="merit-large")), {"a": sounds["a"]})
    wanted = [e.data for e in listened if isinstance(e.data, Emotion)]
    found = [e.data for e in events if e.call == "a" and isinstance(e.data, Emotion)]
    assert [e.trigger for e in found] == [e.trigger for e in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.arousal == pytest.approx(other.arousal, abs=2e-3)
        assert one.label == other.label


def test_a_bundle_without_experts_is_refused() -> None:
    with pytest.raises(ModelError, match="does not tell a score of synthesis"):
        play(AuthenticatorPlugin(AuthenticatorOptions(bundle="merit-large")), {})
