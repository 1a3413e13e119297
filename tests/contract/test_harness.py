"""The contract tests find the faults they look for: each breaks one rule on purpose."""

import numpy as np
import pytest

from rtemo.api import Block, Emit, Level, Mark, PluginError, PluginSpec
from tests.contract.harness import HOP, Rig
from tests.contract.test_plugins import assert_same, measured_latency
from tests.fakes.plugins import DelayPlugin, FakePlugin, FakeProcessor, GainPlugin, RaisingPlugin
from tests.fakes.voice import voice

pytestmark = pytest.mark.contract


def plugin_of(work, *, edits_audio: bool = False) -> FakePlugin:
    """Make a plugin whose processor does `work(processor, block)` and provides the mark `fake.value`."""

    class Processor(FakeProcessor):
        def __init__(self, capacity: int) -> None:
            super().__init__(capacity)
            self.total = self.state.add("total", (), np.float32)
            self.kept = np.zeros((1, 1), np.float32)

        def work(self, block: Block, emit: Emit) -> None:
            work(self, block)

    class Plugin(FakePlugin):
        spec = PluginSpec(name="fake", edits_audio=edits_audio, provides=(Mark("fake.value"),))
        make = Processor

    return Plugin()


def test_measured_latency_is_that_of_a_known_delay():
    sound = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    for latency_samples in (0, 1, 160, 333):
        plugin = DelayPlugin(latency_samples)
        out = Rig(plugin).play({"a": sound})["a"].samples
        assert measured_latency(sound, out) == plugin.spec.latency_samples
        np.testing.assert_array_equal(out[latency_samples:][: len(sound)], sound)


def test_wrongly_declared_latency_is_found():
    plugin = DelayPlugin(200, declared_samples=160)
    sound = np.random.default_rng(0).standard_normal(8000).astype(np.float32)
    assert measured_latency(sound, Rig(plugin).play({"a": sound})["a"].samples) != plugin.spec.latency_samples


def test_audio_edited_in_secret_is_found():
    with pytest.raises(AssertionError, match="without saying so"):
        Rig(plugin_of(lambda self, block: block.samples.__imul__(0.5))).play({"a": voice(0.1)})
    Rig(GainPlugin()).play({"a": voice(0.1)})


def test_kept_array_is_found():
    def work(self, block):
        block.marks["fake.value"][:] = self.kept[0, 0]
        self.kept = block.samples

    one, other = (Rig(plugin_of(work), spoil=spoil).play({"a": voice(0.5)})["a"] for spoil in (True, False))
    with pytest.raises(AssertionError):
        assert_same(one, other)


def test_unwritten_mark_is_found():
    def work(self, block):
        if self.calls == 1:
            block.marks["fake.value"][:] = 1.0

    one, other = (Rig(plugin_of(work), spoil=spoil).play({"a": voice(0.5)})["a"] for spoil in (True, False))
    with pytest.raises(AssertionError):
        assert_same(one, other)


def test_state_that_ignores_compaction_is_found():
    def work(self, block):
        self.kept = np.resize(self.kept, 6) if self.calls == 1 else self.kept
        self.kept[: block.n] += 1
        block.marks["fake.value"][:] = self.kept[: block.n]

    together = Rig(plugin_of(work)).play({"a": voice(0.2), "b": voice(0.5)}, {"b": 7})["b"]
    with pytest.raises(AssertionError):
        assert_same(together, Rig(plugin_of(work)).play({"b": voice(0.5)})["b"])


def test_state_in_a_table_follows_compaction():
    def work(self, block):
        self.total[: block.n] += block.samples[:, 0]
        block.marks["fake.value"][:] = self.total[: block.n]

    together = Rig(plugin_of(work)).play({"a": voice(0.2), "b": voice(0.5, 1)}, {"b": 7})["b"]
    assert_same(together, Rig(plugin_of(work)).play({"b": voice(0.5, 1)})["b"])


def test_plugin_that_raises_is_not_swallowed():
    with pytest.raises(RuntimeError, match="out of luck"):
        Rig(RaisingPlugin(at_call=3)).play({"a": np.zeros(10 * HOP, np.float32)})


@pytest.mark.parametrize(
    "data",
    ["text", *(Level(rms_dbfs=value, peak_dbfs=0.0, clipped_ratio=0.0) for value in ("loud", np.nan))],
)
def test_payload_that_the_engine_would_refuse_is_found(data):
    class Processor(FakeProcessor):
        def work(self, block: Block, emit: Emit) -> None:
            emit(0, data, 0, HOP)

    class Plugin(FakePlugin):
        make = Processor

    with pytest.raises((PluginError, AssertionError)):
        Rig(Plugin()).play({"a": voice(0.1)})


def test_audio_that_would_take_the_plugin_out_and_a_replaced_mark_are_found():
    with pytest.raises(AssertionError, match="taken out for its audio"):
        Rig(plugin_of(lambda self, block: block.samples.__iadd__(1e6), edits_audio=True)).play({"a": voice(0.1)})

    def work(self, block):
        block.marks["fake.value"] = np.zeros(block.n)

    with pytest.raises(AssertionError, match="replaced the array"):
        Rig(plugin_of(work)).play({"a": voice(0.1)})
