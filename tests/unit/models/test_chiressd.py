"""Disordered speech is said again from its text, at its pitch, by consent, and a report says what it is not."""

import re

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from rtemo.api import ConsentError
from rtemo.cli.lazy_tools import LazyTools
from rtemo.cli.speech_tag import read_tag
from rtemo.testing.voice import voice
from rtemo.voice.errors import VoiceError
from rtemo.voice.imitation import Imitator
from rtemo.voice.reference import Melody
from rtemo.voice.service import VoiceService
from rtemo.voice.style import Style, read_style
from rtemo_models.systems.chiressd import verb
from rtemo_models.systems.chiressd.consonants import Consonant, consonants_heard, disordered, share_right
from rtemo_models.systems.chiressd.reconstruct import mixed_style, reconstruct, with_melody
from rtemo_models.systems.chiressd.report import WARNING, Phrase, report_of
from tests.fakes.speaking import LetterEspeak, notes_voice, write_voice

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def service():
    return VoiceService(notes_voice(), LetterEspeak())


def test_a_process_replaces_its_sounds_and_counts_them():
    random = np.random.default_rng(0)
    assert disordered("kæt", ["fronting"], 1.0, random) == ("tæt", 1, 2)
    assert disordered("sʌn", ["lisp", "stopping"], 1.0, random)[0] == "θʌn"
    assert disordered("sʌn", ["stopping", "lisp"], 1.0, random)[0] == "tʌn"
    assert disordered("kæt", ["fronting"], 0.0, random) == ("kæt", 0, 2)


def test_about_the_asked_share_is_replaced():
    made, replaced, count = disordered("s" * 1000, ["lisp"], 0.3, np.random.default_rng(1))
    assert count == 1000
    assert 250 < replaced < 350
    assert made.count("θ") == replaced


def test_consonants_are_compared_in_order():
    heard = consonants_heard("kæt ɪz ɹɛd", "tæt ɪz wɛd")
    assert heard == [Consonant(*pair) for pair in (("k", "t"), ("t", "t"), ("z", "z"), ("ɹ", "w"), ("d", "d"))]
    assert share_right(heard) == 0.6
    assert consonants_heard("kæt", "")[0] == Consonant("k", "")
    assert share_right([]) == 1.0


def test_styles_are_mixed_in_halves():
    own = Style(np.ones((3, 4), np.float32), "her")
    mixed = mixed_style(own, np.zeros(4, np.float32), 2, alpha=1.0, beta=0.25)
    assert mixed.of(2).tolist() == [0.0, 0.0, 0.75, 0.75]


def test_the_melody_of_the_reference_is_given_to_the_words_at_its_median(service):
    style = read_style("low", service.voice.voices, "notes")
    imitator = Imitator(service, style, voice(3.0, seed=4), "abc def")
    rising = np.linspace(200, 300, 100).astype(np.float32)
    imitator.melody = Melody(rising, np.zeros(100, np.float32))
    made = with_melody(imitator, imitator.planned("abc def"), 1.0).plan.pitch_hz
    assert np.median(made) == pytest.approx(imitator.melody.median_hz, rel=0.01)
    assert made[0] == pytest.approx(203, rel=0.03)
    assert made[-1] == pytest.approx(297, rel=0.03)
    assert (np.diff(made) >= -1e-3).all()


def test_words_come_from_the_text_and_pitch_from_the_reference(service):
    style = read_style("low", service.voice.voices, "notes")
    done = reconstruct(voice(3.0, seed=4), "the old man", service, style)
    assert done.samples.dtype == np.float32
    assert 0.3 < len(done.samples) / RATE_HZ < 6.0
    assert np.isnan(done.similarity)


def phrase(text, *pairs):
    return Phrase(text, "heard", "after", tuple(Consonant(*pair) for pair in pairs), 0.7, -0.2, 1.0)


def test_a_report_begins_with_what_it_is_not_and_lists_the_worst_first():
    phrases = [phrase("kat", ("k", "t"), ("t", "t"))] * 2 + [phrase("kat", ("k", "k"), ("t", "t"))] * 2
    told = report_of(phrases, "Jane Doe, 2026-11-30")
    assert told.index(WARNING) < told.index("| phrase |")
    assert "no diagnosis" in WARNING
    assert "| k | 4 | 50% | 0% of 2 | 100% of 2 | t |" in told
    assert told.index("| k | 4") < told.index("| t | 4")
    assert "First half of the session 50% of consonants right, second half 100%." in told


def run(*arguments):
    return CliRunner().invoke(verb.command, list(map(str, arguments)), obj=LazyTools(), standalone_mode=False)


