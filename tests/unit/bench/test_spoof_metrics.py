"""Metrics of spoof detection on cases worked out by hand, and beside their definitions."""

import math

import numpy as np
import pytest

from bench.quality.spoof import metrics

pytestmark = pytest.mark.unit

LOG2_3 = math.log2(3)


def trials(genuine: list[float], synthetic: list[float]) -> tuple[np.ndarray, np.ndarray]:
    score = np.array(genuine + synthetic, float)
    return score, np.array([0] * len(genuine) + [1] * len(synthetic))


def overlapping(seed: int, genuine: int = 70, synthetic: int = 50) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return trials(random.normal(-1, 1.5, genuine).tolist(), random.normal(1, 1.0, synthetic).tolist())


def test_classes_that_do_not_overlap_cost_nothing() -> None:
    score, label = trials([-30, -20], [20, 30, 40])
    assert metrics.eer(score, label) == 0
    assert metrics.eer_of_hull(score, label) == 0
    assert metrics.min_dcf(score, label) == 0
    assert metrics.act_dcf(score, label) == 0
    assert metrics.cllr(score, label) == pytest.approx(0, abs=1e-7)
    assert metrics.min_cllr(score, label) == 0


def test_one_of_four_on_either_side_is_a_quarter() -> None:
    score, label = trials([-3, -2, -1, 2], [-2.5, 1, 3, 4])
    assert metrics.eer(score, label) == 0.25


def test_scores_that_say_nothing_are_at_chance_and_cost_one_bit() -> None:
    score, label = trials([0.0] * 5, [0.0] * 3)
    assert metrics.eer(score, label) == 0.5
    assert metrics.eer_of_hull(score, label) == pytest.approx(0.5)
    assert metrics.min_dcf(score, label) == 1.0
    assert metrics.cllr(score, label) == pytest.approx(1.0)
    assert metrics.min_cllr(score, label) == pytest.approx(1.0)


def test_scores_the_wrong_way_round_are_worse_than_chance() -> None:
    score, label = trials([1, 2], [-1, -2])
    assert metrics.eer(score, label) == 1.0
    assert metrics.eer_of_hull(score, label) == pytest.approx(0.5)
    assert metrics.cllr(score, label) > 1


def test_the_log_likelihood_ratio_cost_of_a_worked_case() -> None:
    # log2(1 + 2) for both genuine clips, log2(1 + 1/2) and log2(1 + 2) for the synthetic ones
    score, label = trials([math.log(2), math.log(2)], [math.log(2), -math.log(2)])
    assert metrics.cllr(score, label) == pytest.approx(0.5 * (LOG2_3 + (LOG2_3 - 1 + LOG2_3) / 2))


def test_the_threshold_of_bayes_is_the_log_of_1_9() -> None:
    assert metrics.ASVSPOOF_5.threshold == pytest.approx(math.log(1.9))
    # one of four genuine clips above it: .25 x .95; one of two synthetic below it: .5 x 10 x .05; over the lesser, .5
    score, label = trials([-1, 0, 0.6, 0.7], [0.64, 0.65])
    assert metrics.act_dcf(score, label) == pytest.approx((0.95 * 0.25 + 0.5 * 0.5) / 0.5)
    # at best nothing genuine is refused and nothing synthetic accepted but one clip: refuse from .64 on
    assert metrics.min_dcf(score, label) == pytest.approx(0.95 * 0.25 / 0.5)


def test_a_constant_answer_costs_one_and_a_bad_one_more() -> None:
    score, label = trials([0.0, 0.0], [0.0])
    assert metrics.act_dcf(score, label) == 1.0  # all accepted
    assert metrics.act_dcf(score + 5, label) == pytest.approx(1.9)  # all refused


@pytest.mark.parametrize("seed", range(5))
def test_the_equal_error_rate_is_what_its_definition_gives(seed: int) -> None:
    score, label = overlapping(seed)
    genuine, synthetic = score[label == 0], score[label == 1]
    best = (np.inf, np.nan)
    for threshold in np.sort(np.append(score, np.inf))[::-1]:
        miss, acceptance = np.mean(genuine >= threshold), np.mean(synthetic < threshold)
        if abs(miss - acceptance) < best[0]:
            best = (abs(miss - acceptance), (miss + acceptance) / 2)
    assert metrics.eer(score, label) == pytest.approx(best[1])


@pytest.mark.parametrize("seed", range(5))
def test_the_hull_is_never_above_the_points_and_calibration_only_loses(seed: int) -> None:
    score, label = overlapping(seed)
    miss, acceptance = metrics.hull(score, label)
    _, all_miss, all_acceptance = metrics.error_rates(score, label)
    assert np.all(np.interp(all_miss, miss, acceptance)[1:] <= all_acceptance[1:] + 1e-12)
    assert metrics.min_cllr(score, label) <= metrics.cllr(score, label)
    assert metrics.min_dcf(score, label) <= metrics.act_dcf(score, label)


def test_the_least_cost_of_a_worked_case() -> None:
    # genuine, synthetic, genuine, synthetic: pooling the violators in the middle leaves two clips at even odds, one bit
    # each, and two that are certain
    score, label = trials([1, 3], [2, 4])
    assert metrics.min_cllr(score, label) == pytest.approx(0.5)
    assert metrics.eer_of_hull(score, label) == pytest.approx(0.25)


def test_only_the_order_of_scores_matters_to_what_needs_no_calibration() -> None:
    score, label = overlapping(3)
    bent = np.exp(score / 2)
    assert metrics.eer(bent, label) == metrics.eer(score, label)
    assert metrics.min_dcf(bent, label) == metrics.min_dcf(score, label)
    assert metrics.min_cllr(bent, label) == metrics.min_cllr(score, label)
    assert metrics.cllr(bent, label) > metrics.cllr(score, label)


def test_a_weight_is_worth_as_many_copies() -> None:
    score, label = overlapping(1, 20, 15)
    weight = np.random.default_rng(2).integers(0, 4, (6, len(score))).astype(float)
    for metric in (metrics.eer, metrics.min_dcf, metrics.act_dcf, metrics.cllr):
        found = metric(score, label, weight)
        assert found.shape == (6,)
        for row, counts in enumerate(weight.astype(int)):
            copied = metric(np.repeat(score, counts), np.repeat(label, counts))
            assert found[row] == pytest.approx(float(copied)), metric.__name__


def test_a_draw_without_one_class_has_no_value() -> None:
    score, label = trials([-1, 0], [1])
    weight = np.array([[1.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    for metric in (metrics.eer, metrics.min_dcf, metrics.act_dcf, metrics.cllr):
        assert np.isnan(metric(score, label, weight)).tolist() == [True, False], metric.__name__
