"""A text is cut where a voice may draw breath."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtemo.voice.clauses import LONGEST_CHARS, clauses_of

pytestmark = pytest.mark.unit


def test_sentences_and_clauses_are_cut_at_punctuation():
    text = "Good morning, how can I help you? Your parcel was sent on Monday; it arrives tomorrow."
    assert clauses_of(text) == [
        "Good morning,",
        "how can I help you?",
        "Your parcel was sent on Monday;",
        "it arrives tomorrow.",
    ]


def test_a_title_does_not_end_a_sentence():
    assert clauses_of("I saw Dr. Miller of St. Mary yesterday.") == ["I saw Dr. Miller of St. Mary yesterday."]


def test_a_word_alone_stays_with_its_neighbour():
    assert clauses_of("No, I never said that to you.") == ["No, I never said that to you."]


def test_a_long_clause_is_cut_before_a_conjunction():
    words = "the old man by the river told everybody who came along the road"
    parts = clauses_of(f"{words} and {words} because {words} and {words}")
    assert all(len(part) <= LONGEST_CHARS for part in parts)
    assert all(part.startswith(("and ", "because ")) for part in parts[1:])


@given(st.text(max_size=500))
def test_nothing_is_lost_and_nothing_is_too_long(text):
    parts = clauses_of(text)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(part.strip() and len(part) <= LONGEST_CHARS for part in parts)
