"""What one hop of each installed plugin costs: `pytest tests/contract/test_speed.py --benchmark-enable`."""

import numpy as np
import pytest

from rtemo.api import Block
from tests.contract.harness import HOP, Context, with_required
from tests.contract.test_plugins import CASES
from tests.fakes.voice import voice

pytestmark = pytest.mark.contract


@pytest.mark.parametrize("count", [1, 64])
@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join([case.name, *case.options.values()]))
def test_speed_of_one_hop(case, count, benchmark):
    chain = with_required(case.make())
    processors = [plugin.open(Context(), count) for plugin in chain]
    marks = {
        mark.name: np.full((count, *mark.shape), mark.unknown, mark.dtype)
        for plugin in chain
        for mark in plugin.spec.provides
    }
    for row in range(count):
        for processor in processors:
            processor.admit(row)
    sounds = [voice(8.0, seed) for seed in range(min(count, 8))]
    rows = [np.roll(sounds[row % 8], 1117 * row) for row in range(count)]
    hops = np.stack(rows).reshape(count, -1, HOP).swapaxes(0, 1)
    ticks = 0

    def emit(*_):
        pass

    def prepare():
        nonlocal ticks
        position = np.full(count, ticks * HOP)
        hop = hops[ticks % len(hops)]
        flags = np.zeros(count, np.uint8)
        block = Block(ticks, hop.copy(), np.arange(count), position, flags, marks, hop.copy())
        ticks += 1
        for processor in processors[:-1]:
            processor.process(block, emit)
        return (block, emit), {}

    benchmark.pedantic(processors[-1].process, setup=prepare, rounds=1600, warmup_rounds=100)
    assert ticks > 0
