"""The plugin in docs/plugins.md is a plugin."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtemo.api import Block, PluginContext, StreamFormat

pytestmark = pytest.mark.unit

GUIDE = Path(__file__).parents[3] / "docs" / "plugins.md"


class Context:
    format = StreamFormat()

    def model(self, name: str) -> Any:
        raise AssertionError("the gate has no model")


def test_plugin_of_the_guide_opens_for_a_voice_and_mutes_a_murmur():
    code = re.search(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    assert code is not None
    names: dict[str, Any] = {}
    exec(code.group(1), names)
    context: PluginContext = Context()
    plugin = names["GatePlugin"](names["GateOptions"]())
    processor = plugin.open(context, capacity=2)
    for row in range(2):
        processor.admit(row)
    loudness = np.array([[0.1], [1e-4]], np.float32)
    for tick in range(50):
        samples = np.broadcast_to(loudness, (2, 160)).copy()
        processor.process(Block(tick, samples, np.arange(2), np.zeros(2, np.int64), np.zeros(2, np.uint8), {}), None)
    np.testing.assert_allclose(samples[:, 0], [0.1, 0.0], atol=1e-6)
