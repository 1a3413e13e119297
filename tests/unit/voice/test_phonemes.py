"""Words become signs that a voice knows, or a sentence says why not."""

import shutil

import pytest

from rtemo.voice.errors import VoiceError
from rtemo.voice.espeak import EspeakProgram, find_espeak
from rtemo.voice.phonemes import phonemes_of
from tests.fakes.speaking import LetterEspeak

pytestmark = pytest.mark.unit


class Said:
    """Says what a table says, a word that is not in it twice."""

    def __init__(self, **table):
        self._table = table

    def phonemes(self, text, language):
        return " ".join(self._table.get(word, f"{word} {word}") for word in text.split())


def test_words_keep_the_mark_that_follows_them():
    forms = phonemes_of("Well, come in!", "en-us", LetterEspeak())
    assert [(form.text, form.mark) for form in forms] == [("Well", ","), ("come", ""), ("in", "!")]


def test_sounds_are_written_as_the_voices_learned_them():
    said = Said(go="ɡˈo^ʊ", day="dˈe^ɪ", church="t^ʃˈɜːt^ʃ", my="mˈa^ɪ")
    signs = [form.signs for form in phonemes_of("go day church my", "en-us", said)]
    assert signs == ["ɡˈO", "dˈA", "ʧˈɜɹʧ", "mˈI"]
    assert phonemes_of("go", "en-gb", Said(go="ɡˈə^ʊ"))[0].signs == "ɡˈQ"


def test_a_word_that_becomes_several_stays_one():
    forms = phonemes_of("room 42 please", "en-us", Said(room="ɹuːm", please="pliːz"))
    assert [form.text for form in forms] == ["room", "42", "please"]
    assert forms[1].signs == "42 42"


def test_unknown_signs_become_the_nearest_or_nothing():
    said = Said(zima="ʑimaʘ")
    assert phonemes_of("zima", "pl", said, "ʒima")[0].signs == "ʒima"


@pytest.mark.parametrize(
    ("text", "language", "problem"),
    [
        ("", "en-us", "there is no text"),
        ("...", "en-us", "there is no word"),
        ("доброе утро", "en-us", "is written in Cyrillic, but the language 'en-us' in Latin"),
        ("good morning", "ru", "is written in Latin"),
        ("こんにちは", "de", "is written in Hiragana"),
    ],
)
def test_what_cannot_be_said_is_one_clear_line(text, language, problem):
    with pytest.raises(VoiceError, match=problem) as caught:
        phonemes_of(text, language, LetterEspeak())
    assert "\n" not in str(caught.value)
    assert caught.value.mend


def test_no_sound_that_the_voice_knows_is_refused():
    with pytest.raises(VoiceError, match="no sound"):
        phonemes_of("xyz", "en-us", LetterEspeak(), "abc")


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="the program espeak-ng is not installed")
def test_the_program_says_words_apart_and_refuses_a_language():
    program = EspeakProgram(shutil.which("espeak-ng"))
    assert len(program.phonemes("good morning", "en-us").split()) == 2
    with pytest.raises(VoiceError, match="knows no language 'klingon-x'"):
        program.phonemes("good", "klingon-x")


def test_the_library_says_what_the_program_says_of_plain_words():
    pytest.importorskip("espeakng_loader", reason="the extra rtemo[voice] is not installed")
    library = find_espeak()
    forms = phonemes_of("good morning, this is a test.", "en-us", library)
    assert [form.text for form in forms] == ["good", "morning", "this", "is", "a", "test"]
    assert forms[0].signs == "ɡˈʊd"
    with pytest.raises(VoiceError, match="knows no language"):
        library.phonemes("good", "klingon-x")
