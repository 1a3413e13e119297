"""Speech is heard at any level, and the level says when samples look wrong."""

import numpy as np
import pytest

from rtemo.api import HopFlag, Quality, SpeechEnd
from rtemo.engine import registry
from tests.contract.harness import HOP, Rig
from tests.fakes.voice import voice

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


def speech_s(gain_db: float) -> float:
    sound = np.round(voice(12.0, 2) * 10 ** (gain_db / 20) * 32768) / 32768
    events = Rig("vad", keep=False).play({"a": sound.astype(np.float32)})["a"].events
    return sum(event.data.speech_s for event in events if isinstance(event.data, SpeechEnd))


def test_speech_of_minus_54_dbfs_is_heard_as_that_of_minus_18():
    loud_s = speech_s(0.0)
    assert loud_s > 4
    assert speech_s(-36.0) > 0.9 * loud_s


def test_speech_after_a_bang_is_heard():
    bang = np.zeros(RATE_HZ)
    bang[8000:8400] = np.random.default_rng(0).uniform(-0.9, 0.9, 400)
    sound = np.concatenate([bang, 0.02 * voice(8.0, 2)]).astype(np.float32)
    events = Rig("vad", keep=False).play({"a": sound})["a"].events
    assert sum(event.data.speech_s for event in events if isinstance(event.data, SpeechEnd)) > 3


def problems(sound: np.ndarray, flag: int = 0) -> list[tuple[str, float]]:
    rig = Rig("level", keep=False)
    rig.admit("a")
    for hop in np.asarray(sound, np.float32)[: len(sound) // HOP * HOP].reshape(-1, HOP):
        rig.tick({"a": hop}, {"a": flag})
    events = rig.heard["a"].events
    return [(one.data.problem, one.end_sample / RATE_HZ) for one in events if isinstance(one.data, Quality)]


def test_samples_at_the_wrong_scale_are_told_within_a_second():
    as_integers = np.clip(np.round(voice(12.0, 1) * 32768), -1, 1)  # the ring limits what comes in
    [(problem, at_s)] = problems(as_integers)
    assert (problem, at_s) == ("scale", 1.0)
    assert problems(voice(12.0, 1) / 32768) == [("faint", 10.0)]


def test_clipped_speech_is_told_and_good_speech_is_not():
    assert problems(np.clip(8 * voice(12.0, 1), -1, 1)) == [("clipped", 10.0)]
    assert problems(voice(35.0, 1)) == []


def test_a_direct_voltage_is_told_alone_and_under_speech():
    assert problems(0.2 + 0.2 * voice(12.0, 1)) == [("offset", 10.0)]
    assert problems(np.full(12 * RATE_HZ, -0.03)) == [("offset", 10.0)]
    assert problems(0.01 + voice(12.0, 1) / 4) == []


def test_samples_that_were_no_numbers_are_told_within_a_second():
    assert problems(voice(12.0, 1), int(HopFlag.SANITISED)) == [("broken", 1.0)]
    assert problems(np.zeros(12 * RATE_HZ), int(HopFlag.SANITISED)) == [("broken", 1.0)]


def test_silence_is_told_at_once_where_nothing_ever_came_and_late_where_somebody_listens():
    assert problems(np.zeros(25 * RATE_HZ)) == [("silent", 10.0)]
    listening = np.concatenate([voice(10.0, 1), np.zeros(75 * RATE_HZ)])
    assert problems(listening) == [("silent", 70.0)]
    assert problems(np.zeros(25 * RATE_HZ), int(HopFlag.CONCEALED)) == []


def test_what_was_told_is_told_again_only_after_it_was_well():
    bad, good = np.clip(8 * voice(20.0, 1), -1, 1), voice(10.0, 1)
    assert [one for one, _ in problems(np.concatenate([bad, good, bad]))] == ["clipped", "clipped"]


def test_level_and_tones_are_installed_with_what_they_say():
    assert "wrong" in registry.make("level").spec.summary
    assert "tones" in registry.make("vad").spec.summary
