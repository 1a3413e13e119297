"""How orders are measured: against SciPy, by hand, and on voices whose order and errors are known."""

import numpy as np
import pytest

stats = pytest.importorskip("scipy.stats", reason="scipy is not installed: the bench cannot be tested")
pytest.importorskip("torch", reason="torch is not installed: the bench cannot be tested")

from bench.quality.rank.metrics import bootstrap, mean_of, order_of  # noqa: E402
from bench.quality.rank.spread import error_of, errors, fit_error, moods, promised  # noqa: E402
from bench.quality.rank.tasks import TASKS  # noqa: E402
from rtemo_models.kit.corpora.clip import Clip  # noqa: E402
from rtemo_models.systems.ranker.net import ATTRIBUTES  # noqa: E402

pytestmark = pytest.mark.unit


def test_tau_is_scipys_with_ties_on_both_sides() -> None:
    random = np.random.default_rng(0)
    for _ in range(20):
        scores, labels = random.integers(0, 6, 30).astype(float), random.integers(0, 3, 30).astype(float)
        found = order_of(scores, labels)
        assert found is not None
        assert found.tau == pytest.approx(stats.kendalltau(scores, labels).statistic)


def test_near_ties_are_not_compared_and_a_tie_of_scores_is_half_right() -> None:
    labels = np.array([0.7, 0.6, 0.0])
    found = order_of(np.array([1.0, 2.0, 1.0]), labels, gap=0.25)  # of two pairs one is right, one a tie
    assert found is not None
    assert found.accuracy == 0.75
    assert order_of(np.array([1.0, 2.0]), labels[:2], gap=0.25) is None


def test_a_right_order_is_one_and_a_wrong_one_minus_one() -> None:
    labels = np.arange(5.0)
    for sign, tau, accuracy in ((1, 1.0, 1.0), (-1, -1.0, 0.0)):
        found = order_of(sign * labels, labels)
        assert found is not None
        assert (found.tau, found.accuracy) == (tau, accuracy)


def test_intervals_hold_the_mean_and_narrow_with_speakers() -> None:
    random = np.random.default_rng(1)
    widths = []
    for speakers in (5, 80):
        values, weights = random.normal(0.5, 0.2, speakers), np.ones(speakers)
        value, drawn = bootstrap([values], [weights])
        found = mean_of(value, drawn)
        assert found.low < found.value < found.high
        assert found.value == pytest.approx(values.mean())
        widths.append(found.high - found.low)
    assert widths[1] < widths[0] / 2


def test_systems_are_drawn_together_so_that_a_constant_lead_has_no_spread() -> None:
    values, weights = np.random.default_rng(2).normal(0.5, 0.2, 9), np.arange(1.0, 10.0)
    _, one = bootstrap([values], [weights])
    _, other = bootstrap([values + 0.1], [weights])
    np.testing.assert_allclose(other - one, 0.1)


def dev() -> list[Clip]:
    """Speakers of two corpora with every emotion several times."""
    made = []
    for speaker in range(6):
        for emotion in ("neutral", "happy", "sad", "angry"):
            for level in ("",) if emotion == "neutral" else ("normal", "strong"):
                made += [Clip("", "ravdess", f"r{speaker}", "dev", emotion, level, 2.0)] * 4
    return made


def test_intensity_is_compared_within_an_emotion() -> None:
    clips = dev()
    task = next(t for t in TASKS if t.name == "RAVDESS intensity")
    loud = {"happy": 10.0, "sad": 0.0, "angry": 20.0, "neutral": 5.0}
    scores = np.zeros((len(clips), 3), np.float32)
    scores[:, ATTRIBUTES.index("intensity")] = [loud[c.emotion] + (c.level == "strong") for c in clips]
    found = task.speakers(clips, scores, "ravdess")
    assert len(found) == 6
    assert all(o.accuracy == 1.0 for o in found.values())


def test_a_speakers_own_height_does_not_count() -> None:
    clips = dev()
    task = next(t for t in TASKS if t.name == "valence order")
    scores = np.zeros((len(clips), 3), np.float32)
    scores[:, 1] = [c.valence_arousal[0] + 100 * int(c.speaker[1]) for c in clips]
    assert all(o.accuracy == 1.0 for o in task.speakers(clips, scores, "ravdess").values())


def noisy(stays: float, step: float, of_speakers: float) -> tuple[list[Clip], np.ndarray, np.ndarray]:
    """Scores that are the label, a height of each speaker and an error that falls with speech."""
    random = np.random.default_rng(3)
    clips = [c for c in dev() for _ in range(25)]
    speech = np.tile(np.array([2.0, 5.0, 20.0, 100.0], np.float32), (len(clips), 1))
    heights = {f"r{k}": h for k, h in enumerate(random.normal(0, 1, 6))}
    scale = of_speakers / np.std(list(heights.values()))
    error = random.normal(size=(len(clips), 4, 3)) * np.sqrt(stays + step / speech)[..., None]
    label = np.array([2 * c.valence_arousal[1] + scale * heights[c.speaker] for c in clips])
    return clips, (label[:, None, None] + error).astype(np.float32), speech


def test_the_spread_is_found_again_from_scores_that_scatter_so() -> None:
    clips, scores, speech = noisy(0.2, 3.0, 0.0)
    error, share = error_of(clips, [scores], [speech])
    stays, step = error["arousal"]
    assert stays == pytest.approx(0.2, rel=0.25)
    assert step == pytest.approx(3.0, rel=0.25)
    assert share["arousal"] == pytest.approx(1.0, abs=0.05)


def test_what_is_a_speakers_own_height_leaves_when_a_voice_is_compared_with_itself() -> None:
    clips, scores, speech = noisy(0.2, 0.0, 0.8)
    error, share = error_of(clips, [scores], [speech])
    assert share["arousal"] == pytest.approx(np.sqrt(0.2 / (0.2 + 0.64)), rel=0.2)
    assert error["arousal"][0] == pytest.approx(0.84, rel=0.3)


def test_promises_are_kept_where_errors_are_what_the_spread_says() -> None:
    clips, scores, speech = noisy(1.0, 0.0, 0.0)
    error, share = dict.fromkeys(ATTRIBUTES, (1.0, 0.0)), dict.fromkeys(ATTRIBUTES, 1.0)
    for said, kept, count in promised(clips, scores, speech, error, share)["arousal"]:
        assert kept > said - 0.1  # labels lie apart, so an order that is seen is likelier right than it says
        assert count > 50


def test_small_groups_say_nothing_of_errors_and_a_clip_is_compared_with_the_others() -> None:
    group = np.array([0, 0, 0, 0, 1, 1, -1])
    ends = np.array([1.0, 2.0, 3.0, 6.0, 0.0, 9.0, 5.0])
    found = errors(ends[None], ends, group)[0]
    assert np.isnan(found[4:]).all()
    assert found[:4].sum() / 3 * 3 / 4 == pytest.approx(np.mean((ends[:4] - 3) ** 2) * 4 / 3)


def test_moods_are_of_a_corpus_and_label_and_of_a_speaker_when_asked() -> None:
    clips = dev()
    assert len(np.unique(moods(clips, 1, False))) == 4
    assert len(np.unique(moods(clips, 1, True))) == 4 * 6


def test_a_fit_without_speech_dependence_stays_flat() -> None:
    random = np.random.default_rng(5)
    stays, step = fit_error(random.chisquare(1, 5000) * 0.5, random.uniform(1, 100, 5000))
    assert stays == pytest.approx(0.5, rel=0.1)
    assert step < 0.5
