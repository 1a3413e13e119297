"""Agreement beyond chance, against examples that were published with their results."""

import numpy as np
import pytest

from rtemo.scoring.agreement import fleiss_kappa, krippendorff_alpha

pytestmark = pytest.mark.unit

FLEISS = [
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]
"""Ten units, fourteen raters, five classes, kappa .210: the example by which Fleiss' kappa is most often explained."""

X = np.nan
KRIPPENDORFF = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, X, X, X],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, X, 3],
        [X, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, X],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, X],
    ]
).T
"""Twelve units, four observers, of Krippendorff 2011, section D: nominal .743, interval .849."""


def test_kappa_is_that_of_the_published_example():
    assert fleiss_kappa(np.array(FLEISS)) == pytest.approx(0.210, abs=5e-4)


@pytest.mark.parametrize(("metric", "alpha"), [("nominal", 0.743), ("interval", 0.849)])
def test_alpha_is_that_of_the_published_example(metric, alpha):
    assert krippendorff_alpha(KRIPPENDORFF, metric) == pytest.approx(alpha, abs=5e-4)


def test_units_of_one_rater_change_nothing():
    lonely = np.vstack([KRIPPENDORFF, [[X, 5, X, X], [X, X, X, X]]])
    assert krippendorff_alpha(lonely) == krippendorff_alpha(KRIPPENDORFF)
    assert fleiss_kappa(np.vstack([FLEISS, [[0, 1, 0, 0, 0]]])) == fleiss_kappa(np.array(FLEISS))


def test_raters_who_always_agree_have_one_and_who_guess_have_nothing():
    random = np.random.default_rng(0)
    truth = random.integers(1, 8, 400).astype(float)
    assert krippendorff_alpha(np.stack([truth] * 3, 1)) == pytest.approx(1.0)
    guesses = random.integers(1, 8, (4000, 3)).astype(float)
    assert krippendorff_alpha(guesses) == pytest.approx(0.0, abs=0.03)


def test_agreement_of_nobody_is_no_number():
    assert np.isnan(fleiss_kappa(np.zeros((0, 3), np.int64)))
    assert np.isnan(krippendorff_alpha(np.full((4, 2), np.nan)))
    assert np.isnan(krippendorff_alpha(np.full((4, 2), 3.0)))  # where all say the same, chance would have them, too


def test_alpha_is_that_of_the_variances_that_made_the_ratings():
    random = np.random.default_rng(1)
    units = random.normal(0.0, 1.0, (3000, 1))
    ratings = units + random.normal(0.0, 1.0, (3000, 5))
    assert krippendorff_alpha(ratings) == pytest.approx(0.5, abs=0.03)  # 1 / (1 + 1)
