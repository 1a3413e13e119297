"""The whole default chain on sounds that nobody speaks: they are named, and nothing is made of them."""

import numpy as np
import pytest

import rtemo
from bench.quality.vad.corpus import telephone
from bench.quality.vad.telephony import CALL_PROGRESS, at_level, comfort_noise, digits, hum, music, tone
from rtemo.config import Config
from tests.fakes.voice import voice

pytestmark = pytest.mark.engine

DURATION_S = 14.0
HARMLESS = {"level", "tone", "quality", "stream_start", "stream_end"}


def test_tones_digits_hum_and_music_become_neither_emotion_nor_rank_nor_alarm():
    sounds = {name.replace(" ", "_"): tone(*CALL_PROGRESS[name], DURATION_S) for name in ("ringback US", "busy EU")}
    sounds |= {"digits": digits("0123456789*#" * 6, 0.1, 0.08), "hum": hum(50, DURATION_S)}
    t = np.arange(round(DURATION_S * 16_000)) / 16_000
    sounds["low_hum"] = np.sin(2 * np.pi * 115 * t) + 0.7 * np.sin(2 * np.pi * 230 * t + 1.0)
    sounds |= {kind: music(kind, DURATION_S, 7) for kind in ("chords", "melody", "strings", "pop")}
    sounds["comfort_noise"] = comfort_noise(DURATION_S)
    lines = {name: telephone(at_level(sound, -20.0)) for name, sound in sounds.items()}
    lines["somebody"] = voice(DURATION_S, 1)
    kinds: dict[str, set[str]] = {name: set() for name in lines}
    with rtemo.Session(Config(), mode="freewheel") as session:
        streams = {name: session.stream(name) for name in lines}
        for start in range(0, round(DURATION_S * 16_000), 1600):
            for name, stream in streams.items():
                stream.push(np.asarray(lines[name][start : start + 1600], np.float32))
        for stream in streams.values():
            stream.end()
        for event in session.events():
            if event.call:
                kinds[event.call].add(event.kind)
    assert {"speech_start", "emotion"} <= kinds.pop("somebody")
    for name, found in kinds.items():
        assert found <= HARMLESS, name
    for name in ("ringback_US", "busy_EU", "digits", "hum", "chords"):
        assert "tone" in kinds[name], name
