"""Examples: turns as a sequence of positions, each an id and values, that ends in label and rationale.

    2 x what merit-large heard | 6 x a cue | what the words express | label | rationale          (order "label")
    the same                                                        | rationale | label          (order "rationale")

The words of the transcript come as what the list of words makes of them: its emotion, and how many may be quoted.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS
from rtemo.api.vocabulary import Cue
from rtemo.cues.baseline import UNITS
from rtemo.cues.language import language
from rtemo.cues.slots import QUOTES, SHARE, to_slots
from rtemo.cues.turn import STANDS_OUT, VERY, Reading, Turn
from rtemo.cues.writer import Writer

PAD, BEGIN, END, UNKNOWN = "<pad>", "<begin>", "<end>", "<unknown>"
HEARD = ("<heard last>", "<heard mean>")
TEXT = "<text>"
CUES = tuple(f"<cue {name}>" for name in UNITS)
LABELS = tuple(f"<label {name}>" for name in EMOTIONS)
READINGS = ("", "neutral", *(name for name in EMOTIONS if name != "neutral"))
CUE_VALUES = 8
PREFIX = len(HEARD) + len(CUES) + 1


class Example(NamedTuple):
    """One turn to learn from."""

    heard: NDArray[np.float32]
    """float32 [2, width]"""
    turn: Turn
    """Without a label."""
    label: int


def vocabulary(code: str = "en") -> tuple[str, ...]:
    """All tokens: those of the prefix, the labels, the slots, and every word of the template's phrases."""
    lists = language(code)
    phrases: list[str] = [lists.conjunction, "( ) , . : ; \N{EN DASH}"]
    for ways in (lists.sure, lists.unsure, lists.none, lists.than_before, lists.than_most, lists.although):
        phrases += ways
    for ways in (lists.nothing, lists.fit, lists.differ, lists.alone):
        phrases += ways
    phrases += [names[0] for names in lists.labels.values()]
    for words in lists.cues.values():
        phrases += [*words.say_high, *words.say_low, *words.say_very_high, *words.say_very_low]
    plain = Turn(0, 1)
    writer = Writer(code)
    found = {token for phrase in phrases for token in to_slots(_without_fields(phrase), plain, writer)}
    fixed = (PAD, BEGIN, END, UNKNOWN, *HEARD, *CUES, TEXT, *LABELS, SHARE, *QUOTES, *(f"<{name}>" for name in UNITS))
    return (*fixed, *sorted(found - set(fixed)))


def _without_fields(phrase: str) -> str:
    for field in ("{label}", "{share}", "{other}", "{quotes}", "{text}"):
        phrase = phrase.replace(field, " ")
    return phrase


def turn_of(line: Mapping[str, Any], reading: Reading | None = None) -> Turn:
    """The turn of a line of the records, without label."""
    cues = tuple(msgspec.convert(cue, Cue) for cue in line["cues"])
    reading = reading or Reading("")
    return Turn(line["start_sample"], line["end_sample"], cues, words=reading.words, reading=reading)


def prefix_values(example: Example, width: int, hears_words: bool = True) -> NDArray[np.float32]:
    """Values of the positions before the label, float32 [PREFIX, width + CUE_VALUES + readings + 1].

    Args:
        example: A turn.
        width: Of what merit-large heard.
        hears_words: Whether what the words express is told.
    """
    values = np.zeros((PREFIX, value_count(width)), np.float32)
    values[: len(HEARD), :width] = example.heard
    for place, name in enumerate(UNITS, start=len(HEARD)):
        cue = example.turn.cue(name)
        if cue is not None:
            values[place, width : width + CUE_VALUES] = cue_values(cue)
    if hears_words:
        reading = example.turn.reading
        values[PREFIX - 1, width + CUE_VALUES + READINGS.index(reading.label)] = 1.0
        values[PREFIX - 1, -1] = len(reading.words) / len(QUOTES)
    return values


def cue_values(cue: Cue) -> list[float]:
    """A cue as numbers: where it stands, whether that is worth a word or a strong one, and against what."""
    z = max(-4.0, min(4.0, cue.z))
    steps = (z >= VERY, z >= STANDS_OUT, z <= -STANDS_OUT, z <= -VERY)
    return [1.0, z / 2, abs(z) / 2, *map(float, steps), float(cue.reference == "self")]


def value_count(width: int) -> int:
    """Numbers of one position."""
    return width + CUE_VALUES + len(READINGS) + 1


def prefix_ids(ids: Mapping[str, int]) -> list[int]:
    """Tokens of the positions before the label."""
    return [ids[token] for token in (*HEARD, *CUES, TEXT)]


def answer(
    example: Example, writer: Writer, ids: Mapping[str, int], seed: int, order: str
) -> tuple[list[int], list[str]]:
    """What is to be generated, and the segment of each token: `label` or `rationale`.

    Args:
        example: A turn.
        writer: The teacher.
        ids: Token → id.
        seed: Chooses among ways to say the same.
        order: Which comes first, `label` or `rationale`.
    """
    emotion = EMOTIONS[example.label]
    taught = example.turn._replace(label=emotion, probabilities={emotion: 1.0})
    words = to_slots(writer.write(taught, seed), taught, writer)
    rationale = [ids.get(word, ids[UNKNOWN]) for word in words]
    label = [ids[LABELS[example.label]]]
    if order == "rationale":
        tokens = [*rationale, ids[END], *label]
        return tokens, ["rationale"] * (len(rationale) + 1) + ["label"]
    return [*label, *rationale, ids[END]], ["label"] + ["rationale"] * (len(rationale) + 1)


class Batch(NamedTuple):
    """Sequences, padded."""

    ids: NDArray[np.int64]
    """[n, length], what is given."""
    values: NDArray[np.float32]
    """[n, PREFIX, values]"""
    targets: NDArray[np.int64]
    """[n, length], what comes next; -1 where nothing is to be learnt."""
    weights: NDArray[np.float32]
    """[n, length], of each target."""


def batch_of(
    examples: Sequence[Example],
    writer: Writer,
    ids: Mapping[str, int],
    random: np.random.Generator,
    width: int,
    settings: Any,
) -> Batch:
    """Make a batch; a text is told with the probability `settings.words_share`.

    Weights are those of the segments, each divided by its length, so that a long rationale does not drown the label.
    """
    rows = []
    for example in examples:
        tokens, segments = answer(example, writer, ids, int(random.integers(1 << 30)), settings.order)
        lengths = {segment: segments.count(segment) for segment in set(segments)}
        share = {"label": settings.label_weight, "rationale": settings.rationale_weight}
        rows.append((tokens, [share[s] / lengths[s] for s in segments]))
    length = PREFIX + 1 + max(len(tokens) for tokens, _ in rows)
    given = np.full((len(rows), length), ids[PAD], np.int64)
    targets = np.full((len(rows), length), -1, np.int64)
    weights = np.zeros((len(rows), length), np.float32)
    head = [*prefix_ids(ids), ids[BEGIN]]
    for row, (tokens, shares) in enumerate(rows):
        given[row, : len(head)] = head
        given[row, len(head) : len(head) + len(tokens)] = tokens
        targets[row, len(head) - 1 : len(head) - 1 + len(tokens)] = tokens
        weights[row, len(head) - 1 : len(head) - 1 + len(tokens)] = shares
    values = np.stack([prefix_values(e, width, random.random() < settings.words_share) for e in examples])
    return Batch(given, values, targets, weights)
