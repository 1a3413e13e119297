"""Estimators on pairs whose mutual information is known, and what the generator's parts owe each other."""

import math

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")

import torch

from rtemo_models.systems.mi_augment.align import contrast
from rtemo_models.systems.mi_augment.augment import neighbours
from rtemo_models.systems.mi_augment.data import folds_of
from rtemo_models.systems.mi_augment.generate import Features, Made, gated, make, train_generator
from rtemo_models.systems.mi_augment.mi import ESTIMATORS, info_nce, measure, pointwise
from rtemo_models.systems.mi_augment.score import area
from rtemo_models.systems.mi_augment.settings import Generate

pytestmark = pytest.mark.unit

AXES = 3
NATS = 1.0


def gaussians(nats: float, seed: int) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Pairs of normal values that correlate pair by pair, such that their mutual information is `nats`; and r²."""
    square = 1 - math.exp(-2 * nats / AXES)
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(6000, AXES, generator=random)
    noise = torch.randn(6000, AXES, generator=random)
    return x, math.sqrt(square) * x + math.sqrt(1 - square) * noise, square


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("kind", [kind for kind in ESTIMATORS if kind != "CLUB"])
def test_a_lower_bound_comes_near_the_truth_from_below(kind: str) -> None:
    x, y, _ = gaussians(NATS, 1)
    assert 0.75 * NATS < measure(kind, x, y, steps=300) < 1.08 * NATS


def test_club_is_above_the_truth_by_as_much_as_it_must_be_for_normal_values() -> None:
    x, y, square = gaussians(NATS, 2)
    exact = AXES * square / (1 - square)
    assert exact > NATS
    assert measure("CLUB", x, y, steps=300) == pytest.approx(exact, rel=0.2)


@pytest.mark.parametrize("kind", ESTIMATORS)
def test_of_what_is_independent_nothing_is_told(kind: str) -> None:
    x, y, _ = gaussians(NATS, 3)
    assert abs(measure(kind, x, y.flip(0), steps=150)) < 0.12


def test_info_nce_cannot_tell_more_than_the_batch_allows_and_is_the_mean_of_its_points() -> None:
    scores = torch.eye(16) * 100
    assert float(info_nce(scores)) == pytest.approx(math.log(16))
    some = torch.randn(16, 16)
    assert float(pointwise(some).mean()) == pytest.approx(float(info_nce(some)), abs=1e-5)


def test_clips_of_one_sentence_are_right_for_each_other() -> None:
    h = torch.nn.functional.normalize(torch.randn(6, 4), dim=1)
    sentence = torch.eye(2)[torch.tensor([0, 0, 0, 1, 1, 1])]
    t = torch.eye(2, 4)[torch.tensor([0, 0, 0, 1, 1, 1])]
    told = contrast(t, t, sentence)
    assert float(told) < float(contrast(h, t, sentence))
    assert float(told) == pytest.approx(math.log(3), abs=0.01), "three are as right as one another"
    many = torch.nn.functional.normalize(torch.randn(300, 384), dim=1)[torch.arange(600) % 300]
    h, t = torch.randn(2, 600, 8)
    assert torch.isfinite(contrast(h, t, many)), "a sentence is always its own, however many there are"


def features(count: int = 120) -> Features:
    random = torch.Generator().manual_seed(0)
    label = torch.arange(count) % 3
    h = torch.randn(count, 6, generator=random) + 3 * torch.eye(3, 6)[label]
    t = torch.randn(count, 6, generator=random)
    has = torch.arange(count) % 2 == 0
    weights = torch.full((count,), 1 / count, dtype=torch.float64)
    return Features(h, t, has, label, torch.zeros(count, dtype=torch.long), weights, 1)


def test_made_features_lie_with_the_class_that_they_are_told() -> None:
    real = features()
    settings = Generate(noise=4, hidden=32, steps=250, batch=64, information=1.0, words_dropped=0.5, rate=2e-3)
    made = make(train_generator(real, settings, 0, 1.0, uses_words=True), real, 300, uses_words=True)
    centres = torch.stack([real.h[real.label == c].mean(0) for c in range(3)])
    assert (torch.cdist(made.h, centres).argmin(1) == made.label).float().mean() > 0.8
    pair = train_generator(real, settings, 0, 1.0, uses_words=True, is_pair=True)
    both = make(pair, real, 10, uses_words=True)
    assert both.t is not None
    assert both.t.shape == both.h.shape == (10, 6)


def test_the_gate_keeps_what_fits_and_all_where_hardly_any_does() -> None:
    real = features()
    made = Made(real.h, None, real.label, real.corpus, real.t, real.has_text)
    fit = torch.linspace(-1, 1, len(real.h))
    assert len(gated(made, fit, 0.0).h) == len(real.h) // 2
    assert len(gated(made, fit, 0.99).h) == len(real.h)


def test_a_neighbour_is_of_the_same_class_and_another_clip() -> None:
    real = features()
    near = neighbours(real.h, real)
    assert (real.label[near] == real.label[:, None]).all()
    assert not (near == torch.arange(len(near))[:, None]).any()


def test_no_speaker_is_in_two_folds_and_every_corpus_is_in_all() -> None:
    speakers = [f"{corpus}/{k % 7}" for corpus in "ab" for k in range(70)]
    fold = folds_of(speakers, 3)
    for name in set(speakers):
        assert len({int(f) for f, s in zip(fold, speakers, strict=True) if s == name}) == 1
    assert all(set(fold[[s.startswith(c) for s in speakers]]) == {0, 1, 2} for c in "ab")


def test_the_area_is_the_chance_that_what_is_meant_scores_higher() -> None:
    assert area(np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])) == pytest.approx(0.75)
