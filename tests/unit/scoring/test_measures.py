"""Measures against figures worked out by hand or by plainer code."""

import numpy as np
import pytest

from rtemo.scoring.abstention import abstention_curve
from rtemo.scoring.annotators import annotator_scores, constant_scores, cross_entropy, majority
from rtemo.scoring.bootstrap import Draws, interval
from rtemo.scoring.classes import (
    accuracy_of,
    calibration_error,
    macro_f1_of,
    one_hot,
    recall_of,
    recalls,
    uar,
    uar_interval,
    uar_of,
)
from rtemo.scoring.dimensions import ccc_of, moments

pytestmark = pytest.mark.unit

TRUTH = np.array([0, 0, 0, 0, 1, 1, 2, 2])
SAID = np.array([0, 0, 1, -1, 1, 0, 2, 3])


def test_measures_of_classes_are_those_worked_out_by_hand() -> None:
    counts = one_hot(TRUTH, SAID, 4).sum(0)
    assert counts[0].tolist() == [2, 1, 0, 0, 1], "the last column is of what was not answered"
    assert np.isnan(recall_of(counts)[3])
    assert recall_of(counts)[:3].tolist() == [0.5, 0.5, 0.5]
    assert float(uar_of(counts)) == 0.5 == uar(TRUTH, SAID)
    assert float(accuracy_of(counts)) == 0.5
    f1 = [2 * 2 / (4 + 3), 2 * 1 / (2 + 2), 2 * 1 / (2 + 1)]  # class 3 is said, but never true
    assert float(macro_f1_of(counts)) == pytest.approx(np.mean(f1))
    assert recalls(TRUTH, SAID) == {0: 0.5, 1: 0.5, 2: 0.5}


def test_intervals_draw_whole_speakers() -> None:
    random = np.random.default_rng(3)
    truth, said = random.integers(0, 3, 60), random.integers(0, 3, 60)
    speakers = [f"s{k // 10}" for k in range(60)]

    drawing = np.random.default_rng(0)
    members = [np.flatnonzero(np.array(speakers) == name) for name in np.unique(speakers)]
    scores = []
    for _ in range(1000):
        rows = np.concatenate([members[k] for k in drawing.integers(6, size=6)])
        scores.append(uar(truth[rows], said[rows]))
    assert uar_interval(truth, said, speakers) == pytest.approx(tuple(np.percentile(scores, [2.5, 97.5])))
    alone = uar_interval(truth, said, [str(k) for k in range(60)])
    assert alone != pytest.approx(uar_interval(truth, said, speakers))


def test_one_cluster_says_nothing_of_spread_and_draws_without_a_value_are_left_out() -> None:
    assert Draws(["a"] * 3).clusters == 1
    assert np.isnan(interval(np.array([np.nan]))[0])
    assert interval(np.array([np.nan, 1.0, 1.0])) == (1.0, 1.0)


def test_concordance_counts_scale_and_offset_against_it() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=200)
    y = 0.7 * x + 0.3 * random.normal(size=200) + 0.2
    covariance = np.mean((x - x.mean()) * (y - y.mean()))
    wanted = 2 * covariance / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
    assert float(ccc_of(moments(x, y).sum(0))) == pytest.approx(wanted)
    assert float(ccc_of(moments(x, x).sum(0))) == pytest.approx(1.0)
    assert float(ccc_of(moments(x, x + 1).sum(0))) < 0.8
    assert float(ccc_of(moments(x, -x).sum(0))) == pytest.approx(-1.0, abs=0.05)


def test_abstention_commits_the_surest_first_and_the_unanswered_last() -> None:
    confidence = np.array([0.9, np.nan, 0.5, 0.8, 0.6])
    right = np.array([True, False, False, True, True])
    curve = abstention_curve(confidence, right, (1.0, 0.8, 0.6, 0.2))
    assert [(point.committed, point.accuracy) for point in curve] == [(1.0, 0.6), (0.8, 0.75), (0.6, 1.0), (0.2, 1.0)]
    assert [point.least_confidence for point in curve] == [0.0, 0.5, 0.6, 0.9]


def test_calibration_error_is_the_gap_of_confidence_and_accuracy() -> None:
    confidence = np.array([0.6] * 10 + [0.9] * 10)
    right = np.array([True] * 6 + [False] * 4 + [True] * 5 + [False] * 5)
    assert calibration_error(confidence, right, np.ones(20), bins=2) == pytest.approx(0.5 * 0.0 + 0.5 * 0.4)


RATINGS = [[0, 0, 1], [1, 1], [2, 0], [0, 0, 0]]


def test_majority_breaks_ties_by_the_commoner_label() -> None:
    assert majority(RATINGS, 3).tolist() == [0, 1, 0, 0]


def test_any_annotator_gives_credit_and_misses_count_for_the_majority() -> None:
    said = np.array([1, 0, 2, 0])
    scores = annotator_scores(said, RATINGS, 3)
    assert scores.any_accuracy == 0.75
    assert scores.soft_credit == pytest.approx((1 / 3 + 0 + 1 / 2 + 1) / 4)
    reference = np.array([1, 1, 2, 0])  # the second answer is nobody's, so the majority's 1 stands against it
    assert scores.aa_macro_f1 == pytest.approx(float(macro_f1_of(one_hot(reference, said, 3).sum(0))))
    assert annotator_scores(np.full(4, -1), RATINGS, 3).any_accuracy == 0.0


def test_the_constant_answer_collects_credit_but_little_f1() -> None:
    label, scores = constant_scores(RATINGS, 3)
    assert label == 0
    assert scores.any_accuracy == 0.75
    assert scores.aa_macro_f1 < 0.5 < scores.any_accuracy


def test_cross_entropy_is_least_at_the_share_of_annotators() -> None:
    shares = np.array([[2 / 3, 1 / 3, 0], [0, 1, 0], [0.5, 0, 0.5], [1, 0, 0]])
    entropy = np.mean([-(2 / 3 * np.log(2 / 3) + 1 / 3 * np.log(1 / 3)), 0, np.log(2), 0])
    assert cross_entropy(shares, RATINGS) == pytest.approx(entropy, abs=1e-6)
    assert cross_entropy(np.full((4, 3), 1 / 3), RATINGS) == pytest.approx(np.log(3))
