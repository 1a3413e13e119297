"""The gates plugin through the engine: music and noise under speech are said once."""

from typing import Any

import numpy as np
import pytest

from rtemo.api import Event, PluginContext, PluginError, Quality, StreamFormat
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo_plugins.gates.options import GatesOptions
from rtemo_plugins.gates.plugin import GatesPlugin
from tests.engine.rig import Timetable
from tests.engine.test_transcript import ear
from tests.fakes import freewheel
from tests.fakes.corpus_recordings import organ
from tests.fakes.meaning import FakeStore
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

RATE_HZ = 16_000


def play(sounds: dict[str, np.ndarray], **options: Any) -> list[Event]:
    plugins = [ear(), GatesPlugin(GatesOptions(**options))]
    limits = EngineOptions(capacity=8, ring_s=60.0)
    engine = Engine(plugins, limits, is_live=False, clock=Timetable(), open_store=FakeStore)
    return freewheel.play(engine, sounds)


def problems(events: list[Event], call: str = "a") -> list[str]:
    return [e.data.problem for e in events if e.call == call and isinstance(e.data, Quality)]


def noise(seconds: float, level: float) -> np.ndarray:
    return (level * np.random.default_rng(0).standard_normal(round(seconds * RATE_HZ))).astype(np.float32)


def test_clean_speech_is_trusted_and_speech_over_music_or_noise_is_not_each_said_once():
    speech = voice(20.0, seed=3)
    sounds = {"a": speech, "b": speech + organ(20.0)[: len(speech)], "c": speech + noise(20.0, 0.05)}
    events = play(sounds)
    assert problems(events, "a") == []
    assert problems(events, "b") == ["music"]
    assert problems(events, "c") == ["noise"]


def test_a_problem_that_comes_back_is_said_again():
    clean, dirty = voice(16.0, seed=3), voice(16.0, seed=3) + noise(16.0, 0.05)
    events = play({"a": np.concatenate([dirty, clean, dirty])})
    assert problems(events) == ["noise", "noise"]


def test_neighbours_do_not_show():
    sounds = {"a": voice(14.0, seed=1) + noise(14.0, 0.05), "b": voice(14.0, seed=2)}
    together = play(sounds)
    for call in sounds:
        assert problems(together, call) == problems(play({call: sounds[call]}), call)


def test_limits_are_options():
    assert problems(play({"a": voice(14.0, seed=3)}, least_snr_db=60.0)) in ([], ["noise"])
    assert problems(play({"a": voice(14.0, seed=3) + noise(14.0, 0.05)}, least_snr_db=-20.0)) == []


def test_another_rate_is_refused_with_what_to_do():
    class At8:
        format = StreamFormat(sample_rate_hz=8_000)

    context: PluginContext = At8()  # type: ignore[assignment]
    with pytest.raises(PluginError, match="out of `chain`"):
        GatesPlugin(GatesOptions()).open(context, 1)
