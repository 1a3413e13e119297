"""Rules for alerts, window by window."""

import msgspec
import numpy as np
import pytest

from rtemo.api import ConfigError
from rtemo_plugins.ranker.alerts import Alerts
from rtemo_plugins.ranker.options import AlertRule

pytestmark = pytest.mark.unit

ATTRIBUTES = ("arousal", "valence")


def rule(*when: dict, **facts) -> AlertRule:
    conditions = when or ({"attribute": "arousal", "measure": "score", "above": 1.0},)
    return msgspec.convert({"name": "r", "when": conditions, "cool_down_s": 0.0} | facts, AlertRule)


class Watch:
    """One stream among others, whose measures a test sets."""

    def __init__(self, *rules: AlertRule) -> None:
        self.alerts = Alerts(rules, ATTRIBUTES, 0.5, 3)
        for row in range(3):
            self.alerts.admit(row)

    def take(self, *scores: float, trend: float = np.nan) -> list[int]:
        """Windows at which an alert was raised."""
        raised = []
        for k, score in enumerate(scores):
            found = {"score": np.array([[score, 0.0]]), "trend_per_min": np.array([[0.0, trend]])}
            for one in self.alerts.watch(np.array([1]), found):
                assert one.row == 1
                raised.append(k)
        return raised


def test_a_rule_is_met_as_soon_as_its_condition_holds():
    assert Watch(rule()).take(0, 0.9, 1.1, 0) == [2]
    assert Watch(rule({"attribute": "arousal", "below": -1.0})).take(0, -0.9, -1.1) == [2]


def test_a_condition_must_hold_without_a_break_for_its_time():
    watch = Watch(rule({"attribute": "arousal", "above": 1.0, "for_s": 2.0}))
    assert watch.take(2, 2, 2, 0, 2, 2, 2) == []
    assert watch.take(2) == [0]


def test_so_many_of_the_last_windows_must_be_hits():
    assert Watch(rule(hits=3, windows=5)).take(2, 0, 0, 2, 0, 2, 0, 2, 0, 0) == [7]


def test_all_conditions_must_hold_at_once():
    both = rule(
        {"attribute": "arousal", "above": 1.0}, {"attribute": "valence", "measure": "trend_per_min", "below": -0.5}
    )
    assert Watch(both).take(2, 2) == []
    assert Watch(both).take(2, trend=-0.6) == [0]
    assert Watch(both).take(0, trend=-0.6) == []


def test_what_is_unknown_meets_no_condition():
    watch = Watch(rule(), rule({"attribute": "arousal", "below": 9.0}, name="low"))
    assert watch.take(np.nan) == []


def test_a_rule_is_not_told_again_before_its_cool_down():
    assert Watch(rule(cool_down_s=2.0)).take(*[2] * 10) == [0, 4, 8]


def test_an_alert_says_what_was_looked_at():
    watch = Alerts([rule(name="loud")], ATTRIBUTES, 0.5, 1)
    (raised,) = watch.watch(np.array([0]), {"score": np.array([[1.5, 0.0]])})
    assert (raised.rule, raised.values) == ("loud", {"arousal.score": 1.5})


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ([rule({"attribute": "anger", "above": 1.0})], "looks at 'anger', which is not scored; choose one of arousal"),
        ([rule({"attribute": "arousal"})], "has neither `above` and `below`"),
        ([rule({"attribute": "arousal", "above": 1.0, "below": 2.0})], "has both `above` and `below`; give it one"),
        ([rule(hits=4, windows=3)], "wants 4 hits in 3 windows; make `windows` at least as large"),
        ([rule(), rule()], "rule 'r' stands there twice"),
    ],
)
def test_rules_without_sense_are_refused_with_a_sentence(rules, said):
    with pytest.raises(ConfigError, match=said):
        Alerts(rules, ATTRIBUTES, 0.5, 1)


def test_a_value_that_dithers_about_its_limit_is_one_alert_until_it_is_released():
    dithering = {"attribute": "arousal", "above": 1.0}
    assert Watch(rule(dithering)).take(1.1, 0.9, 1.1) == [0, 2]
    watch = Watch(rule({**dithering, "release": 0.5}))
    assert watch.take(1.1, 0.9, 1.1, 0.6, 1.1, 0.4, 0.9, 1.1) == [0, 7]
    with pytest.raises(ConfigError, match="released before"):
        Watch(rule({**dithering, "release": 1.5}))
