"""What the template writes is confirmed whole; what is not true is found, whoever wrote it."""

import random

import pytest

from rtemo.api import EMOTIONS, Cue, Word
from rtemo.cues.baseline import UNITS
from rtemo.cues.language import LANGUAGES, language
from rtemo.cues.reading import read
from rtemo.cues.trace import check, holds, share_of
from rtemo.cues.turn import Turn, disagree, words_of
from rtemo.cues.writer import Writer

pytestmark = pytest.mark.unit

VALUES = {"pitch": 210.0, "range": 7.0, "level": -24.0, "rate": 4.4, "pauses": 0.2, "tilt": -8.0}
SAID = {
    "en": "well that is just great, thank you",
    "de": "na toll, danke schön",
    "fr": "ah super, merci",
    "es": "pues genial, gracias",
    "pl": "no świetnie, dziękuję bardzo",
}


def cue(name: str, z: float, reference: str = "self") -> Cue:
    change = z * (0.1 if name == "pauses" else 2.0)
    return Cue(
        name=name,
        value=VALUES[name],
        unit=UNITS[name],
        z=z,
        change=change,
        reference=reference,
        start_sample=100,
        end_sample=900,
    )


def turn(text: str = "", label: str = "angry", code: str = "en", **z: float) -> Turn:
    words = words_of(text, (), 0, 16_000)
    probabilities = dict.fromkeys(EMOTIONS, 0.04) | {"angry": 0.72}
    cues = tuple(cue(name, z.get(name, 0.0)) for name in UNITS)
    return Turn(0, 16_000, cues, label, probabilities, words, read(words, code))


@pytest.mark.parametrize("code", LANGUAGES)
def test_whatever_the_template_writes_is_confirmed_by_the_record(code: str) -> None:
    chance = random.Random(7)
    for seed in range(150):
        cues = tuple(
            cue(name, round(chance.gauss(0.0, 1.6), 2), chance.choice(["self", "prior"]))
            for name in UNITS
            if chance.random() < 0.9
        )
        weights = [chance.random() for _ in EMOTIONS]
        probabilities = {name: weight / sum(weights) for name, weight in zip(EMOTIONS, weights, strict=True)}
        label = chance.choice([*EMOTIONS, "unsure", ""])
        words = words_of(SAID[code] if chance.random() < 0.6 else "", (), 0, 16_000)
        made = Turn(0, 16_000, cues, label, probabilities if label else {}, words, read(words, code))
        text = Writer(code).write(made, seed=None if seed % 4 == 0 else seed)
        claims = check(text, made, code)
        assert holds(claims), (text, [c for c in claims if not c.is_confirmed])
        told = {c.about for c in claims} - {"label", "text", "word", "words", "cues"}
        strongest = sorted((c for c in cues if abs(c.z) >= 1), key=lambda c: -abs(c.z))[:3]
        assert told == {c.name for c in strongest}, text


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_template_of_another_turn_is_not_confirmed(code: str) -> None:
    loud, quiet = turn(level=2.5, pitch=1.5), turn(level=-2.5, pitch=-1.5)
    text = Writer(code).write(loud)
    claims = check(text, quiet, code)
    assert {c.about for c in claims if not c.is_confirmed} >= {"level", "pitch"}
    assert not holds(claims)
    assert holds(check(text, loud, code))


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("Sounds angry: the pitch is higher and the voice is louder than before.", set()),
        ("She sounds furious, speaking loudly and with a raised pitch.", set()),
        ("Angry, with pitch and level both higher than before.", set()),
        ("Angry, louder; the rate is as usual.", set()),
        ("Angry: louder, but not faster.", set()),
        ("Angry: louder by 5 dB.", set()),
        ("Angry: a lower pitch, and quieter.", {"pitch", "level"}),
        ("Angry: much higher pitch.", {"pitch"}),
        ("Angry: louder and faster.", {"rate"}),
        ("Angry: not louder.", {"level"}),
        ("Angry: louder by 9 dB.", {"level"}),
        ("Angry: louder, at 310 Hz.", {"pitch"}),
        ("Angry (44 %): louder.", {"label"}),
        ("Sounds sad: louder.", {"label"}),
        ("Angry: louder, with a trembling, breathy voice.", {"other"}),
        ("Angry: louder, she said “never again”.", {"word"}),
        ("Angry: louder; the words read as happy.", {"text"}),
        ("Neutral, happy, sad or angry: louder.", {"label", "other"}),
    ],
)
def test_claims_of_any_writer_are_held_against_the_record(text: str, wrong: set[str]) -> None:
    made = turn("leave me alone", level=2.5, pitch=1.5)
    claims = check(text, made, "en")
    assert {c.about for c in claims if not c.is_confirmed} == wrong
    assert holds(claims) == (not wrong)


@pytest.mark.parametrize("text", ["", "   ", "As an AI model I cannot help with that.", "{}" * 2000, "a" * 9000])
def test_a_text_that_claims_nothing_does_not_hold(text: str) -> None:
    claims = check(text, turn(level=2.0), "en")
    assert not holds(claims)
    assert share_of(claims) == 0.0


def test_words_and_voice_that_disagree_are_both_shown() -> None:
    made = turn("well that is just great", level=2.2)
    assert disagree(made)
    text = Writer("en").write(made)
    assert "Said “great”, which reads as happy, but sounded angry: words and voice disagree." in text
    assert not disagree(turn("I hate this", level=2.2))
    assert "The words fit: “hate”" in Writer("en").write(turn("I hate this", level=2.2))


def test_a_quotation_has_the_place_of_its_words() -> None:
    words = (Word(text="That's", start_sample=10, end_sample=20), Word(text="great!", start_sample=20, end_sample=35))
    made = turn(level=2.0)._replace(words=words, reading=read(words, "en"))
    (claim,) = [c for c in check(Writer("en").write(made), made, "en") if c.about == "word"]
    assert (claim.says, claim.start_sample, claim.end_sample) == ("great", 20, 35)


def test_an_unsure_label_is_said_to_be_unsure() -> None:
    text = Writer("en").write(turn(label="unsure", level=2.0))
    assert text.startswith("Not sure: perhaps angry (72 %), or ")
    assert holds(check(text, turn(label="unsure", level=2.0), "en"))


def test_a_turn_in_which_nothing_stands_out_says_so() -> None:
    assert Writer("en").write(turn()) == "Sounds angry (72 %) – no measured cue stands out."
    assert not holds(check("Sounds angry – no measured cue stands out.", turn(pitch=1.4), "en"))


@pytest.mark.parametrize(
    ("said", "label"),
    [
        ("", ""),
        ("the train leaves at nine", "neutral"),
        ("I am so happy, thank you", "happy"),
        ("I'm not happy with this at all", "sad"),
        ("this is unacceptable and ridiculous, but thanks", "angry"),
        ("no fear", "neutral"),
    ],
)
def test_words_are_read_by_a_list(said: str, label: str) -> None:
    assert read(words_of(said, (), 0, 1), "en").label == label


def test_every_language_has_words_for_every_emotion_and_every_cue() -> None:
    for code in LANGUAGES:
        lists = language(code)
        assert set(lists.labels) == set(EMOTIONS)
        assert set(lists.cues) == set(UNITS)
        assert set(lists.feelings) <= set(EMOTIONS)
        assert set(lists.units) == {"semitones", "db", "per_s", "ratio", "db_per_octave", "hz"}
