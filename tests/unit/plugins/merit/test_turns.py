"""Turns, followed step by step without audio or network."""

import numpy as np
import pytest

from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.step import Step
from rtemo_plugins.merit.turns import Estimate, Turns

pytestmark = pytest.mark.unit

HOP = 160
STEP_HOPS = 4


class Talk:
    """Feeds the same hops to some streams; `estimates` and `renewed` hold what came of it."""

    def __init__(self, streams: int = 1, **options) -> None:
        self.turns = Turns(MeritOptions(**options), 0.01, streams)
        self.rows = np.arange(streams)
        self.hops = 0
        self.estimates: list[Estimate] = []
        self.begun: list[int] = []
        self.renewed: list[int] = []
        for row in self.rows:
            self.turns.admit(row)

    def hear(self, speech: list[int], voice: list[int] | None = None) -> "Talk":
        """Take whole steps of hops."""
        voiced = speech if voice is None else voice
        for k in range(0, len(speech), STEP_HOPS):
            self._step(speech[k : k + STEP_HOPS], voiced[k : k + STEP_HOPS])
        return self

    def _step(self, speech: list[int], voiced: list[int]) -> None:
        n = len(self.rows)
        start = np.full(n, self.hops * HOP)
        self.hops += STEP_HOPS
        step = Step(
            self.rows,
            np.zeros((n, STEP_HOPS, 64), np.float32),
            np.tile(np.float32(voiced), (n, 1)),
            np.tile(np.array(speech, bool), (n, 1)),
            start,
            np.full(n, self.hops * HOP),
        )
        self.begun += self.turns.begin(step).tolist()
        due, renewed = self.turns.advance(step)
        self.estimates += due
        self.renewed += renewed

    def sketch(self) -> list[tuple[str, float, float]]:
        return [(one.trigger, one.start_sample / HOP, one.end_sample / HOP) for one in self.estimates]


def test_first_estimate_comes_after_the_set_amount_of_speech_then_refreshes():
    talk = Talk(first_s=1.0, refresh_s=0.4).hear([1] * 200)
    assert talk.sketch() == [("first", 0, 100), ("refresh", 0, 140), ("refresh", 0, 180)]
    assert [one.spoken_hops for one in talk.estimates] == [100, 140, 180]
    assert not any(one.is_final for one in talk.estimates)


def test_final_estimate_spans_the_turn_and_counts_its_speech_alone():
    talk = Talk().hear([0] * 8 + [1] * 60 + [0] * 20 + [1] * 80 + [0] * 8)
    assert talk.sketch() == [("turn_end", 8, 72), ("turn_end", 88, 172)]
    assert [(one.spoken_hops, one.is_final) for one in talk.estimates] == [(60, True), (80, True)]
    assert talk.begun == [0, 0]


def test_pauses_within_a_turn_are_not_counted():
    talk = Talk(first_s=0.5).hear([1] * 96, [1, 0] * 48)
    assert talk.estimates == []
    talk.hear([1] * 4, [1, 0] * 2)
    assert talk.sketch() == [("first", 0, 100)]
    assert talk.estimates[0].spoken_hops == 50


def test_a_cough_shorter_than_the_least_gives_no_estimate():
    talk = Talk(least_s=0.3).hear([0] * 4 + [1] * 16 + [0] * 20)
    assert talk.estimates == []
    assert not talk.turns.is_open[0]


def test_a_step_that_begins_and_ends_a_turn_leaves_none_open():
    talk = Talk(least_s=0.01).hear([0, 1, 1, 0])
    assert talk.sketch() == [("turn_end", 0, 4)]
    assert not talk.turns.is_open[0]


def test_a_long_turn_is_closed_and_begun_anew():
    talk = Talk(span_s=2.0, first_s=1.0, refresh_s=10.0).hear([1] * 640)
    assert [one for one in talk.sketch() if one[0] == "span"] == [
        ("span", 0, 200),
        ("span", 200, 400),
        ("span", 400, 600),
    ]
    assert talk.renewed == [0, 0, 0]
    assert [one.is_final for one in talk.estimates] == [False, True] * 3


def test_a_long_turn_with_less_than_the_least_is_begun_anew_in_silence():
    talk = Talk(span_s=1.0, least_s=2.0, first_s=5.0).hear([1] * 240)
    assert talk.estimates == []
    assert talk.renewed == [0, 0]


def test_a_turn_open_at_the_end_of_the_stream_is_closed_once():
    talk = Talk().hear([1] * 48)
    assert [(one.trigger, one.end_sample / HOP, one.is_final) for one in talk.turns.end_stream(0)] == [
        ("stream_end", 48, True)
    ]
    assert talk.turns.end_stream(0) == []


def test_the_turn_moves_with_its_stream():
    talk = Talk(2).hear([1] * 100)
    talk.turns.reset(0)
    talk.turns.retire(0, 1)
    talk.rows = np.arange(1)
    talk.estimates.clear()
    talk.hear([1] * 52)
    assert talk.sketch() == [("refresh", 0, 152)]
