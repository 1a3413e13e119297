"""Text is said clause by clause, the beginning first, in one piece of sound."""

import itertools

import numpy as np
import pytest

from rtemo.dsp.resample import resample
from rtemo.voice.errors import VoiceError
from rtemo.voice.manner import Manner
from rtemo.voice.service import VoiceService, cut_plan, sign_spans
from rtemo.voice.style import read_style
from tests.fakes.speaking import FRAME_SAMPLES, RATE_HZ, LetterEspeak, notes_voice

pytestmark = pytest.mark.unit

TEXT = "the old man by the river told them, and nobody heard him."


@pytest.fixture(scope="module")
def service():
    return VoiceService(notes_voice(), LetterEspeak(), has_watermark=False)


@pytest.fixture(scope="module")
def style(service):
    return read_style("low", service.voice.voices, "notes")


def test_the_parts_are_the_whole(service, style):
    parts = list(service.stream(TEXT, style))
    whole = service.say(TEXT, style)
    assert len(parts) > 3
    np.testing.assert_array_equal(np.concatenate([part.samples for part in parts]), whole.samples)


def test_the_first_part_is_short(service, style):
    first = next(part for part in service.stream(TEXT, style) if part.samples.size)
    assert first.samples.size < 16_000


def test_only_what_is_heard_is_rendered(service, style, monkeypatch):
    rendered = []
    render = service.voice.render
    monkeypatch.setattr(
        service.voice, "render", lambda plan: rendered.append(int(plan.durations_frames.sum())) or render(plan)
    )
    list(itertools.islice(service.stream(TEXT, style), 1))
    assert len(rendered) == 1
    assert rendered[0] < 60


def test_words_stand_where_they_are_said(service, style):
    said = service.say("ab cde", style)
    assert [word.text for word in said.words] == ["ab", "cde"]
    frame = FRAME_SAMPLES * 16_000 // RATE_HZ
    assert said.words[0].start_sample == 4 * frame
    assert said.words[0].end_sample == 12 * frame
    assert said.words[1].start_sample == 16 * frame
    assert said.words[1].end_sample == 28 * frame
    assert len(said.samples) == 32 * frame


def test_words_of_later_clauses_stand_behind_those_of_earlier_ones(service, style):
    said = service.say(TEXT, style)
    starts = [word.start_sample for word in said.words]
    assert starts == sorted(starts)
    assert said.words[-1].end_sample <= len(said.samples)
    assert len(said.words) == 12


def test_joins_are_not_heard(service, style):
    voice = service.voice
    forms = service.forms("the old man by the river told them,")
    plan, _ = service.plan(forms, style)
    whole = voice.render(plan)
    pieces = np.concatenate(list(service._rendered(plan, True)))
    np.testing.assert_allclose(pieces, whole, atol=1e-6)  # this voice has no memory, so a join must give back the whole


def test_a_part_of_a_plan_says_a_part_of_the_sound(service, style):
    plan, _ = service.plan(service.forms("abc"), style)
    whole = service.voice.render(plan)
    part = service.voice.render(cut_plan(plan, 3, 11))
    np.testing.assert_array_equal(part, whole[3 * FRAME_SAMPLES : 11 * FRAME_SAMPLES])


def test_level_and_speed_of_a_manner_are_heard(service, style):
    plain = service.say("abc", style).samples
    quiet = service.say("abc", style, manner=Manner(level_db=-6.0)).samples
    np.testing.assert_allclose(np.abs(quiet).max() / np.abs(plain).max(), 0.501, rtol=0.01)
    assert len(service.say("abc", style, manner=Manner(speed=2.0)).samples) == len(plain) / 2


def test_a_voice_that_does_not_plan_speaks_all_the_same(style):
    said = VoiceService(notes_voice(can_plan=False), LetterEspeak(), has_watermark=False).say("ab cde", style)
    assert [word.text for word in said.words] == ["ab", "cde"]
    assert said.samples.size


def test_the_watermark_changes_nothing_else(service, style):
    marked = VoiceService(service.voice, LetterEspeak()).say(TEXT, style)
    plain = service.say(TEXT, style)
    assert marked.words == plain.words
    assert len(marked.samples) == len(plain.samples)
    assert not np.array_equal(marked.samples, plain.samples)


def test_the_rate_is_converted_without_a_seam(service, style):
    plan, _ = service.plan(service.forms("the old man by the river told them."), style)
    whole = resample(service.voice.render(plan), RATE_HZ, 16_000)
    np.testing.assert_allclose(service.say("the old man by the river told them.", style).samples, whole, atol=1e-5)


@pytest.mark.parametrize("text", ["", "   ", "...", "- - -"])
def test_nothing_to_say_is_one_clear_line(service, style, text):
    with pytest.raises(VoiceError, match=r"there is no (text|word)"):
        service.say(text, style)


def test_signs_of_words_are_counted_from_the_silence_before_them():
    from rtemo.voice.phonemes import SpokenForm

    signs, spans = sign_spans([SpokenForm("a", "xy", ","), SpokenForm("b", "z")])
    assert signs == "xy, z"
    assert spans == [slice(1, 3), slice(5, 6)]
