"""Emotion before and after enhancement: what is drawn, heard once, and compared clip by clip."""

import math
from pathlib import Path

import numpy as np
import pytest

from bench.quality.enhancement.emotion import CLEAN, CONDITIONS_DB, Recall, _in_turn, difference, hear_all
from bench.quality.enhancement.mixtures import Mixture, mix
from bench.quality.enhancement.systems import System
from bench.sound import babble
from rtemo.api import EMOTIONS

pytestmark = pytest.mark.unit

HAPPY, SAD = EMOTIONS.index("happy"), EMOTIONS.index("sad")


def batch(clips: int = 8) -> list[Mixture]:
    made = []
    for clip in range(clips):
        emotion = ("happy", "sad")[clip % 2]
        for snr_db in CONDITIONS_DB:
            sound = np.array([clip, snr_db if math.isfinite(snr_db) else 99], np.float32)
            made.append(Mixture(clip, "nemo", "pl", "s", emotion, "sound", "rain", "dev", snr_db, sound, sound))
    return made


def logits_of(said: list[int]) -> np.ndarray:
    return np.eye(len(EMOTIONS), dtype=np.float32)[said]


def test_emotions_take_turns_and_so_do_talkers_within_each() -> None:
    rows = [
        {"emotion": e, "speaker": s, "path": f"{e}{s}{k}"} for e in ("happy", "sad") for s in "ab" for k in range(3)
    ]
    ordered = _in_turn(rows, np.random.default_rng(0))
    assert [r["emotion"] for r in ordered] == ["happy", "sad"] * 6
    assert {(r["emotion"], r["speaker"]) for r in ordered[:4]} == {(e, s) for e in ("happy", "sad") for s in "ab"}
    assert len({r["path"] for r in ordered}) == 12


def test_recall_counts_only_the_classes_of_the_corpus() -> None:
    mixtures = batch()
    logits = logits_of([EMOTIONS.index(m.emotion) for m in mixtures])
    logits[:, EMOTIONS.index("angry")] += 2.0  # the corpus has nobody angry
    recall = Recall(mixtures, logits)
    assert recall.uar("nemo", CLEAN) == 1.0
    assert recall.mean(CONDITIONS_DB) == 1.0


def test_a_system_that_makes_everybody_sad_is_seen_to_lose_half() -> None:
    mixtures = batch(40)
    right = Recall(mixtures, logits_of([EMOTIONS.index(m.emotion) for m in mixtures]))
    sad = Recall(mixtures, logits_of([SAD] * len(mixtures)))
    change, low, high = difference(sad, right, CONDITIONS_DB[1:])
    assert change == pytest.approx(-0.5)
    assert low <= -0.5 <= high < 0


def test_the_same_system_differs_by_nothing() -> None:
    mixtures = batch()
    random = np.random.default_rng(3)
    recall = Recall(mixtures, random.normal(size=(len(mixtures), len(EMOTIONS))).astype(np.float32))
    assert difference(recall, recall, CONDITIONS_DB) == (0.0, 0.0, 0.0)


class Hearing:
    """A recogniser that counts what it hears."""

    version = "1"

    def __init__(self) -> None:
        self.clips = 0

    def __call__(self, clips: list[np.ndarray]) -> np.ndarray:
        self.clips += len(clips)
        return np.stack([np.full(len(EMOTIONS), clip[0], np.float32) for clip in clips])


def test_what_was_heard_is_not_heard_again_unless_the_system_has_changed(tmp_path: Path) -> None:
    mixtures = batch()
    for fingerprint, expected in (("a", len(mixtures)), ("a", 0), ("b", len(mixtures)), ("", len(mixtures))):
        recogniser = Hearing()
        system = System("own", lambda samples: samples, 10.0, 20.0, fingerprint)
        logits = hear_all(system, recogniser, mixtures, tmp_path)
        assert recogniser.clips == expected
        np.testing.assert_array_equal(logits[:, 0], [m.clip for m in mixtures])


def test_speech_at_an_endless_ratio_is_clean() -> None:
    speech = babble(1.0, 2)
    clean, noisy = mix(speech, np.ones_like(speech), CLEAN)
    np.testing.assert_array_equal(clean, noisy)
