"""Text to phonemes: words with their IPA, in the signs that voices of the Kokoro family were trained on."""

import re
import unicodedata
from collections.abc import Iterable
from typing import NamedTuple

from rtemo.voice.errors import VoiceError
from rtemo.voice.espeak import TIE, Espeak

LANGUAGES = {
    "en-us": "LATIN",
    "en-gb": "LATIN",
    "de": "LATIN",
    "es": "LATIN",
    "fr-fr": "LATIN",
    "it": "LATIN",
    "pl": "LATIN",
    "pt-br": "LATIN",
    "hi": "DEVANAGARI",
    "ru": "CYRILLIC",
    "el": "GREEK",
}
"""Language → the script that it is written in."""

PUNCTUATION = ";:,.!?—…"
"""Signs of punctuation that are heard as pauses and melody."""

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*['’]?")
_TOKEN = re.compile(rf"(?P<word>{_WORD.pattern})|(?P<mark>[{re.escape(PUNCTUATION)}])")

# From the signs of espeak-ng to those that the voices were trained on, longest first: the table that the makers of
# Kokoro give for words missing in their dictionary (misaki, Apache-2.0).
_COMMON = (
    *(("ʔˌn\u0329", "tᵊn"), ("ʔn\u0329", "tᵊn"), ("ʔn", "tᵊn"), ("a^ɪ", "I"), ("a^ʊ", "W")),
    *(("d^ʒ", "ʤ"), ("t^ʃ", "ʧ"), ("ɔ^ɪ", "Y"), ("ə^l", "ᵊl"), ("t^s", "ʦ"), ("d^z", "ʣ")),
    *(("t^ɕ", "ʨ"), ("d^ʑ", "ʥ")),
)
_ENGLISH = (
    *(("ʲo", "jo"), ("ʲə", "jə"), ("ʲ", ""), ("ɚ", "əɹ"), ("ʔ", "t"), ("r", "ɹ"), ("x", "k"), ("ç", "k")),
    *(("ɐ", "ə"), ("ɬ", "l"), ("\u0303", ""), ("e^ɪ", "A")),
)
_AMERICAN = (("o^ʊ", "O"), ("ɜːɹ", "ɜɹ"), ("ɜː", "ɜɹ"), ("ɪə", "iə"), ("ː", ""))
_BRITISH = (("e^ə", "ɛː"), ("iə", "ɪə"), ("ə^ʊ", "Q"))
_NEAREST = {
    "ʑ": "ʒ",
    "ɫ": "l",
    "g": "ɡ",
    "ʏ": "y",
    "ɵ": "ø",
    "ɘ": "ə",
    "ɱ": "m",
    "ʍ": "w",
    "ɭ": "l",
    "ɬ": "l",
    "ʌ": "ʌ",
}
"""Signs that the voices do not know → the nearest that they do."""


class SpokenForm(NamedTuple):
    """One word as it is written and as it is said.

    Attributes:
        text: As written.
        signs: Its phonemes.
        mark: Punctuation after it; empty where there is none.
    """

    text: str
    signs: str
    mark: str = ""


def phonemes_of(text: str, language: str, espeak: Espeak, known: Iterable[str] = ()) -> list[SpokenForm]:
    """Turn text into words with their phonemes.

    Args:
        text: One clause or several.
        language: Key of `LANGUAGES`, or what else espeak-ng knows.
        espeak: What turns words into IPA.
        known: Signs that the voice knows; others are replaced by the nearest or left out. Empty keeps all.

    Raises:
        VoiceError: There is no word in the text, it is written in another script, or the language is not known.
    """
    tokens = [(match.lastgroup, match.group()) for match in _TOKEN.finditer(text)]
    words = [token for kind, token in tokens if kind == "word"]
    if not words:
        raise VoiceError(
            f"there is no word in {text[:40]!r}" if text.strip() else "there is no text", "give a sentence"
        )
    _check_script(words, language)
    said = _said(words, language, espeak)
    signs = frozenset(known)
    forms: list[SpokenForm] = []
    for kind, token in tokens:
        if kind == "word":
            forms.append(SpokenForm(token, _within(_own_signs(said[len(forms)], language), signs)))
        elif forms and not forms[-1].mark:
            forms[-1] = forms[-1]._replace(mark=token)
    if not any(form.signs for form in forms):
        raise VoiceError(f"no sound of {text[:40]!r} is one that the voice knows", "give another language or voice")
    return forms


def _said(words: list[str], language: str, espeak: Espeak) -> list[str]:
    """Give the IPA of each word, as it is said among the others where espeak-ng keeps them apart."""
    together = espeak.phonemes(" ".join(words), language).split()
    if len(together) == len(words):
        return together
    return [" ".join(espeak.phonemes(word, language).split()) for word in words]


def _own_signs(ipa: str, language: str) -> str:
    tables = [*_COMMON]
    if language.startswith("en"):
        tables += [*_ENGLISH, *(_BRITISH if language.startswith("en-gb") else _AMERICAN)]
    for sign, other in sorted(tables, key=lambda pair: -len(pair[0])):
        ipa = ipa.replace(sign, other)
    return re.sub(r"\(\w+\)", "", ipa).replace(TIE, "")


def _within(signs: str, known: frozenset[str]) -> str:
    if not known:
        return signs
    nearest = (sign if sign in known else _NEAREST.get(sign, sign) for sign in signs)
    return "".join(sign for sign in nearest if sign in known)


def _check_script(words: list[str], language: str) -> None:
    script = LANGUAGES.get(language, "LATIN")
    for word in words:
        for char in word:
            name = unicodedata.name(char, "")
            if char.isalpha() and not name.startswith(script):
                found = name.split(" ")[0] or "an unknown script"
                raise VoiceError(
                    f"{word[:40]!r} is written in {found.capitalize()}, "
                    f"but the language {language!r} in {script.capitalize()}",
                    "give --language as the text is written",
                )
