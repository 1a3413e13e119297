"""Overload on real threads, with the time that is usual."""

import time
from typing import Any

import numpy as np
import pytest

from rtemo.api import Block, Emit, Event, PluginSpec
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from tests.engine.plugins import FakePlugin, FakeProcessor, teller
from tests.engine.rig import HOP, ramp

pytestmark = pytest.mark.engine


class Sleeper(FakeProcessor):
    """Takes as long as it is told."""

    busy_s = 0.0

    def process(self, block: Block, emit: Emit) -> None:
        time.sleep(self.busy_s)


class Live:
    """An engine that is fed in real time from here; where the audio has come to, and what was said."""

    def __init__(self, *plugins: Any) -> None:
        self.events: list[Event] = []
        self.heard_samples = 0
        self.engine = Engine(plugins, EngineOptions(capacity=2, health_interval_s=0.2), on_audio=self._hear)
        self.engine.open()
        self.engine.start()
        self._writer = self.engine.open_stream("call", "0")
        self._begin_s = time.monotonic()
        self.written = 0

    def _hear(self, call: str, channel: str, start_sample: int, samples: np.ndarray) -> None:
        self.heard_samples = start_sample + HOP

    def run_until(self, state: str, timeout_s: float) -> None:
        """Feed it until something is given up or taken back."""
        deadline_s = time.monotonic() + timeout_s
        while state not in self.changes():
            assert time.monotonic() < deadline_s, f"it did not come to {state}"
            self.feed(0.05)

    def feed(self, duration_s: float) -> None:
        end_s = time.monotonic() + duration_s
        while time.monotonic() < end_s:
            due = int((time.monotonic() - self._begin_s) * 16_000) // HOP * HOP
            if due > self.written:
                self._writer.write(ramp(due - self.written, self.written))
                self.written = due
            self.events += self.engine.outbox.take(0.0)
            time.sleep(0.005)

    def changes(self) -> list[str]:
        return [event.data.state for event in self.events if event.kind == "overload"]  # type: ignore[union-attr]


def test_what_a_plugin_takes_too_long_for_is_given_up_and_audio_goes_on_and_it_comes_back_when_it_can() -> None:
    sleeper = Sleeper()
    live = Live(teller(every_hops=10), FakePlugin(PluginSpec(name="slow", gives_way=("words",)), lambda *_: sleeper))
    try:
        live.feed(0.5)
        sleeper.busy_s = 0.03
        live.run_until("given_up", 20.0)
        sleeper.busy_s = 0.0
        assert live.changes() == ["given_up"]
        live.run_until("taken_back", 60.0)
        assert live.engine.health().given_up == ()
        said = sum(event.kind == "level" for event in live.events)
        live.feed(1.0)
        assert sum(event.kind == "level" for event in live.events) > said
        assert live.written - live.heard_samples < 16_000, "audio has not backed up"
        assert [event.data.what for event in live.events if event.kind == "overload"][:2] == ["words", "words"]  # type: ignore[union-attr]
    finally:
        live.engine.stop("done")
