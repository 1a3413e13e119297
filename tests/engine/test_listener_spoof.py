"""The listener plugin through the engine: what it says of a voice, beside the emotion and alone."""

from typing import Any

import numpy as np
import pytest

from rtemo.api import ConfigError, Emotion, Event, ModelError, Spoof
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.runtime import ModelStore
from rtemo_plugins.listener import verdicts
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.plugin import ListenerPlugin
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.plugin import VadPlugin
from tests.engine.rig import Timetable
from tests.fakes import freewheel
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

RATE_HZ = 16_000


def play(sounds: dict[str, np.ndarray], **options: Any) -> list[Event]:
    """Run streams that begin together through vad and listener, freewheeling; all that is said."""
    plugins = [VadPlugin(VadOptions()), ListenerPlugin(ListenerOptions(**options))]
    engine = Engine(
        plugins, EngineOptions(capacity=4, ring_s=30.0), is_live=False, clock=Timetable(), open_store=ModelStore
    )
    return freewheel.play(engine, sounds)


@pytest.fixture(scope="module")
def sounds() -> dict[str, np.ndarray]:
    return {"a": voice(9.0, 1), "b": voice(12.0, 4)}


@pytest.fixture(scope="module")
def events(sounds: dict[str, np.ndarray]) -> list[Event]:
    return play(sounds, refresh_s=0.5)


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


def test_a_turn_shorter_than_two_seconds_says_nothing_of_the_voice() -> None:
    short = np.concatenate([voice(1.4, 1), np.zeros(RATE_HZ, np.float32)])
    events = play({"short": short}, heard_s=0.5, refresh_s=0.5)
    assert [e for e in events if isinstance(e.data, Emotion)]
    assert not spoofs(events, "short")


def test_a_stream_is_judged_alike_alone_and_beside_another(events: list[Event], sounds: dict[str, np.ndarray]) -> None:
    alone = play({"b": sounds["b"]}, emotion=False, refresh_s=0.5)
    assert [e.data for e in spoofs(alone, "b")] == [e.data for e in spoofs(events, "b")]
    assert not [e for e in alone if isinstance(e.data, Emotion)]


def test_the_emotion_is_what_the_network_without_experts_says(
    events: list[Event], sounds: dict[str, np.ndarray]
) -> None:
    plain = play({"a": sounds["a"]}, bundle="merit-large")
    assert not spoofs(plain, "a")
    wanted = [e.data for e in plain if isinstance(e.data, Emotion)]
    found = [e.data for e in events if e.call == "a" and isinstance(e.data, Emotion)]
    assert [e.trigger for e in found] == [e.trigger for e in wanted]
    for one, other in zip(found, wanted, strict=True):
        assert one.arousal == pytest.approx(other.arousal, abs=2e-3)
        assert one.label == other.label


def test_emotion_alone_is_told_where_voices_are_not_to_be_judged(sounds: dict[str, np.ndarray]) -> None:
    events = play({"a": sounds["a"]}, spoof=False)
    assert [e for e in events if isinstance(e.data, Emotion)]
    assert not spoofs(events, "a")


def test_emotion_of_a_voice_judged_synthetic_is_untrusted_where_it_is_tagged(
    sounds: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verdicts, "level_at", lambda *_, **__: -30.0)  # whatever is heard is over it
    for policy in ("warn", "tag"):
        events = play({"b": sounds["b"]}, policy=policy, refresh_s=0.5)
        verdict = spoofs(events, "b")[0]
        assert verdict.data.verdict == "spoof"
        after = [e.data for e in events if isinstance(e.data, Emotion) and e.end_sample > verdict.end_sample + RATE_HZ]
        assert after
        assert {e.is_trusted for e in after} == {policy == "warn"}


def test_a_listener_that_can_say_nothing_is_refused_in_one_line() -> None:
    with pytest.raises(ModelError, match="does not tell a score of synthesis"):
        play({}, bundle="merit-large", emotion=False)
    with pytest.raises(ConfigError, match="neither emotion nor spoof"):
        play({}, emotion=False, spoof=False)
