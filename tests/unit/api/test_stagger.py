"""Which waiting steps a tick takes."""

import numpy as np
import pytest

from rtemo.api import BATCH_ROWS, choose_steps

pytestmark = pytest.mark.unit

SLACK_HOPS = 3


def ticks_of(arrivals: list[int], **options: int) -> list[int]:
    """Let so many steps become complete at each tick; give how many each tick takes, and fail when one is late."""
    waited = np.zeros(0, np.int64)
    taken = []
    for arriving in arrivals:
        waited = np.concatenate([waited + 1, np.zeros(arriving, np.int64)])
        assert (waited <= SLACK_HOPS).all(), "a step was not computed before the next was complete"
        chosen = choose_steps(waited, SLACK_HOPS, **options)
        assert (np.diff(chosen) > 0).all()
        taken.append(len(chosen))
        waited = np.delete(waited, chosen)
    return taken


@pytest.mark.parametrize(
    ("streams", "taken"),
    [
        (0, [0, 0, 0, 0]),
        (1, [1, 0, 0, 0]),
        (BATCH_ROWS, [16, 0, 0, 0]),
        (40, [16, 16, 8, 0]),
        (64, [16, 16, 16, 16]),
        (100, [25, 25, 25, 25]),
        (257, [65, 64, 64, 64]),
    ],
)
def test_steps_complete_at_once_share_batches_and_then_spread_evenly(streams, taken):
    assert ticks_of([streams, 0, 0, 0] * 5) == taken * 5


def test_streams_that_began_at_any_time_load_every_tick_alike():
    random = np.random.default_rng(0)
    arrivals = np.bincount(random.integers(0, 4, 300), minlength=4).tolist()
    taken = ticks_of(arrivals * 20)[40:]
    assert sum(taken) == 300 * 10
    assert max(taken) - min(taken) <= 2


def test_no_step_is_late_whatever_comes():
    random = np.random.default_rng(1)
    for _ in range(50):
        ticks_of((random.integers(0, 120, 40) * random.integers(0, 2, 40)).tolist())


def test_those_that_waited_longest_go_first():
    waited = np.array([0, 2] * 20)
    assert (choose_steps(waited, SLACK_HOPS)[:16] % 2 == 1).all()


def test_small_batches_are_patient_and_nothing_is_late_for_it():
    assert ticks_of([1, 0, 0, 0] * 3, batch_rows=2, patience_hops=2) == [0, 0, 1, 0] * 3
    assert ticks_of([1, 0, 1, 0] * 3, batch_rows=2, patience_hops=2)[4:] == [0, 0, 2, 0] * 2


def test_no_tick_takes_more_than_its_share_whenever_streams_began():
    random = np.random.default_rng(2)
    for streams in (1, 2, 3, 5, 8, 31, 64, 201):
        for _ in range(20):
            phases = random.integers(0, 4, streams) if random.random() < 0.7 else np.zeros(streams, np.int64)
            arrivals = np.bincount(phases, minlength=4).tolist()
            taken = ticks_of(arrivals * 8, batch_rows=2, patience_hops=2)
            assert max(taken) <= max(2, -(-streams // 4))
