"""Rules for alerts on queries, score by score."""

import msgspec
import pytest

from rtemo.api import ConfigError, QueryScore
from rtemo.api.turns import Turns
from rtemo_plugins.meaning.alerts import Teller
from rtemo_plugins.meaning.options import QueryRule
from rtemo_plugins.meaning.queries import read_queries

pytestmark = pytest.mark.unit

TEXT = "losing patience | calm"


def teller(**facts):
    rule = msgspec.convert({"name": "r", "query": TEXT, "cool_down_s": 0.0} | facts, QueryRule)
    return Teller([rule], read_queries([TEXT, "cheerful"]), Turns())


def met(told, *values, stream=1):
    """Numbers of the scores, one a second, at which the rule was met."""
    found = []
    for second, z in enumerate(values):
        scores = [QueryScore(query=TEXT, score=0.0, z=z, speech_s=1.0), QueryScore(query="cheerful", score=9.0, z=9.0)]
        found += [second] * len(told.watch(stream, scores, second * 16_000))
    return found


def test_a_rule_is_met_by_its_query_alone_and_by_nothing_unknown():
    assert met(teller(above=2.0), None, 1.9, 2.1, None) == [2]
    assert met(teller(below=-1.0), None, 0.0, -1.1) == [2]


def test_so_many_of_the_last_scores_must_be_hits():
    assert met(teller(above=2.0, hits=3, windows=4), 3, 0, 3, 0, 3, 3, 0) == [5]


def test_a_value_that_dithers_about_its_limit_is_one_alert_until_it_is_released():
    assert met(teller(above=2.0), 2.1, 1.9, 2.1, 1.9, 2.1) == [0, 2, 4]
    assert met(teller(above=2.0, release=1.0), 2.1, 1.9, 2.1, 1.2, 2.1, 0.9, 1.9, 2.1) == [0, 7]


def test_between_two_alerts_is_the_cool_down_and_streams_know_nothing_of_each_other():
    told = teller(above=2.0, cool_down_s=3.0)
    assert met(told, 3, 3, 3, 3, 3, 3, 3) == [0, 3, 6]
    assert met(told, 3, stream=2) == [0]


def test_an_alert_says_what_it_saw():
    scores = [QueryScore(query=TEXT, score=0.5, z=2.5, speech_s=4.0), QueryScore(query="cheerful", score=0.0)]
    (alert,) = teller(above=2.0).watch(1, scores, 64_000)
    assert (alert.rule, alert.values, alert.speech_s) == ("r", {"losing patience | calm.z": 2.5}, 4.0)


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        ({}, "neither"),
        ({"above": 1.0, "below": 0.0}, "both"),
        ({"above": 1.0, "query": "happy"}, "not asked"),
        ({"above": 1.0, "hits": 3, "windows": 2}, "3 hits in 2"),
        ({"above": 1.0, "release": 1.5}, "released before"),
        ({"below": 1.0, "release": 0.5}, "released before"),
    ],
)
def test_a_rule_that_can_never_be_met_is_refused(facts, problem):
    with pytest.raises(ConfigError, match=problem):
        teller(**facts)
