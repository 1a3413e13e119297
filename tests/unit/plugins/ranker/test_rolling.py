"""The course of scores, sample by sample, without audio or network."""

import numpy as np
import pytest

from rtemo_plugins.ranker.rolling import ChangeRule, Rolling

pytestmark = pytest.mark.unit

NO_MOOD = np.zeros((3, 0), np.float32)


class Course:
    """Feeds samples of one attribute to one stream among others, and keeps what came of each."""

    def __init__(self, limit_z: float = 4.0, memory_s: float = 60.0, spread: float = 0.2) -> None:
        self.rolling = Rolling(1, 0, memory_s, ChangeRule(np.ones(1), limit_z), 3)
        for row in range(3):
            self.rolling.admit(row)
        self._spread = np.full((1, 1), spread, np.float32)
        self.changes: list[tuple[int, float]] = []
        self.samples = 0

    def take(self, scores) -> "Course":
        for score in np.atleast_1d(scores):
            self.rolling.take(np.array([1]), np.full((1, 1), score, np.float32), self._spread, NO_MOOD[:1])
            change = float(self.rolling.change[1, 0])
            if np.isfinite(change):
                self.changes.append((self.samples, change))
            self.samples += 1
        return self

    def now(self, name: str) -> float:
        return float(getattr(self.rolling, name)[1, 0])


def wobble(count: int, seed: int = 0, size: float = 0.1) -> np.ndarray:
    return size * np.random.default_rng(seed).standard_normal(count)


def test_a_line_has_its_own_slope_and_a_few_wild_samples_do_not_bend_it():
    line = 0.01 * np.arange(60)
    assert Course().take(line).now("trend_per_min") == pytest.approx(1.2, rel=1e-3)
    line[[7, 23, 41, 50]] += 5.0
    assert Course(limit_z=1e9).take(line).now("trend_per_min") == pytest.approx(1.2, rel=0.1)


def test_trend_is_unknown_until_there_are_ten_seconds_of_it():
    course = Course().take(wobble(19))
    assert np.isnan(course.now("trend_per_min"))
    assert np.isfinite(course.take(0.0).now("trend_per_min"))


def test_trend_looks_back_half_a_minute_only():
    course = Course().take(-np.arange(300.0) / 100)
    assert course.take(np.linspace(0, 0.6, 60)).now("trend_per_min") == pytest.approx(120 * 0.6 / 59, rel=1e-3)


def test_percentile_is_the_share_of_the_past_below_now():
    scores = np.random.default_rng(1).uniform(-1, 1, 400)
    for now in (-2.0, -0.5, 0.0, 0.5, 2.0):
        course = Course(limit_z=1e9, memory_s=1e9).take(scores).take(now)
        assert course.now("percentile") == pytest.approx(100 * np.mean(scores[:-15] < now), abs=4.0)


def test_percentile_is_unknown_before_there_is_a_past():
    course = Course().take(wobble(35))
    assert np.isnan(course.now("percentile"))
    assert np.isfinite(course.take(wobble(5)).now("percentile"))


def test_the_present_is_no_part_of_the_past():
    course = Course(limit_z=1e9).take(wobble(100)).take(np.full(10, 2.0))
    assert course.now("percentile") == pytest.approx(100.0)


def test_the_past_is_forgotten_by_half_in_its_memory():
    course = Course(limit_z=1e9, memory_s=60.0).take(np.full(600, -1.0)).take(np.full(120 + 16, 1.0))
    assert course.take(0.0).now("percentile") == pytest.approx(50.0, abs=2.0)


def test_scores_beyond_the_scale_count_as_its_ends():
    course = Course(limit_z=1e9).take(np.full(100, 50.0))
    assert course.take(60.0).now("percentile") == pytest.approx(100.0)
    assert course.take(0.0).now("percentile") == pytest.approx(0.0)


@pytest.mark.parametrize("size", [2.0, -2.0])
def test_a_jump_is_reported_once_with_its_sign_and_size(size):
    course = Course().take(wobble(60)).take(size + wobble(60, 1))
    ((at, change),) = course.changes
    assert at == 60
    assert change == pytest.approx(size, abs=0.3)


def test_a_score_that_creeps_to_its_new_place_is_one_change():
    ramp = 2.0 * (1 - np.exp(-np.arange(60) / 8))
    course = Course().take(wobble(60)).take(ramp + wobble(60, 1))
    assert len(course.changes) == 1


def test_a_change_back_is_reported_too():
    course = Course().take(wobble(40)).take(2.0 + wobble(40, 1)).take(wobble(40, 2))
    assert [np.sign(change) for _, change in course.changes] == [1.0, -1.0]


def test_an_even_voice_changes_nothing():
    assert Course(limit_z=4.0, spread=0.2).take(wobble(2000, size=0.2)).changes == []


def test_probability_of_rising_says_where_now_lies():
    for step, low, high in ((0.0, 0.3, 0.7), (0.4, 0.9, 1.0), (-0.4, 0.0, 0.1)):
        course = Course(limit_z=1e9).take(wobble(60, size=0.02)).take(step)
        assert low < course.now("p_rising") < high
    assert np.isnan(Course().take(wobble(5)).now("p_rising"))


def test_streams_do_not_touch_each_other():
    alone = Course().take(wobble(80))
    rolling = Rolling(1, 0, 60.0, ChangeRule(np.ones(1), 4.0), 3)
    spread = np.full((3, 1), 0.2, np.float32)
    for score in wobble(80):
        rolling.take(np.arange(3), np.array([[5.0], [score], [-score]], np.float32), spread, NO_MOOD)
    for name in ("percentile", "trend_per_min", "p_rising"):
        assert getattr(rolling, name)[1, 0] == alone.now(name)


def test_where_there_are_moods_they_say_when_and_the_scores_what():
    rolling = Rolling(2, 3, 60.0, ChangeRule(np.ones(2), 4.0), 1)
    spread = np.full((1, 2), 0.2, np.float32)
    changes = []
    for k in range(120):
        mood = np.array([[0.0, 6.0 * (k >= 60), 0.0]], np.float32)
        score = np.array([[0.8 * (k >= 60), 3.0 * (k == 30)]], np.float32)  # a score that jumps alone is no change
        rolling.take(np.array([0]), score, spread, mood)
        if np.isfinite(rolling.change[0]).any():
            changes.append((k, rolling.change[0].copy()))
    ((at, change),) = changes
    assert at == 60
    assert change[0] == pytest.approx(0.8, abs=0.1)
    assert np.isnan(change[1])
