"""Streams compared with each other."""

import itertools

import msgspec
import numpy as np
import pytest

from rtemo.api import ConfigError
from rtemo_plugins.ranker.options import BoardOptions
from rtemo_plugins.ranker.standings import Known, Standings

pytestmark = pytest.mark.unit

ATTRIBUTES = ("arousal", "valence", "intensity")


class Floor:
    """n streams whose arousal a test sets; valence and intensity are 0."""

    def __init__(self, n: int, **options) -> None:
        self.n = n
        self.standings = Standings(
            msgspec.convert({"hysteresis": 0.2, "caution": 0.0} | options, BoardOptions), ATTRIBUTES, n
        )
        for row in range(n):
            self.standings.admit(row)
        self.past_mean, self.past_mass = np.zeros((n, 3)), np.zeros(n)
        self.is_known = np.ones(n, bool)

    def rank(self, arousal, spread: float = 0.1, slots=None) -> list[int]:
        score = np.zeros((self.n, 3), np.float32)
        score[:, 0] = arousal
        known = Known(score, np.full((self.n, 3), spread, np.float32), self.past_mean, self.past_mass)
        return self.standings.rank(known, self.is_known, np.arange(self.n) if slots is None else slots).tolist()


def test_the_most_urgent_come_first_and_as_many_as_there_are_places():
    floor = Floor(6, places=3)
    assert floor.rank([0, 3, 1, 5, 2, 4]) == [3, 5, 1]
    assert floor.standings.place.tolist() == [0, 3, 0, 1, 0, 2]


def test_weights_say_what_is_urgent():
    assert Floor(3, weights={"arousal": -1.0}).rank([0, 3, 1]) == [0, 2, 1]


def test_a_stream_goes_only_when_another_exceeds_it_by_the_hysteresis():
    floor = Floor(3, places=2)
    assert floor.rank([2.0, 1.0, 0.0]) == [0, 1]
    assert floor.rank([2.0, 1.0, 1.1]) == [0, 1]
    assert floor.rank([2.0, 1.0, 1.3]) == [0, 2]
    assert floor.rank([2.0, 1.2, 1.3]) == [0, 2]


def test_streams_change_places_only_beyond_the_hysteresis():
    floor = Floor(3)
    assert floor.rank([2.0, 1.0, 0.0]) == [0, 1, 2]
    assert floor.rank([1.0, 1.1, 0.0]) == [0, 1, 2]
    assert floor.rank([1.0, 1.3, 0.0]) == [1, 0, 2]


def test_jitter_does_not_make_the_board_flicker():
    floor, random = Floor(200, places=10), np.random.default_rng(0)
    level = np.sort(random.standard_normal(200))
    boards = [floor.rank(level + 0.03 * random.standard_normal(200)) for _ in range(50)]
    calm = sum(one == other for one, other in itertools.pairwise(boards))
    restless = Floor(200, places=10, hysteresis=0.0)
    others = [restless.rank(level + 0.03 * random.standard_normal(200)) for _ in range(50)]
    assert calm >= 45
    assert sum(one == other for one, other in itertools.pairwise(others)) < 25


def test_who_is_unsure_is_not_compared():
    floor = Floor(4)
    floor.is_known[:] = [True, False, True, True]
    assert floor.rank([1, 9, 3, 2]) == [2, 3, 0]
    assert floor.standings.place[1] == 0
    floor.is_known[:] = False
    assert floor.rank([1, 9, 3, np.nan]) == []


def test_of_two_alike_the_surer_one_comes_first():
    floor = Floor(2, caution=1.0)
    score, spread = np.ones((2, 3), np.float32), np.full((2, 3), 0.2, np.float32)
    spread[0] = 0.6
    known = Known(score, spread, floor.past_mean, floor.past_mass)
    assert floor.standings.rank(known, floor.is_known, np.arange(2)).tolist() == [1, 0]


def test_streams_that_cannot_be_told_apart_share_a_place():
    floor = Floor(4)
    floor.rank([2.0, 2.01, 1.0, 0.99], spread=0.1)
    assert sorted(floor.standings.place.tolist()) == [1, 1, 3, 3]
    floor.rank([2.0, 2.01, 1.0, 0.99], spread=0.001)
    assert sorted(floor.standings.place.tolist()) == [1, 2, 3, 4]


def test_streams_exactly_alike_stand_in_the_order_of_their_slots_whatever_their_rows():
    slots = np.array([7, 3, 9, 1])
    assert slots[Floor(4).rank(np.zeros(4), slots=slots)].tolist() == [1, 3, 7, 9]


def test_a_voice_that_was_always_loud_counts_for_less():
    floor = Floor(2)
    floor.past_mean[0, 0], floor.past_mass[0] = 2.0, 240.0
    assert floor.rank([2.0, 1.5]) == [1, 0]
    floor = Floor(2)
    floor.past_mean[0, 0], floor.past_mass[0] = 2.0, 2.0
    assert floor.rank([2.0, 1.5]) == [0, 1]


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        ({"anger": 1.0}, "names 'anger', which is not scored; choose among arousal, valence, intensity"),
        ({"arousal": 0.0}, "leaves nothing to compare by"),
    ],
)
def test_weights_without_sense_are_refused_with_a_sentence(weights, said):
    with pytest.raises(ConfigError, match=said):
        Standings(BoardOptions(weights=weights), ATTRIBUTES, 1)
