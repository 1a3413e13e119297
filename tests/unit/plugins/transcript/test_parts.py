"""What is believed of a model, which turn a window is of, and which languages there are."""

import pytest

from rtemo.api import ModelError, Utterance
from rtemo.api.turns import Turn, Turns
from rtemo_plugins.transcript.languages import CODES, check_language
from rtemo_plugins.transcript.options import TranscriptOptions
from rtemo_plugins.transcript.trust import is_said

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "no_speech", "log_probability", "is_believed"),
    [
        (" Kids are talking by the door.", 0.05, -0.3, True),
        (" Kids are talking by the door.", 0.7, -0.3, True),
        (" Thank you.", 0.7, -0.6, False),
        (" Thanks for watching!", 0.3, -1.2, False),
        (" you you you you you you you you you you you you you you you you you", 0.1, -0.2, False),
        (" ...", 0.1, -0.2, False),
        ("", 0.0, 0.0, False),
    ],
)
def test_what_is_doubtful_or_repeats_itself_is_not_believed(
    text: str, no_speech: float, log_probability: float, is_believed: bool
) -> None:
    utterance = Utterance(
        text=text,
        start_s=0.0,
        end_s=1.0,
        words=(),
        no_speech=no_speech,
        mean_log_probability=log_probability,
        compression=1.0,
    )
    assert is_said(utterance, TranscriptOptions()) is is_believed


def test_a_window_is_told_what_was_known_when_it_was_cut() -> None:
    turns = Turns()
    turns.begin(1, 1000, known_at_sample=3000)
    assert turns.going_on(1, 2999) is None
    assert turns.going_on(1, 3000) == Turn(1000, None)
    turns.end(1, 1000, 9000, known_at_sample=15_000)
    assert turns.going_on(1, 14_999) == Turn(1000, None), "in the pause after a turn nobody knew that it was over"
    assert turns.going_on(1, 15_000) is None
    assert turns.ended_at(1, 9000) == Turn(1000, 9000)
    turns.begin(1, 20_000, known_at_sample=21_000)
    assert turns.going_on(1, 21_000) == Turn(20_000, None)
    assert turns.going_on(1, 14_000) == Turn(1000, None)
    assert turns.going_on(2, 14_000) is None


def test_streams_that_left_long_ago_are_forgotten() -> None:
    turns = Turns()
    for stream in range(100):
        turns.begin(stream, 0, 0)
        turns.leave(stream)
    assert not turns.knows(0)
    assert turns.knows(99)


def test_a_language_that_nobody_knows_is_refused_with_the_code_that_may_be_meant() -> None:
    for code in ("", "en", "pl", "yue"):
        check_language(code)
    assert len(CODES) == 100
    with pytest.raises(ModelError, match="did you mean 'de'"):
        check_language("German")
    with pytest.raises(ModelError, match="leave it empty"):
        check_language("qq")
