"""Every installed plugin keeps the contract that the engine and other plugins rely on."""

import pytest

from rtemo.api import ModelError
from rtemo.engine import registry
from rtemo.testing.rig import Rig
from rtemo.testing.test_plugins import *  # noqa: F403 - what a stranger runs on his own
from rtemo.testing.test_plugins import Case, assert_same, measured_latency

__all__ = ["CASES", "Case", "assert_same", "measured_latency"]
pytestmark = pytest.mark.contract

ELSEWHERE = {"authenticator", "gates", "gem", "listener", "meaning", "ranker", "transcript", "windowed"}
"""Tested beside this file: behind the real listener the same checks would take minutes, and lanes need an engine."""
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
