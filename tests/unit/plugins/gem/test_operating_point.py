"""From false alarms per hour to thresholds."""

import math

import pytest

from rtemo_plugins.gem.operating_point import level_at

pytestmark = pytest.mark.unit

TABLE = {"threshold_at_0.1_per_hour": 6.0, "threshold_at_1_per_hour": 4.0, "threshold_at_10_per_hour": 1.0}


@pytest.mark.parametrize(("per_hour", "level"), [(0.1, 6.0), (1.0, 4.0), (10.0, 1.0), (math.sqrt(10.0), 2.5)])
def test_levels_of_the_card_are_met_and_interpolated_over_the_logarithm(per_hour, level):
    assert level_at(TABLE, "threshold", per_hour, fall=1.0) == pytest.approx(level)


@pytest.mark.parametrize(("per_hour", "level"), [(0.1 / math.e, 7.0), (10.0 * math.e**2, -1.0)])
def test_beyond_the_table_a_level_falls_as_promised(per_hour, level):
    assert level_at(TABLE, "threshold", per_hour, fall=1.0) == pytest.approx(level)


def test_without_a_table_the_log_odds_are_taken_at_their_word():
    assert level_at({"threshold": 9.0}, "threshold", 1.0, fall=1.0) == pytest.approx(math.log(7200))
    assert level_at({}, "alarm_limit", 1.0, fall=8.0) == pytest.approx(8 * math.log(7200))


def test_fewer_false_alarms_never_make_a_lower_level():
    levels = [level_at(TABLE, "threshold", 10**k, fall=1.0) for k in (-3, -2, -1, -0.5, 0, 0.3, 1, 2, 3)]
    assert levels == sorted(levels, reverse=True)


def test_other_keys_are_not_taken_for_rates():
    odd = {"threshold_at_x_per_hour": 99.0, "threshold_at_0_per_hour": 99.0, "alarm_threshold_at_1_per_hour": 99.0}
    assert level_at(odd | TABLE, "threshold", 1.0, fall=1.0) == pytest.approx(4.0)
