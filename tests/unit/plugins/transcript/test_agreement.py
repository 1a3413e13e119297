"""Words stand when two hypotheses agree on them, and what stands never changes."""

import numpy as np
import pytest

from rtemo.api import Word
from rtemo_plugins.transcript.agreement import Agreement, rest_after

pytestmark = pytest.mark.unit


def words(text: str, first_sample: int = 0) -> list[Word]:
    return [
        Word(text=f" {word}", start_sample=first_sample + 100 * k, end_sample=first_sample + 100 * k + 80)
        for k, word in enumerate(text.split())
    ]


def text_of(said: list[Word]) -> str:
    return "".join(word.text for word in said).strip()


def test_words_that_two_hypotheses_share_at_the_front_stand() -> None:
    turn = Agreement()
    turn.take(words("kids are walk"))
    assert turn.stable == []
    turn.take(words("kids are talking by the"))
    assert text_of(turn.stable) == "kids are"
    assert text_of(turn.rest) == "talking by the"
    turn.take(words("kids are talking by the door"))
    assert text_of(turn.stable) == "kids are talking by the"
    turn.stand()
    assert text_of(turn.stable) == "kids are talking by the door"
    assert turn.rest == []


def test_a_later_hypothesis_that_spells_what_stands_otherwise_goes_on_behind_it() -> None:
    turn = Agreement()
    turn.take(words("Kids are talking."))
    turn.take(words("Kids are talking."))
    turn.take(words("Skids, are talking by the door"))
    assert text_of([*turn.stable, *turn.rest]) == "Kids are talking. by the door"


def test_what_stands_never_changes_whatever_is_heard_later() -> None:
    random = np.random.default_rng(0)
    truth = [f"w{k}" for k in range(30)]
    for _ in range(50):
        turn, before = Agreement(), []
        for length in range(2, 31, 3):
            heard = [word if random.random() > 0.15 else f"x{random.integers(9)}" for word in truth[:length]]
            if random.random() < 0.2:
                heard.insert(int(random.integers(len(heard))), "um")
            turn.take(words(" ".join(heard)))
            assert [word.text for word in turn.stable[: len(before)]] == before
            before = [word.text for word in turn.stable]
        turn.stand()
        assert [word.text for word in turn.stable[: len(before)]] == before
        assert abs(len(turn.stable) - 30) <= 4, "nothing is said twice and hardly anything is lost"


def test_what_is_settled_is_not_aligned_again_and_the_audio_goes_on_between_two_words() -> None:
    turn = Agreement()
    for _ in range(2):
        turn.take(words("a b c d"))
    assert turn.settle(before_sample=181) == 190  # b ends at 180, c begins at 200
    assert text_of(turn.settled) == "a b"
    turn.take(words("c d e", 200))
    assert text_of([*turn.stable, *turn.rest]) == "a b c d e"
    assert turn.settle(before_sample=181) is None


def test_audio_that_is_gone_leaves_the_words_that_were_written_of_it() -> None:
    turn = Agreement()
    turn.take(words("a b c d"))
    turn.give_up(200)
    assert (text_of(turn.settled), text_of(turn.rest)) == ("a b", "c d")
    turn.take(words("c d e", 200))
    assert text_of([*turn.stable, *turn.rest]) == "a b c d e"


@pytest.mark.parametrize(
    ("known", "heard", "count"),
    [("", "a b", 0), ("a b", "a b c", 2), ("a b", "b c", 1), ("a b c", "", 0), ("a b", "a x b c", 3), ("a", "a a", 1)],
)
def test_the_rest_begins_behind_what_is_most_like_the_known(known: str, heard: str, count: int) -> None:
    assert rest_after(known.split(), heard.split()) == count
