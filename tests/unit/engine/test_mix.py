"""Audio goes from what a plugin makes to what came in, and back, without a click."""

import numpy as np
import pytest
from numpy.typing import NDArray

from rtemo.engine.delay import AudioDelay
from rtemo.engine.mix import Mix

pytestmark = pytest.mark.unit

HOP, LATE = 160, 240


class Player:
    """A tone of which the plugin makes half as much, equally late."""

    def __init__(self) -> None:
        self.mix = Mix(HOP)
        self._plain, self._made = AudioDelay(1, HOP, LATE), AudioDelay(1, HOP, LATE)
        self._at = 0
        self.out: list[NDArray[np.float32]] = []

    def play(self, hops: int) -> NDArray[np.float32]:
        start = len(self.out)
        for _ in range(hops):
            hop = tone(self._at, HOP)[None]
            self._at += HOP
            made = hop / 2
            self._made.exchange(made)
            self._plain.push(hop)
            if not self.mix.is_idle:
                self.mix.apply(made, self._plain)
            self.out.append(made[0])
        return np.concatenate(self.out[start:])


def tone(start: int, count: int) -> NDArray[np.float32]:
    return np.sin(2 * np.pi * 200 / 16_000 * np.arange(start, start + count)).astype(np.float32)


STEEPEST = 2 * np.pi * 200 / 16_000
"""Of the tone, per sample."""


def test_audio_goes_to_plain_and_back_at_the_same_delay_without_a_click() -> None:
    player = Player()
    player.play(10)
    player.mix.leave()
    assert not player.mix.is_plain, "one hop more is made, over which it fades"
    player.play(1)
    assert player.mix.is_plain
    np.testing.assert_array_equal(player.play(10), tone(11 * HOP - LATE, 10 * HOP))
    player.mix.come_back()
    assert not player.mix.is_plain, "it is made again"
    assert not player.mix.is_idle, "but not heard yet"
    np.testing.assert_array_equal(player.play(99), tone(21 * HOP - LATE, 99 * HOP))
    player.play(1)
    assert player.mix.is_idle
    np.testing.assert_array_equal(player.play(10), tone(121 * HOP - LATE, 10 * HOP) / 2)
    steps = np.abs(np.diff(np.concatenate(player.out)[LATE + 1 :]))
    assert steps.max() < STEEPEST + 0.5 / HOP


def test_what_comes_back_and_goes_again_before_it_is_heard_was_never_heard() -> None:
    player = Player()
    player.play(10)
    player.mix.leave()
    player.play(5)
    player.mix.come_back()
    player.play(50)
    player.mix.leave()
    assert player.mix.is_plain
    np.testing.assert_array_equal(player.play(10), tone(65 * HOP - LATE, 10 * HOP))


def test_what_goes_and_comes_back_between_two_hops_never_went() -> None:
    player = Player()
    player.play(10)
    player.mix.leave()
    player.mix.come_back()
    assert player.mix.is_idle
    np.testing.assert_array_equal(player.play(10), tone(10 * HOP - LATE, 10 * HOP) / 2)
