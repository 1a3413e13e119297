"""Which expert is asked."""

import numpy as np
import pytest

from rtemo.api import EMOTIONS, EXPERTS
from rtemo_plugins.gem.gate import move_gate, sharpen_gate

pytestmark = pytest.mark.unit


def posterior(**shares: float) -> np.ndarray:
    return np.array([shares.get(name, 0.0) for name in EMOTIONS], np.float32)


def moved(gate, *posteriors: np.ndarray) -> np.ndarray:
    after = np.array(gate, np.float32)
    for one in posteriors:
        move_gate(one, after)
    return after


@pytest.mark.parametrize(
    ("emotion", "expert"),
    [
        ("neutral", "neutral"),
        ("calm", "neutral"),
        ("happy", "happy"),
        ("surprise", "happy"),
        ("angry", "angry"),
        ("disgust", "angry"),
        ("sad", "sad"),
        ("fear", "sad"),
    ],
)
def test_every_emotion_asks_its_expert(emotion, expert):
    gate = moved([0.25] * 4, *[posterior(**{emotion: 1.0})] * 40)
    assert EXPERTS[int(gate.argmax())] == expert
    assert gate.max() == pytest.approx(1.0, abs=1e-4)


def test_three_tenths_are_new():
    gate = moved([0.25] * 4, posterior(angry=0.6, sad=0.2, fear=0.2))
    np.testing.assert_allclose(gate, [0.175, 0.175, 0.355, 0.295], rtol=1e-6)


@pytest.mark.parametrize("unknown", [np.full(8, np.nan, np.float32), np.zeros(8, np.float32)])
def test_what_is_not_known_asks_all_alike(unknown):
    np.testing.assert_allclose(moved([0.25] * 4, unknown, unknown), [0.25] * 4)
    gate = moved([0.0, 0.0, 1.0, 0.0], *[unknown] * 30)
    np.testing.assert_allclose(gate, [0.25] * 4, atol=1e-4)


def test_a_gate_sums_to_one_whatever_it_was_told():
    random = np.random.default_rng(0)
    gate = np.full(4, 0.25, np.float32)
    for _ in range(10_000):
        told = (random.random(8) * random.uniform(0.1, 3)).astype(np.float32)
        move_gate(told if random.random() < 0.9 else np.full(8, np.nan, np.float32), gate)
    assert gate.sum() == pytest.approx(1.0, abs=1e-5)


def test_experts_are_mixed_by_a_sharper_gate_that_keeps_its_order_and_its_sum():
    sharp = np.zeros(4, np.float32)
    sharpen_gate(np.array([0.1, 0.2, 0.3, 0.4], np.float32), sharp)
    np.testing.assert_allclose(sharp, np.array([1, 16, 81, 256]) / 354, rtol=1e-5)
    sharpen_gate(np.full(4, 0.25, np.float32), sharp)
    np.testing.assert_allclose(sharp, 0.25)
    sharpen_gate(np.array([0.0, 0.0, 0.0, 1.0], np.float32), sharp)
    np.testing.assert_allclose(sharp, [0, 0, 0, 1])
