"""Alarms on genuine callers: counted at rises, never more than allowed above a threshold, rates with intervals."""

import io

import numpy as np
import pytest

from bench.quality.spoof.clips import Call
from bench.quality.spoof.false_alarms import begun, listen, tally, write_tables
from bench.quality.spoof.heard import Heard
from bench.quality.spoof.operating_points import (
    LEAST_LIMIT,
    alarms,
    calibration,
    decisions,
    limit_at,
    operating_points,
    poisson_interval,
    rises,
    threshold_at,
)
from bench.quality.spoof.score import FunctionDetector
from bench.quality.spoof.trials import Trials, trials_of

pytestmark = pytest.mark.unit

UP_AND_DOWN = [np.array([0.0, 2.0, 1.0, 3.0, -1.0]), np.array([1.5, 0.5, 2.5])]


def heard(score: list[float], verdicts: str, speech_s: float = 1800.0) -> Heard:
    times = np.linspace(2, speech_s, len(score))
    is_spoof = np.array([v in "sa" for v in verdicts])
    is_alarmed = np.array([v == "a" for v in verdicts])
    return Heard(times, np.array(score), is_spoof, is_alarmed, total_speech_s=speech_s, duration_s=2 * speech_s)


def synthetic(count: int) -> Trials:
    return trials_of(
        {"clip": f"{k}", "system": "tts", "corpus": "p", "band": "full", "seconds": "4", "label": 1, "score": k}
        for k in range(count)
    )


@pytest.mark.parametrize(
    ("threshold", "count"), [(-5, 2), (0.2, 2), (0.7, 3), (1.2, 4), (2.0, 3), (2.2, 2), (2.7, 1), (3.1, 0)]
)
def test_a_suspicion_is_a_rise_to_the_threshold(threshold: float, count: int) -> None:
    assert rises(UP_AND_DOWN, threshold) == count


@pytest.mark.parametrize("most", range(6))
def test_above_a_threshold_there_are_never_more_rises_than_allowed(most: int) -> None:
    threshold = threshold_at(UP_AND_DOWN, most)
    every = np.unique(np.concatenate(UP_AND_DOWN))
    assert all(rises(UP_AND_DOWN, t) <= most for t in every if t >= threshold)
    below = [t for t in every if t < threshold]
    assert not below or rises(UP_AND_DOWN, below[-1]) > most
    assert np.isinf(threshold) == (most >= 4)


def test_thresholds_hold_on_long_random_series() -> None:
    random = np.random.default_rng(0)
    series = [np.cumsum(random.normal(0, 1, 200)) for _ in range(20)]
    for most in (0, 3, 17):
        threshold = threshold_at(series, most)
        assert rises(series, threshold) <= most
        assert max(rises(series, t) for t in np.linspace(threshold, threshold + 40, 100)) <= most
        assert rises(series, np.nextafter(threshold, -np.inf)) > most


def test_no_series_needs_no_threshold() -> None:
    assert threshold_at([], 0) == -np.inf
    assert threshold_at([np.zeros(0)], 0) == -np.inf
    assert threshold_at([np.zeros(0), np.array([1.0])], 0) == np.nextafter(1.0, np.inf)
    assert limit_at([], 0, 0.98, 0.0) == LEAST_LIMIT


def test_an_alarm_stands_until_the_sum_has_been_low_for_the_cool_down() -> None:
    # sums with keep 1, drift 0 and limit 2: 1, 2, 1, 2, 0, 0, 0, 2
    scores = [np.array([1.0, 1.0, -1.0, 1.0, -9.0, 0.0, 0.0, 2.0])]
    two = np.array([2.0])
    assert alarms(scores, two, 1.0, 0.0, cool_down=0).tolist() == [3]
    assert alarms(scores, two, 1.0, 0.0, cool_down=2).tolist() == [2]
    assert alarms(scores, two, 1.0, 0.0, cool_down=3).tolist() == [2]
    assert alarms(scores, two, 1.0, 0.0, cool_down=4).tolist() == [1]
    assert alarms(scores, two, 1.0, 1.5, cool_down=0).tolist() == [0]


def test_the_sum_forgets_and_goes_no_higher_than_the_limit() -> None:
    scores = [np.array([4.0, 4.0, -1.0, 1.0])]
    assert alarms(scores, np.array([4.0, 7.0, 8.0]), 1.0, 0.0, 0).tolist() == [2, 2, 2]  # not 8 to come down from
    assert alarms(scores, np.array([6.0, 6.1]), 0.5, 0.0, 0).tolist() == [1, 0]  # 4, then 6


def test_a_limit_allows_as_many_alarms_as_asked_for() -> None:
    random = np.random.default_rng(1)
    series = [random.normal(-0.5, 2, 400) for _ in range(10)]
    found = [limit_at(series, most, 0.98, 0.0) for most in (0, 2, 10)]
    assert found == sorted(found, reverse=True)
    counts = alarms(series, np.array(found), 0.98, 0.0)
    assert (counts <= [0, 2, 10]).all()
    assert counts[2] > 2


