"""Turns of a corpus beside what is known of its recordings."""

from collections import Counter
from collections.abc import Mapping, Sequence

from bench.quality.corpus.record import Known
from bench.quality.corpus.scores import main_span, overlap
from rtemo.corpus.stages import Books, Gated

ONE_SPEAKER = 0.9
"""Share of the speech of a turn that is of one speaker, from which on it is taken for one of one."""


def truth_by_unit(books: Books, truth: Sequence[Known]) -> dict[str, Known]:
    """Recording, as the corpus numbers it, → what is known of it."""
    by_name = {f"{one.name}.wav": one for one in truth}
    return {entry.unit: by_name[entry.below] for entry in books.recordings if entry.below in by_name}


def moods_of(books: Books, known: Mapping[str, Known]) -> dict[str, str]:
    """Turn → the mood of the clip that most of it is of, of those that go on to the recognisers."""
    spans = {turn.unit: main_span(known[turn.recording].spans, turn.start, turn.end) for turn in books.turns}
    return {unit: span.emotion for unit, span in spans.items() if span is not None}


def speakers_in(turn: Gated, known: Mapping[str, Known]) -> Counter[str]:
    """Speaker → samples of that speaker's clips in a turn."""
    found: Counter[str] = Counter()
    for span in known[turn.recording].spans:
        if length := overlap(span, turn.start, turn.end):
            found[span.speaker] += length
    return found


def is_of_several(turn: Gated, known: Mapping[str, Known]) -> bool:
    """Whether more than a tenth of the speech of a turn is of somebody else."""
    found = speakers_in(turn, known)
    return bool(found) and max(found.values()) < ONE_SPEAKER * found.total()
