"""Alarms on genuine callers: counted at rises, never more than allowed above a threshold, rates with intervals."""

import io

import numpy as np
import pytest

from bench.quality.spoof.clips import Call
from bench.quality.spoof.false_alarms import (
    alarms,
    calibration,
    listen,
    operating_points,
    poisson_interval,
    raised,
    tally,
    threshold_at,
    write_tables,
)
from bench.quality.spoof.heard import Heard
from bench.quality.spoof.score import FunctionDetector
from bench.quality.spoof.trials import trials_of

pytestmark = pytest.mark.unit

UP_AND_DOWN = [np.array([0.0, 2.0, 1.0, 3.0, -1.0]), np.array([1.5, 0.5, 2.5])]


def heard(score: list[float], verdicts: str, speech_s: float = 1800.0) -> Heard:
    times = np.linspace(2, speech_s, len(score))
    is_spoof = np.array([v == "s" for v in verdicts])
    return Heard(times, np.array(score), is_spoof, times, speech_s, 2 * speech_s)


@pytest.mark.parametrize(
    ("threshold", "count"), [(-5, 2), (0.2, 2), (0.7, 3), (1.2, 4), (2.0, 3), (2.2, 2), (2.7, 1), (3.1, 0)]
)
def test_an_alarm_is_a_rise_to_the_threshold(threshold: float, count: int) -> None:
    assert alarms(UP_AND_DOWN, threshold) == count


@pytest.mark.parametrize("most", range(6))
def test_above_a_threshold_there_are_never_more_alarms_than_allowed(most: int) -> None:
    threshold = threshold_at(UP_AND_DOWN, most)
    every = np.unique(np.concatenate(UP_AND_DOWN))
    above = [t for t in every if t >= threshold]
    assert all(alarms(UP_AND_DOWN, t) <= most for t in above)
    below = [t for t in every if t < threshold]
    assert not below or alarms(UP_AND_DOWN, below[-1]) > most
    assert np.isinf(threshold) == (most >= 4)


def test_thresholds_hold_on_long_random_series() -> None:
    random = np.random.default_rng(0)
    series = [np.cumsum(random.normal(0, 1, 200)) for _ in range(20)]
    for most in (0, 3, 17):
        threshold = threshold_at(series, most)
        assert alarms(series, threshold) <= most
        assert max(alarms(series, t) for t in np.linspace(threshold, threshold + 40, 300)) <= most
        assert alarms(series, np.nextafter(threshold, -np.inf)) > most


def test_no_series_needs_no_threshold() -> None:
    assert threshold_at([], 0) == -np.inf
    assert alarms([np.zeros(0)], 0.0) == 0


def test_the_interval_of_a_rate_is_that_of_the_tables() -> None:
    assert poisson_interval(0, 1.0) == (0.0, pytest.approx(3.689, abs=1e-3))
    low, high = poisson_interval(5, 2.0)
    assert (low, high) == (pytest.approx(1.623 / 2, abs=1e-3), pytest.approx(11.668 / 2, abs=1e-3))


def test_rates_are_per_hour_of_speech_and_per_corpus() -> None:
    calls = [
        ("nemo", heard([0, 3, 0, 4], "bsbs")),
        ("nemo", heard([0, 0], "ub")),
        ("call", heard([5, 5, 5], "sss", 3600)),
    ]
    result = tally(calls)
    assert (result["nemo"]["alarms"], result["nemo"]["per_h"]) == (2, 2.0)
    assert (result["call"]["alarms"], result["call"]["per_h"]) == (1, 1.0)
    assert (result["all"]["alarms"], result["all"]["speech_h"], result["all"]["per_h"]) == (3, 2.0, 1.5)
    assert result["all"]["audio_h"] == 4.0
    assert result["all"]["highest_score"] == 5.0


def test_scores_before_enough_speech_raise_nobody() -> None:
    early = Heard(np.array([0.5, 1.0, 1.5, 2.0]), np.array([9.0, 9.0, 1.0, 2.0]), total_speech_s=3600.0)
    point = operating_points([("c", early)], rates_per_h=[0.0])[0]
    assert point["threshold"] == np.nextafter(2.0, np.inf)
    assert raised(early) == 0


def test_operating_points_say_what_the_test_was_too_short_for() -> None:
    calls = [("c", heard([0, 1, 0, 2, 0, 3], "bbbbbb", 3600))]
    trials = trials_of(
        {"clip": f"{k}", "system": "tts", "corpus": "p", "band": "full", "seconds": "4", "label": 1, "score": k}
        for k in range(5)
    )
    points = operating_points(calls, trials, (0.5, 1.0, 2.0))
    assert [p["is_resolved"] for p in points] == [False, True, True]
    assert [p["alarms"] for p in points] == [0, 1, 2]
    assert [p["caught"]["full"] for p in points] == [0.2, 0.4, 0.6]  # above 3, above 2, above 1
    card = calibration(points)
    assert list(card) == ["threshold_1_per_h", "threshold_2_per_h"]
    out = io.StringIO()
    write_tables(out, {"corpora": tally(calls), "points": points})
    assert "| 1 |" in out.getvalue()
    assert "too little speech" in out.getvalue()


def test_calls_are_heard_under_their_corpus() -> None:
    detector = FunctionDetector(lambda x: (np.array([float(x[0])]), np.array([2.0])))
    calls = [Call(f"{c}-{k}", c, np.full(16_000, k, np.float32)) for c in "ab" for k in range(2)]
    found = listen(detector, calls)
    assert [(c, h.score.tolist()) for c, h in found] == [("a", [0.0]), ("a", [1.0]), ("b", [0.0]), ("b", [1.0])]