def test_the_alarms_of_the_bench_are_those_of_the_plugin() -> None:
    cusum = pytest.importorskip("rtemo_plugins.gem.cusum")
    random = np.random.default_rng(2)
    scores = np.cumsum(random.normal(-0.02, 0.5, 3000))
    scores -= np.convolve(scores, np.ones(100) / 100, "same")
    for limit, drift, keep, cool_down in ((3.0, 0.0, 0.98, 60), (2.0, 0.3, 0.9, 4), (1.0, 0.0, 1.0, 0)):
        theirs = cusum.Cusum(limit, drift, keep, cool_down, 1)
        theirs.admit(0)
        begun_there = sum(int(theirs.add(np.array([0]), np.array([score]))[0]) for score in scores)
        assert alarms([scores], np.array([limit]), keep, drift, cool_down).tolist() == [begun_there]
        assert begun_there > 1


def test_the_interval_of_a_rate_is_that_of_the_tables() -> None:
    assert poisson_interval(0, 1.0) == (0.0, pytest.approx(3.689, abs=1e-3))
    low, high = poisson_interval(5, 2.0)
    assert (low, high) == (pytest.approx(1.623 / 2, abs=1e-3), pytest.approx(11.668 / 2, abs=1e-3))


def test_rates_are_per_hour_of_speech_and_per_corpus() -> None:
    calls = [
        ("nemo", heard([0, 3, 0, 4], "bsba")),
        ("nemo", heard([0, 0], "ub")),
        ("call", heard([5, 5, 5], "sss", 3600)),
    ]
    result = tally(calls)
    assert (result["nemo"]["verdicts"]["count"], result["nemo"]["verdicts"]["per_h"]) == (2, 2.0)
    assert (result["call"]["verdicts"]["count"], result["call"]["alarms"]["count"]) == (1, 0)
    assert (result["all"]["verdicts"]["per_h"], result["all"]["alarms"]["per_h"]) == (1.5, 0.5)
    assert (result["all"]["speech_h"], result["all"]["audio_h"]) == (2.0, 4.0)
    assert result["all"]["highest_score"] == 5.0


def test_scores_before_enough_speech_raise_nobody_and_a_decision_counts_once() -> None:
    times = np.array([0.5, 1.0, 1.52, 1.8, 2.03, 2.5, 3.0])
    is_final = np.arange(7) == 6
    early = Heard(times, np.array([9.0, 9.0, 1.0, 9.0, 2.0, -5.0, 9.0]), is_final=is_final, total_speech_s=3600.0)
    assert decisions(early).tolist() == [1.0, 2.0, -5.0]
    point = operating_points([("c", early)], rates_per_h=[0.0], keep=1.0)[0]
    assert point["threshold"] == np.nextafter(2.0, np.inf)
    assert 3.0 < point["limit"] < 3.02  # 1 and 2
    assert begun(early.is_spoof) == 0


def test_operating_points_say_what_the_test_was_too_short_for() -> None:
    calls = [("c", heard([0, 1, 0, 2, 0, 3], "bbbbbb", 3600))]
    points = operating_points(calls, synthetic(5), rates_per_h=(0.5, 1.0, 2.0))
    assert [p["is_resolved"] for p in points] == [False, True, True]
    assert [p["verdicts"] for p in points] == [0, 1, 2]
    assert [p["caught"]["full"] for p in points] == [0.2, 0.4, 0.6]  # above 3, above 2, above 1
    out = io.StringIO()
    write_tables(out, {"corpora": tally(calls), "points": points})
    assert "| 1 |" in out.getvalue()
    assert "too little speech" in out.getvalue()
    assert "nan" not in out.getvalue()


def test_a_card_gets_the_names_that_the_plugin_reads() -> None:
    level_at = pytest.importorskip("rtemo_plugins.gem.operating_point").level_at
    calls = [("c", heard([0, 1, 0, 2, 0, 3], "bbbbbb", 3600))]
    points = operating_points(calls, rates_per_h=(0.5, 1.0, 2.0))
    card = calibration(points, synthetic(41), 0.98, 0.1)
    assert card["bona_fide_below"] == 2.0  # 5 % of 0 to 40
    assert (card["alarm_keep"], card["alarm_drift"]) == (0.98, 0.1)
    assert "threshold_at_0.5_per_hour" not in card
    for rate in (1.0, 2.0):
        assert level_at(card, "threshold", rate, fall=1.0) == pytest.approx(card[f"threshold_at_{rate:g}_per_hour"])
        assert level_at(card, "alarm_limit", rate, fall=8.0) == card[f"alarm_limit_at_{rate:g}_per_hour"]


def test_calls_are_heard_under_their_corpus() -> None:
    detector = FunctionDetector(lambda x: (np.array([float(x[0])]), np.array([2.0])))
    calls = [Call(f"{c}-{k}", c, np.full(16_000, k, np.float32)) for c in "ab" for k in range(2)]
    found = listen(detector, calls)
    assert [(c, h.score.tolist()) for c, h in found] == [("a", [0.0]), ("a", [1.0]), ("b", [0.0]), ("b", [1.0])]
