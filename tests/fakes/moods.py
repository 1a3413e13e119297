"""A cheap plugin in the place of an emotion recogniser: the posterior follows the level of the audio."""

from typing import ClassVar

import msgspec
import numpy as np

from rtemo.api import EMOTIONS, Block, Emit, Mark, PluginContext, PluginSpec
from tests.fakes.plugins import FakeProcessor, NoOptions


class MoodsPlugin:
    """Unknown for half a second, then a mixture of two emotions by the smoothed level."""

    options_type: ClassVar[type[msgspec.Struct]] = NoOptions
    spec = PluginSpec(
        name="moods", summary="Makes up moods.", provides=(Mark("emotion.posterior", shape=(len(EMOTIONS),)),)
    )

    def __init__(self, options: NoOptions) -> None:
        pass

    def open(self, context: PluginContext, capacity: int) -> FakeProcessor:
        class Moods(FakeProcessor):
            def __init__(self) -> None:
                super().__init__(capacity)
                self._level = self.state.add("level", (), np.float32)
                self._hops = self.state.add("hops", (), np.int64)

            def work(self, block: Block, emit: Emit) -> None:
                level, hops = self._level[: block.n], self._hops[: block.n]
                level += 0.02 * (
                    np.sqrt(np.mean(np.square(np.clip(np.nan_to_num(block.samples), -1, 1)), axis=1)) - level
                )
                hops += 1
                posterior = block.marks["emotion.posterior"]
                share = np.clip(8 * level, 0, 1)
                posterior[:] = 0.0
                posterior[:, EMOTIONS.index("angry")] = share
                posterior[:, EMOTIONS.index("calm")] = 1 - share
                posterior[hops < 50] = np.nan

        return Moods()
