"""Digits, and numbers read out digit by digit, cannot be read in a redacted text, at no moment of the turn."""

import pytest

from rtemo_plugins.transcript.redaction import redacted

pytestmark = pytest.mark.unit


def whole(text: str, is_final: bool = True) -> str:
    return "".join(redacted([f" {word}" for word in text.split()], is_final)[0]).strip()


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("My card is 4929 1234.", "My card is #### ####."),
        ("at 12:30, for $4.50", "at ##:##, for $#.##"),
        ("four nine two nine", "# # # #"),
        ("it is four-nine-two, right", "it is #, right"),
        ("Double five, oh three!", "# #, # #!"),
        ("eins zwei drei bitte", "# # # bitte"),
        ("trzy cztery pięć", "# # #"),
        ("zéro six, vingt", "# #, vingt"),
        ("one moment please", "one moment please"),
        ("٣٤ 五", "## #"),
        ("room 5 six", "room # #"),
        ("", ""),
    ],
)
def test_digits_are_masked_and_nothing_else(said: str, shown: str) -> None:
    assert whole(said) == shown


def test_while_the_turn_goes_on_a_number_is_masked_from_its_first_word() -> None:
    words = [f" {word}" for word in ["my", "number", "is", "four", "five", "six", "ok"]]
    for count in range(len(words) + 1):
        shown, fixed = redacted(words[:count], False)
        assert not {" four", " five", " six"} & set(shown)
        assert redacted(words, True)[0][:fixed] == shown[:fixed], "what is fixed is so at the end"
    shown, fixed = redacted([" wait", " one"], False)
    assert (shown, fixed) == ([" wait", " #"], 1)
    assert redacted([" wait", " one", " moment"], False) == ([" wait", " one", " moment"], 3)
