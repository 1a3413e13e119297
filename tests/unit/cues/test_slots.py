"""A rationale with slots is the rationale again when they are filled."""

import random

import pytest

from rtemo.api import EMOTIONS, Cue, Word
from rtemo.cues.baseline import UNITS
from rtemo.cues.slots import from_slots, to_slots
from rtemo.cues.trace import check, holds
from rtemo.cues.turn import Reading, Turn
from rtemo.cues.writer import Writer

pytestmark = pytest.mark.unit

WORD = Word(text="great", start_sample=0, end_sample=1)


def turn(seed: int) -> Turn:
    chance = random.Random(seed)
    cues = tuple(
        Cue(
            name=name,
            value=round(chance.uniform(0.1, 9.0), 3),
            unit=unit,
            z=round(chance.gauss(0.0, 1.6), 2),
            change=round(chance.gauss(0.0, 2.0), 3),
            reference=chance.choice(["self", "prior"]),
            start_sample=0,
            end_sample=100,
        )
        for name, unit in UNITS.items()
    )
    emotion = chance.choice(EMOTIONS)
    words = (WORD,) if seed % 2 else ()
    reading = Reading("happy" if words else "", words)
    return Turn(0, 100, cues, emotion, {emotion: 0.61}, words, reading)


def test_a_text_is_the_same_after_it_was_cut_into_words_and_slots() -> None:
    writer = Writer("en")
    for seed in range(200):
        made = turn(seed)
        text = writer.write(made, seed)
        words = to_slots(text, made, writer)
        assert from_slots(words, made, writer) == text
        assert not any(character.isdigit() for word in words for character in word if not word.startswith("<"))


def test_a_slot_that_nothing_fills_is_not_confirmed() -> None:
    writer, made = Writer("en"), turn(2)
    text = from_slots(["Sounds", made.label, ".", "Said", "<word0>", "."], made, writer)
    assert not holds(check(text, made, "en"))
