"""What is usual for a voice: the prior at first, its own past before long."""

import math

import numpy as np
import pytest

from rtemo.cues.baseline import LEVEL, PITCH, PRIORS, RATE, Baseline, Prior

pytestmark = pytest.mark.unit


def test_before_anything_was_heard_a_pitch_is_held_against_voices_at_large() -> None:
    prior = PRIORS[PITCH]
    usual_hz = 100.0 * 2 ** (prior.mean / 12)
    spread = math.hypot(prior.between, prior.within)
    deviation = Baseline().compare(PITCH, usual_hz * 2 ** (spread / 12))
    assert deviation.z == pytest.approx(1.0)
    assert deviation.change == pytest.approx(spread)
    assert deviation.reference == "prior"


def test_after_turns_of_its_own_a_voice_is_held_against_itself() -> None:
    baseline = Baseline()
    for _ in range(10):
        baseline.add({PITCH: 240.0})
    assert abs(baseline.compare(PITCH, 240.0).z) < 0.3
    deviation = baseline.compare(PITCH, 240.0 * 2 ** (6 / 12))
    assert deviation.reference == "self"
    assert deviation.change == pytest.approx(6.0, abs=0.6)
    assert deviation.z > 1.5


def test_a_level_says_nothing_until_the_microphone_has_been_heard() -> None:
    baseline = Baseline()
    assert baseline.compare(LEVEL, -60.0) == (0.0, 0.0, "prior")
    baseline.add({LEVEL: -30.0})
    deviation = baseline.compare(LEVEL, -18.0)
    assert deviation.reference == "self"
    assert deviation.change == pytest.approx(12.0)
    assert deviation.z > 1.0


def test_a_voice_that_varies_much_has_to_vary_more_to_stand_out() -> None:
    steady, lively = Baseline(), Baseline()
    for number in range(20):
        steady.add({RATE: 4.0})
        lively.add({RATE: 4.0 + 2.0 * (-1) ** number})
    assert steady.compare(RATE, 6.0).z > 1.5 * lively.compare(RATE, 6.0).z


def test_what_was_long_ago_is_forgotten() -> None:
    baseline = Baseline()
    for value in [200.0] * 60 + [120.0] * 120:
        baseline.add({PITCH: value})
    assert abs(baseline.compare(PITCH, 120.0).change) < 1.0


def test_deviations_of_voices_drawn_from_the_prior_are_standard_normal_whatever_the_turn() -> None:
    random = np.random.default_rng(3)
    priors = {RATE: Prior(4.0, 1.0, 0.5)}
    deviations = np.zeros((2000, 4))
    for speaker in deviations:
        baseline, mean = Baseline(priors), random.normal(4.0, 1.0)
        for turn in range(4):
            value = random.normal(mean, 0.5)
            speaker[turn] = baseline.compare(RATE, value).z
            baseline.add({RATE: value})
    spread = deviations.std(axis=0)  # a little wide: the deviation within a speaker is estimated too
    assert spread == pytest.approx(np.ones(4), abs=0.15)
    assert deviations.mean(axis=0) == pytest.approx(np.zeros(4), abs=0.08)
