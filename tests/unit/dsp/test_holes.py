"""What is left of windows of which stretches are left out."""

import numpy as np
import pytest

from rtemo.dsp.holes import with_holes

pytestmark = pytest.mark.unit


def test_holes_leave_most_of_a_window_and_short_ones_alone() -> None:
    there = np.ones((40, 50), np.float32)
    there[20:, 8:] = 0
    left = with_holes(there, 1.0, np.random.default_rng(0)).sum(1)
    assert (left[20:] == 8).all()
    assert (left[:20] < 50).all()
    assert (left[:20] >= 50 - 2 * 10).all()


def test_holes_leave_most_of_a_window_and_nothing_of_a_short_one_out() -> None:
    there = np.zeros((200, 150), "f4")
    there[:, :100] = 1
    there[0, 8:] = 0
    holed = with_holes(there, 1.0, np.random.default_rng(2))
    np.testing.assert_array_equal(holed[0], there[0])
    left = holed[1:].sum(1)
    assert left.min() >= 60
    assert left.max() < 100
