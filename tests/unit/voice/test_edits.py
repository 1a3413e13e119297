"""Edits of a sentence, words heard in place of others, and rates of errors."""

import pytest

from rtemo.voice.edits import Edit, edits_between, error_rate, matched_words, words_of

pytestmark = pytest.mark.unit


def edits(old, new):
    return edits_between(words_of(old), words_of(new))


def test_a_replaced_word_is_found_whatever_the_case():
    assert edits("I am Very happy today.", "i am very sad today") == [Edit(3, 4, 3, 4)]


def test_words_are_put_in_and_taken_out():
    assert edits("we will go", "we will not go") == [Edit(2, 2, 2, 3)]
    assert edits("we will not go", "we will go") == [Edit(2, 3, 2, 2)]


def test_edits_a_word_apart_are_one():
    assert edits("the old man sleeps", "the young woman sleeps") == [Edit(1, 3, 1, 3)]
    assert edits("an old and tired man went", "a young and lively man went") == [Edit(0, 4, 0, 4)]


def test_no_edit_is_none():
    assert edits("Good morning!", "good morning") == []


def test_words_are_matched_through_errors_of_the_recogniser():
    wanted = words_of("Kids are talking by the door")
    heard = words_of("Kits are talking at the the door")
    found = matched_words(wanted, heard)
    assert found[:3] == [0, 1, 2]
    assert found[5] == 6
    assert matched_words(words_of("one two three"), words_of("one three")) == [0, None, 1]
    assert matched_words(["a"], []) == [None]


def test_rates_of_errors_are_edits_per_wanted_item():
    assert error_rate(["a", "b", "c", "d"], ["a", "x", "c"]) == 0.5
    assert error_rate("kitten", "sitting") == pytest.approx(0.5)
    assert error_rate([], []) == 0.0
