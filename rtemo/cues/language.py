"""Language: how one language speaks of voices, read from a file beside this one."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import msgspec

LANGUAGES = ("en", "de", "fr", "es", "pl")
"""Those that rationales are written in."""

_FOLDER = Path(__file__).with_name("languages")


class CueWords(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Words about one cue. Those that are looked for in a text are beginnings of words; `_` joins several of them."""

    nouns: tuple[str, ...]
    """Names of the cue."""
    high: tuple[str, ...]
    """What says of the name that it is high."""
    low: tuple[str, ...]
    high_alone: tuple[str, ...] = ()
    """What says so without the name, as `louder`."""
    low_alone: tuple[str, ...] = ()
    say_high: tuple[str, ...]
    """Phrases to write, the first of them when there is no wish for variety."""
    say_low: tuple[str, ...]
    say_very_high: tuple[str, ...]
    say_very_low: tuple[str, ...]


class Language(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One language: what is written and what is understood."""

    sure: tuple[str, ...]
    """How a turn sounds, with {label} and {share}."""
    unsure: tuple[str, ...]
    """With {label}, {share} and {other}."""
    none: tuple[str, ...]
    """That nobody has estimated an emotion."""
    than_before: tuple[str, ...]
    """What a turn is held against, the stream's own past."""
    than_most: tuple[str, ...]
    """Voices at large."""
    although: tuple[str, ...]
    """Before cues that speak against the label."""
    conjunction: str
    """And."""
    nothing: tuple[str, ...]
    """That no cue stands out."""
    fit: tuple[str, ...]
    """That the words agree with the voice, with {quotes} and {text}."""
    differ: tuple[str, ...]
    """That they do not, with {quotes}, {text} and {label}."""
    alone: tuple[str, ...]
    """What the words express where the voice says nothing clear, with {quotes} and {text}."""
    quotes: tuple[str, str]
    labels: Mapping[str, tuple[str, ...]]
    """Emotion → beginnings of its names, the first written out in full for writing."""
    cues: Mapping[str, CueWords]
    units: Mapping[str, str]
    """Unit of a change → how it is written."""
    very: tuple[str, ...]
    usual: tuple[str, ...]
    """What says of a cue that it is as usual."""
    negations: tuple[str, ...]
    text_words: tuple[str, ...]
    """What tells that a clause is about the words, not the voice."""
    agree: tuple[str, ...]
    disagree: tuple[str, ...]
    splits: tuple[str, ...]
    """Words at which a clause ends, as `and`."""
    unmeasured: tuple[str, ...]
    """Words for what may be heard in a voice and is not measured."""
    feelings: Mapping[str, tuple[str, ...]]
    """Emotion → beginnings of words that express it; `_` joins several."""
    deny: tuple[str, ...]
    """Words that turn the next into its opposite."""


@cache
def language(code: str) -> Language:
    """Read a language.

    Raises:
        KeyError: There is none of that code.
    """
    if code not in LANGUAGES:
        raise KeyError(code)
    return msgspec.convert(tomllib.loads((_FOLDER / f"{code}.toml").read_text(encoding="utf-8")), Language)
