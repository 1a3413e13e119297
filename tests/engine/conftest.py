"""Sessions of fake plugins, and the rule that no thread outlives its test."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

import rtemo
from rtemo.config import Config, Policy
from rtemo.engine.options import EngineOptions
from tests.engine.plugins import FakePlugin

Make = Callable[..., rtemo.Session]


@pytest.fixture
def session_of(monkeypatch: pytest.MonkeyPatch) -> Make:
    """Make a session whose chain is given as plugins."""

    def make(
        *plugins: FakePlugin, engine: EngineOptions | None = None, policy: Policy | None = None, **options: Any
    ) -> rtemo.Session:
        named = {plugin.spec.name: plugin for plugin in plugins}
        monkeypatch.setattr("rtemo.session.make", lambda name, options=None: named[name])
        config = Config(chain=tuple(named), engine=engine or EngineOptions(capacity=8), policy=policy or Policy())
        return rtemo.Session(config, **options)

    return make


def engine_threads() -> list[str]:
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("rtemo-"))


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Any:
    before = engine_threads()
    yield
    deadline_s = time.monotonic() + 3.0
    while engine_threads() != before and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert engine_threads() == before
