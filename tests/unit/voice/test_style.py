"""Voices are named, mixed and kept in files."""

import datetime

import numpy as np
import pytest

from rtemo.api import Consent, ConsentError, read_consent
from rtemo.voice.errors import VoiceError
from rtemo.voice.manner import MANNERS, Manner, at_median, manner_of, shaped
from rtemo.voice.style import FittedStyle, read_style, write_style
from tests.fakes.speaking import notes_voice

pytestmark = pytest.mark.unit

VOICES = {"a": np.zeros((10, 4), np.float32), "b": np.arange(40, dtype=np.float32).reshape(10, 4)}


def fitted(**changes):
    given = {"bundle": "notes", "style": (1.0, 2.0, 3.0, 4.0), "pitch_hz": 200.0, "pitch_range_semitones": 5.0}
    return FittedStyle(**given | {"consent": Consent(who="Jane Doe", when="2026-11-30")} | changes)


def test_a_mixture_is_the_weighted_mean():
    style = read_style("a*3 + b*1", VOICES, "notes")
    np.testing.assert_allclose(style.table, VOICES["b"] / 4)


def test_a_phrase_gets_the_row_of_its_length_and_the_last_when_it_is_longer():
    style = read_style("b", VOICES, "notes")
    assert style.of(1).tolist() == VOICES["b"][0].tolist()
    assert style.of(99).tolist() == VOICES["b"][9].tolist()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("c", "there is no voice 'c'"),
        ("a*x", "has the weight 'x'"),
        ("a*-1", "has the weight"),
        ("a*nan", "weight"),
        ("", "''"),
    ],
)
def test_a_voice_that_is_none_is_named(text, problem):
    with pytest.raises(VoiceError, match=problem):
        read_style(text, VOICES, "notes")


def test_a_fitted_style_comes_back_from_its_file_with_its_consent(tmp_path):
    path = tmp_path / "jane.json"
    write_style(path, fitted())
    style = read_style(str(path), VOICES, "notes")
    assert style.of(7).tolist() == [1.0, 2.0, 3.0, 4.0]
    assert str(style.fitted.consent) == "Jane Doe, 2026-11-30"
    assert style.pitch_hz == 200.0
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("changes", [{"bundle": "other"}, {"style": (1.0, 2.0)}])
def test_a_style_of_another_model_is_refused(tmp_path, changes):
    path = tmp_path / "jane.json"
    write_style(path, fitted(**changes))
    with pytest.raises(VoiceError, match="is for the voice model"):
        read_style(str(path), VOICES, "notes")


@pytest.mark.parametrize("text", ["", "{}", '{"bundle": 3}'])
def test_a_file_that_is_no_style_is_refused(tmp_path, text):
    path = tmp_path / "style.json"
    path.write_text(text)
    with pytest.raises(VoiceError, match="no file of a fitted style"):
        read_style(str(path), VOICES, "notes")


def test_consent_tells_who_and_when():
    today = datetime.date(2026, 12, 1)
    consent = read_consent(" Jane Doe, mother of Tim, 2026-11-30 ", today)
    assert (consent.who, consent.when) == ("Jane Doe, mother of Tim", "2026-11-30")


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "yes",
        "Jane Doe",
        "2026-11-30",
        ", 2026-11-30",
        "Jane, yesterday",
        "Jane, 2026-13-01",
        "Jane, 2026-12-02",
    ],
)
def test_no_voice_is_imitated_without_consent(text):
    with pytest.raises(ConsentError) as caught:
        read_consent(text, datetime.date(2026, 12, 1))
    assert "YYYY-MM-DD" in caught.value.mend


def test_a_manner_moves_and_widens_the_melody():
    voice = notes_voice()
    plan = voice.plan("abc", voice.voices["low"][3])
    moved = shaped(plan, Manner(pitch_semitones=12.0))
    np.testing.assert_allclose(moved.pitch_hz, 2 * plan.pitch_hz, rtol=1e-5)
    np.testing.assert_allclose(at_median(plan, 220.0).pitch_hz, 220.0, rtol=1e-5)
    assert shaped(plan, Manner(speed=2.0)) is plan


def test_manners_come_one_after_the_other():
    both = manner_of("calm").then(Manner(speed=2.0, pitch_semitones=1.0))
    assert both.speed == pytest.approx(2 * MANNERS["calm"].speed)
    assert both.pitch_semitones == pytest.approx(MANNERS["calm"].pitch_semitones + 1)


def test_a_manner_that_is_none_names_those_that_are():
    with pytest.raises(VoiceError, match="no manner 'bored'") as caught:
        manner_of("bored")
    assert "calm" in caught.value.mend
