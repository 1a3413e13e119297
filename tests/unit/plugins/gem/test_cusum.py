"""Evidence gathered over a call."""

import numpy as np
import pytest

from rtemo_plugins.gem.cusum import Cusum

pytestmark = pytest.mark.unit


def run(scores, *, limit=10.0, drift=0.0, keep=1.0, cool_down_decisions=3):
    """Feed one stream; give when alarms begin, and whether one stands after each decision."""
    cusum = Cusum(limit, drift, keep, cool_down_decisions, 1)
    begins, stands = [], []
    for k, score in enumerate(scores):
        if cusum.add(np.array([0]), np.array([float(score)]))[0]:
            begins.append(k)
        stands.append(bool(cusum.is_alarmed[0]))
    return begins, stands


def test_evidence_adds_up_to_one_alarm():
    begins, stands = run([4, 4, 4, 4, 4])
    assert begins == [2]
    assert stands == [False, False, True, True, True]


def test_evidence_against_is_not_saved_up():
    assert run([-100] * 50 + [4, 4, 4])[0] == [52]


def test_drift_is_taken_from_every_score():
    assert run([4] * 9, drift=3.0)[0] == []
    assert run([4] * 10, drift=3.0)[0] == [9]


def test_a_sum_that_forgets_stays_below_what_it_forgets():
    assert run([0.99] * 500, keep=0.9)[0] == []
    assert run([1.2] * 500, keep=0.9)[0] != []


def test_an_alarm_stands_through_the_cool_down_and_comes_again_only_after_it():
    begins, stands = run([20, -20, 20, -20, -20, -20, 20], cool_down_decisions=3)
    assert begins == [0, 6]
    assert stands == [True, True, True, True, True, False, True]


def test_hours_of_evidence_fade_as_fast_as_minutes():
    _, stands = run([5] * 5000 + [-5] * 10, cool_down_decisions=4)
    assert stands[-10:] == [True] * 3 + [False] * 7


def test_without_cool_down_an_alarm_stands_as_long_as_the_evidence():
    assert run([20, -1, 20], cool_down_decisions=0) == ([0, 2], [True, False, True])


def test_rows_are_apart_and_move():
    cusum = Cusum(10.0, 0.0, 1.0, 5, 4)
    cusum.add(np.array([0, 2]), np.array([4.0, 9.0]))
    cusum.retire(0, 2)
    assert cusum.add(np.array([0, 1]), np.array([4.0, 4.0])).tolist() == [True, False]
    cusum.retire(1, 1)
    cusum.reset(0)
    assert not cusum.is_alarmed.any()
    assert not cusum.add(np.array([0]), np.array([4.0])).any()
