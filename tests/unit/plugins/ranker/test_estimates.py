"""What another plugin tells of arousal and valence moves the scores while it is fresh, and no further."""

from types import SimpleNamespace

import numpy as np
import pytest

from rtemo.api import EMOTIONS, BlockEvent, Emotion
from rtemo_plugins.ranker.estimates import Estimates

pytestmark = pytest.mark.unit

ATTRIBUTES = ("arousal", "valence", "intensity")
CARD = SimpleNamespace(
    calibration={
        "estimate_arousal_gain": 2.0,
        "estimate_arousal_offset": -0.5,
        "estimate_arousal_share": 0.5,
        "estimate_arousal_spread_share": 0.8,
    }
)
OWN, SPREAD = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
ROWS = np.array([0, 1])


def told(row, arousal, plugin="large", speech_s=2.0, start_sample=0):
    probabilities = dict.fromkeys(EMOTIONS, 1 / len(EMOTIONS))
    data = Emotion(
        label="unsure", probabilities=probabilities, arousal=arousal, valence=0.9, confidence=0.1, speech_s=speech_s,
        trigger="refresh", is_final=False,
    )  # fmt: skip
    return BlockEvent(row, None, plugin, data, start_sample, start_sample + 16_000)


def estimates(card=CARD):
    found = Estimates(card, ATTRIBUTES, ("large",), 4)
    for row in range(2):
        found.admit(row)
    return found


def spoken(*hops):
    return np.array([*hops, 0, 0][:4], np.int64)


def test_a_fresh_estimate_moves_the_score_by_its_share_and_the_others_stay():
    found = estimates()
    assert found.hear([told(1, 0.75)], spoken(100, 100)).tolist() == [1]
    score, spread = found.mixed(ROWS, OWN, SPREAD, np.array([100, 100]))
    np.testing.assert_allclose(score, [[0, 0, 0], [0.5, 0, 0]], atol=1e-6)
    np.testing.assert_allclose(spread, [[1, 1, 1], [0.8, 1, 1]], atol=1e-6)


def test_an_estimate_fades_with_the_speech_that_follows_it():
    found = estimates()
    found.hear([told(0, 0.75)], spoken(100))
    left = [found.mixed(ROWS[:1], OWN[:1], SPREAD[:1], np.array([hops]))[0][0, 0] for hops in (100, 400, 3_000)]
    assert left[1] == pytest.approx(left[0] / np.e, rel=1e-3)
    assert left[2] < 0.001


@pytest.mark.parametrize("event", [told(0, 0.75, "small"), told(None, 0.75), told(0, float("nan"))])
def test_what_others_tell_or_of_nobody_or_no_number_is_not_heard(event):
    found = estimates()
    assert not len(found.hear([event], spoken(100)))
    assert found.mixed(ROWS, OWN, SPREAD, np.array([100, 100]))[0] is OWN


def test_an_estimate_moves_with_its_stream_and_ends_with_it():
    found = estimates()
    found.hear([told(1, 0.75)], spoken(100, 100))
    found.retire(0, 1)
    assert found.mixed(ROWS[:1], OWN[:1], SPREAD[:1], np.array([100]))[0][0, 0] == pytest.approx(0.5)
    found.admit(1)
    assert found.mixed(np.array([1]), OWN[:1], SPREAD[:1], np.array([100]))[0][0, 0] == 0.0


def test_a_bundle_that_does_not_know_how_to_read_estimates_leaves_its_scores_alone():
    found = estimates(SimpleNamespace(calibration={}))
    found.hear([told(0, 0.75)], spoken(100))
    score, spread = found.mixed(ROWS, OWN, SPREAD, np.array([100, 100]))
    np.testing.assert_array_equal(score, OWN)
    np.testing.assert_array_equal(spread, SPREAD)


def test_turns_are_averaged_by_their_seconds_and_the_newest_of_a_turn_replaces_the_one_before():
    found = estimates()

    def score_after(*events):
        found.admit(0)
        for event in events:
            found.hear([event], spoken(100))
        return found.mixed(ROWS[:1], OWN[:1], SPREAD[:1], np.array([100]))[0][0, 0]

    alone = score_after(told(0, 0.75, speech_s=4.0))
    assert score_after(told(0, -0.5, speech_s=1.0), told(0, 0.75, speech_s=4.0)) == pytest.approx(alone)
    word = told(0, -0.5, speech_s=0.5, start_sample=99_000)
    after_word = score_after(told(0, 0.75, speech_s=4.0), word)
    kept = 4.0 * np.exp(-0.5 / 5.0)
    assert after_word == pytest.approx(0.5 * (kept * 1.0 + 0.5 * -1.5) / (kept + 0.5), rel=1e-4)
    assert score_after(word) == pytest.approx(-0.75)
