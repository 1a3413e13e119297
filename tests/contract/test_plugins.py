"""Every installed plugin keeps the contract that the engine and other plugins rely on."""

import inspect
from pathlib import Path

import pytest

from rtemo.api import ModelError
from rtemo.engine import registry
from rtemo.testing.rig import Rig
from rtemo.testing.test_plugins import *  # noqa: F403 - what a stranger runs on his own
from rtemo.testing.test_plugins import Case, assert_same, measured_latency

__all__ = ["CASES", "Case", "assert_same", "measured_latency"]
pytestmark = pytest.mark.contract

ELSEWHERE = {
    *("dialogue", "gates", "gem", "listener", "liveness", "meaning", "parties", "ranker", "transcript", "watermark"),
    "windowed",
}
"""Tested beside this file: behind the real listener the same checks would take minutes, lanes need an engine, and a
dialogue two parties."""
CASES = [Case(name, {}) for name in registry.installed() if name not in ELSEWHERE] + [
    Case("vad", {"back_end": "webrtc"})
]


@pytest.fixture(params=CASES, ids=lambda case: "-".join([case.name, *case.options.values()]))
def case(request) -> Case:
    try:
        Rig(request.param.make(), 1).close()
    except ModelError as error:
        pytest.skip(str(error))
    return request.param


def test_a_plugin_that_never_looks_at_the_samples_says_so_that_no_audio_is_made_for_it() -> None:
    silent = set()
    for name in registry.installed():
        plugin = registry.make(name)
        sources = Path(inspect.getfile(type(plugin))).parent.glob("*.py")
        is_read = any(
            word in source.read_text() for source in sources for word in ("block.samples", 'audio="processed"')
        )
        if plugin.spec.reads_audio and not is_read:
            silent.add(name)
    assert not silent
