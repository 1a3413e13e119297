"""What is counted by ends that are heard late is what counting moment by moment gives."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtemo_plugins.dialogue.conversation import Conversation
from rtemo_plugins.dialogue.spans import Cover, Span, union_length

pytestmark = pytest.mark.unit

END, HANGOVER, ONSET, LEAST_OVER = 400, 8, 4, 5

cuts = st.lists(st.integers(0, END), min_size=2, max_size=24, unique=True).map(sorted)


def turns_of(cut: list[int]) -> list[Span]:
    """Every second stretch between cuts, with pauses that the detector would not bridge."""
    return [Span(a, b) for number, (a, b) in enumerate(pairwise(cut)) if number % 2 == 0 and b - a > ONSET]


def apart(turns: list[Span]) -> list[Span]:
    kept: list[Span] = []
    for turn in turns:
        if not kept or turn.start - kept[-1].end > HANGOVER:
            kept.append(turn)
    return kept


def heard(parties: list[list[Span]]) -> tuple[Conversation, list[tuple[int, int, int]]]:
    """Tell a conversation what a detector would; gives what it says of interruptions: by, of, samples."""
    conversation = Conversation(0, latest=2 * ONSET)
    told = [
        (at, is_end, number, turn)
        for number, turns in enumerate(parties)
        for turn in turns
        for at, is_end in ((turn.start + ONSET, False), (turn.end + HANGOVER, True))
    ]
    for number in range(len(parties)):
        conversation.join(number, 0)
    found = []
    for _, is_end, number, turn in sorted(told):
        if is_end:
            said = conversation.end(number, turn, LEAST_OVER)
            found += [(one.by, number, one.span.end - one.span.start) for one in said]
        else:
            conversation.begin(number, turn.start)
    return conversation, found


@given(st.lists(cuts.map(turns_of).map(apart), min_size=2, max_size=4))
@settings(max_examples=200, deadline=None)
def test_shares_overlap_and_silence_are_those_of_the_grid(parties: list[list[Span]]) -> None:
    conversation, _ = heard(parties)
    grid = np.zeros((len(parties), END), bool)
    for number, turns in enumerate(parties):
        for turn in turns:
            grid[number, turn.start : turn.end] = True
    for number in range(len(parties)):
        others = np.delete(grid, number, axis=0).any(axis=0)
        figures = conversation.figures(number, END)
        assert figures.speech == grid[number].sum()
        assert figures.all_speech == grid.sum()
        assert figures.overlap == (grid[number] & others).sum()
        assert figures.silence == END - grid.any(axis=0).sum()
        assert conversation.parties[number].longest == max((t.end - t.start for t in parties[number]), default=0)
        assert conversation.parties[number].turns == len(parties[number])
        assert len(conversation.parties[number].recent) <= 12, "old turns are forgotten"


@given(st.lists(cuts.map(turns_of).map(apart), min_size=2, max_size=3))
@settings(max_examples=200, deadline=None)
def test_an_interruption_is_who_begins_while_another_speaks_and_goes_on_when_he_has_stopped(
    parties: list[list[Span]],
) -> None:
    _, found = heard(parties)
    wanted = [
        (by, of, turn.end - other.start)
        for of, turns in enumerate(parties)
        for turn in turns
        for by, others in enumerate(parties)
        for other in others
        if by != of and turn.start < other.start <= turn.end - LEAST_OVER and other.end > turn.end
    ]
    ties = {(turn.end, number) for number, turns in enumerate(parties) for turn in turns}
    if len({end for end, _ in ties}) == len(ties):  # who stops at the same moment may be told either way
        assert sorted(found) == sorted(wanted)


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 60)), min_size=1, max_size=40))
def test_a_cover_that_forgets_is_as_long_as_one_that_does_not(drawn: list[tuple[int, int]]) -> None:
    spans = sorted(Span(start, start + length) for start, length in drawn)
    cover = Cover()
    for number, span in enumerate(spans):
        cover.add(span)
        cover.settle(span.start)
        assert cover.length() == union_length(spans[: number + 1])
    assert cover.length([Span(1_000, 1_010)]) == union_length(spans) + 10


def test_what_is_being_said_counts_up_to_now_and_a_long_turn_that_is_cut_is_one() -> None:
    conversation = Conversation(100, latest=50)
    conversation.join(1, 100)
    conversation.join(2, 100)
    assert conversation.silent_since == 100
    conversation.begin(1, 120)
    assert conversation.silent_since is None
    assert conversation.figures(1, 200)[:2] == (80, 80)
    conversation.end(1, Span(120, 220), 5, is_split=True)
    conversation.begin(1, 220)
    conversation.begin(2, 230)
    figures = conversation.figures(1, 250)
    assert (figures.speech, figures.all_speech, figures.overlap, figures.silence) == (130, 150, 20, 20)
    assert conversation.parties[1].turns == 1
    conversation.leave(2, 260)
    conversation.end(1, Span(220, 300), 5)
    assert conversation.silent_since == 300
    assert conversation.figures(1, 310).speech == 180


def test_what_was_said_over_somebody_counts_after_whoever_said_it_has_left() -> None:
    conversation = Conversation(0, latest=50)
    for number in (1, 2, 3):
        conversation.join(number, 0)
    conversation.begin(1, 100)
    conversation.begin(2, 150)
    conversation.end(2, Span(150, 220), 5)
    conversation.leave(2, 220)
    assert conversation.figures(1, 230).overlap == 70
    conversation.end(1, Span(100, 200), 5)
    assert conversation.figures(1, 240)[2:] == (50, 120)
    assert conversation.silent_since == 220, "who spoke last need not be there any more"
    conversation.begin(3, 2_000)
    conversation.end(3, Span(2_000, 2_100), 5)
    assert conversation.figures(3, 2_100).overlap == 0


def test_who_begins_at_the_very_end_of_a_turn_has_not_interrupted_it() -> None:
    conversation = Conversation(0, latest=50)
    conversation.join(1, 0)
    conversation.join(2, 0)
    conversation.begin(1, 100)
    conversation.begin(2, 200)
    assert conversation.end(1, Span(100, 200), 0) == []