@pytest.fixture
def spoken(tmp_path, monkeypatch):
    monkeypatch.setattr("rtemo.voice.service.find_espeak", LetterEspeak)
    recording = tmp_path / "him.wav"
    soundfile.write(recording, voice(4.0, seed=4), RATE_HZ)
    return recording, write_voice(tmp_path / "notes"), tmp_path / "out"


def test_a_recording_is_said_again_and_stamped(spoken):
    recording, bundle, out = spoken
    given = [recording, "--text", "the old man", "--voice", "low", "--bundle", bundle, "--out", out]
    done = run(*given, "--consent", "Tim's mother, 2026-11-30")
    assert done.exception is None
    assert done.return_value == 0
    assert "consent: Tim's mother, 2026-11-30; reconstructed: the old man" in read_tag(out / "him.wav")


def test_one_bad_recording_does_not_take_the_rest_along(spoken, tmp_path):
    recording, bundle, out = spoken
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"no sound")
    given = ["--text", "abc", "--text", "the old man", "--voice", "low", "--bundle", bundle, "--out", out]
    done = run(broken, recording, *given, "--consent", "Tim's mother, 2026-11-30")
    assert done.return_value == 1
    assert (out / "him.wav").exists()


def test_each_prompt_is_recorded_and_spoken_back(spoken, tmp_path, monkeypatch):
    _, bundle, out = spoken
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("the old man\n\nabc def\n")
    heard = []
    monkeypatch.setattr(LazyTools, "record", lambda self, longest_s=20.0, device="": voice(3.0, seed=4))
    monkeypatch.setattr(LazyTools, "play", lambda self, samples, device="": heard.append(len(samples)))
    given = ["--mic", "--texts", prompts, "--bundle", bundle, "--out", out, "--consent", "Tim's mother, 2026-11-30"]
    assert "--mic wants the speaker's style" in str(run(*given).exception)
    assert run(*given, "--voice", "low").return_value == 0
    assert len(heard) == 2
    assert sorted(path.name for path in out.iterdir()) == ["phrase-01.wav", "phrase-02.wav"]


def test_nobody_is_imitated_without_consent(spoken):
    recording, bundle, out = spoken
    done = run(recording, "--text", "abc", "--bundle", bundle, "--out", out)
    assert isinstance(done.exception, ConsentError)
    assert not out.exists()


def notes(duration_s):
    """A melody whose every note stands still."""
    hz = np.repeat([220, 247, 262, 294, 330, 349, 392, 440], round(duration_s * RATE_HZ / 8))
    return (0.3 * np.sin(2 * np.pi * np.cumsum(hz) / RATE_HZ)).astype(np.float32)


@pytest.mark.parametrize(
    ("sound", "text", "voice_name", "problem"),
    [
        (voice(4.0, seed=4), "...", "low", "there is no word"),
        (voice(4.0, seed=4), "доброе утро", "low", "is written in Cyrillic"),
        (voice(4.0, seed=4)[: RATE_HZ // 5], "abc", "", "holds 0.[0-9] s of sound|is silent"),
        (np.zeros(2 * RATE_HZ, np.float32), "abc", "", "is silent"),
        (np.zeros(2 * RATE_HZ, np.float32), "abc", "low", "is silent"),
        (notes(4.0), "abc", "", "is music"),
    ],
    ids=["no word", "another script", "0.2 s", "silence", "silence and a style", "music"],
)
def test_a_phrase_that_cannot_be_said_again_is_one_clear_line(spoken, capsys, sound, text, voice_name, problem):
    recording, bundle, out = spoken
    soundfile.write(recording, sound, RATE_HZ)
    given = ["--text", text, "--bundle", bundle, "--out", out, *(["--voice", voice_name] if voice_name else [])]
    done = run(recording, *given, "--consent", "Tim's mother, 2026-11-30")
    told = (done.output + str(done.exception or "")).strip()
    assert done.return_value == 1 or isinstance(done.exception, VoiceError)
    assert re.search(problem, told)
    assert "\n" not in told
    assert not (out / "him.wav").exists()


def test_texts_and_recordings_must_be_as_many(spoken):
    recording, _, out = spoken
    done = run(recording, "--text", "a", "--text", "b", "--out", out, "--consent", "Jane, 2026-11-30")
    assert "2 texts were given for 1 recordings" in str(done.exception)
    neither = run("--text", "a", "--out", out, "--consent", "Jane, 2026-11-30")
    assert "either RECORDINGS or --mic" in str(neither.exception)
