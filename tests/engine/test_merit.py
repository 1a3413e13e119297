"""The merit plugin in a chain: what it leaves behind when it fails, and what later plugins see of it."""

from typing import Any

import numpy as np
import pytest

from rtemo.api import HopFlag, StreamFormat
from rtemo.runtime import ModelStore
from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.plugin import MeritPlugin
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.plugin import VadPlugin
from tests.engine.plugins import FakePlugin, witness
from tests.engine.rig import HOP, Rig
from tests.fakes.merit import merit_bundles
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

LATENCY = 320
WARM_UP_CALLS = 220
SOUNDS = [voice(1.2 + 0.3 * k, k)[: -k * 77 - 1] for k in range(3)]


class Failing:
    """Lends the models, of which the enhancer's raises at one call."""

    format = StreamFormat()
    audio_demand = "always"

    def __init__(self, fault_tick: int) -> None:
        self._store = ModelStore()
        self._calls_left = WARM_UP_CALLS + fault_tick

    def model(self, name: str) -> Any:
        handle = self._store.load(name)
        if handle.card.name == "merit-enhance":
            run = handle.run
            handle.run = lambda *given: self._run(run, *given)  # type: ignore[method-assign]
        return handle

    def _run(self, run: Any, *given: Any) -> Any:
        if self._calls_left == 0:
            raise MemoryError("on purpose")
        self._calls_left -= 1
        return run(*given)


def play(folder: Any, fault_tick: int = 1 << 30, **options: Any) -> tuple[Rig, FakePlugin]:
    """Run three streams of different length that begin together through vad, merit and a witness."""
    plugin = MeritPlugin(MeritOptions(**merit_bundles(folder)._asdict(), **options))
    wrapped = FakePlugin(plugin.spec, lambda context, capacity: plugin.open(Failing(fault_tick), capacity))
    seer = witness()
    rig = Rig(VadPlugin(VadOptions(back_end="webrtc")), wrapped, seer, live=False)
    seer.processor.seen.clear()
    for k, sound in enumerate(SOUNDS):
        writer = rig.open(f"c{k}")
        writer.write(sound)
        writer.end("done")
    rig.run_dry()
    return rig, seer


def test_audio_after_a_fault_is_the_input_to_the_bit_at_the_declared_delay(tmp_path):
    fault_tick = 57
    rig, _ = play(tmp_path, fault_tick)
    (fault,) = rig.all_events("fault")
    assert (fault.data.where, fault.data.problem) == ("merit", "MemoryError: on purpose")
    for k, sound in enumerate(SOUNDS):
        out, delayed = rig.audio(f"c{k}"), np.pad(sound, (LATENCY, 0))
        at = fault_tick * HOP
        assert np.array_equal(out[at : len(delayed)], delayed[at:])
        assert np.abs(out[:at] - delayed[:at]).max() > 0.01


def test_marks_of_a_position_are_the_same_whether_the_audio_is_late_or_not(tmp_path):
    enhanced, late = play(tmp_path)
    untouched, prompt = play(tmp_path, enhance=False)
    assert enhanced.engine.latency_samples == LATENCY
    assert untouched.engine.latency_samples == 0
    told, expected = (
        [(event.call, event.end_sample, event.data) for event in rig.all_events("emotion") if not event.data.is_final]
        for rig in (enhanced, untouched)
    )
    assert told == expected  # the final ones hear one more hop of the padding when the audio is late
    assert len(told) >= 2
    marks = {(hop.slot, hop.start_sample): hop.marks for hop in prompt.processor.seen}
    seen = [hop for hop in late.processor.seen if hop.start_sample >= 0 and not hop.flags & HopFlag.PADDED]
    assert len(seen) > 300
    assert {int(hop.marks["vad.speech"]) for hop in seen} == {0, 1}
    assert any(np.isfinite(hop.marks["emotion.arousal"]) for hop in seen)
    for hop in seen:
        for name, value in marks[hop.slot, hop.start_sample].items():
            np.testing.assert_allclose(hop.marks[name], value, rtol=1e-5, err_msg=name)


def test_without_emotion_nothing_is_said_of_it_and_the_marks_stay(tmp_path):
    rig, seer = play(tmp_path, emotion=False)
    assert not rig.all_events("emotion")
    assert any(np.isfinite(hop.marks["emotion.arousal"]) for hop in seer.processor.seen)
