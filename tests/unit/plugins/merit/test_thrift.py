"""Merit tells less, and computes less, where the engine cannot carry its load."""

from typing import Any

import numpy as np
import pytest

from bench.lending import Lending
from rtemo.api import THRIFT, Block, Emotion
from rtemo_plugins.merit.enhancer import Enhancer
from rtemo_plugins.merit.listener import STEP_HOPS, Listener
from rtemo_plugins.merit.options import MeritOptions
from rtemo_plugins.merit.plugin import MeritPlugin
from tests.fakes.voice import voice

pytestmark = pytest.mark.unit

pytest.importorskip("rtemo_weights")

HOP = 160
TALK_HOPS, GAP_HOPS = 400, 60


class Estimate:
    def __init__(self, data: Emotion, start_sample: int, end_sample: int) -> None:
        self.data, self.start_sample, self.end_sample = data, start_sample, end_sample


def listened(thrifts: list[int], demand: str = "never", streams: int = 1) -> list[Estimate]:
    """What is told of the first of some streams, each of two turns, with a pause between them."""
    plugin = MeritPlugin(MeritOptions())
    processor = plugin.open(Lending(demand), streams)  # type: ignore[arg-type]
    for row in range(streams):
        processor.admit(row)
    told: list[Estimate] = []

    def emit(row: Any, data: Any, start_sample: int, end_sample: int) -> None:
        if row == 0:
            told.append(Estimate(data, start_sample, end_sample))

    hops = len(thrifts)
    sound = np.stack([np.resize(voice(4.0, seed), hops * HOP).reshape(hops, HOP) for seed in range(streams)])
    pause = sound[:, TALK_HOPS : TALK_HOPS + GAP_HOPS]
    pause[:] = 1e-3 * np.random.default_rng(0).standard_normal(pause.shape)
    for hop, thrift in enumerate(thrifts):
        is_speech = not TALK_HOPS <= hop < TALK_HOPS + GAP_HOPS
        marks: dict[str, Any] = {f"vad.{name}": np.full(streams, is_speech, np.uint8) for name in ("speech", "voice")}
        for mark in plugin.spec.provides:
            marks[mark.name] = np.full((streams, *mark.shape), mark.unknown, mark.dtype)
        start = np.full(streams, hop * HOP)
        block = Block(hop, sound[:, hop].copy(), np.arange(streams), start, np.zeros(streams, np.uint8), marks)
        block.thrift = thrift
        processor.process(block, emit)
    return told


USUAL = [1] * (2 * TALK_HOPS + GAP_HOPS)
IN_FIRST_TURN = [THRIFT] * (TALK_HOPS + GAP_HOPS // 2) + [1] * (TALK_HOPS + GAP_HOPS // 2)


def triggers(told: list[Estimate], end_hops: int) -> list[tuple[str, int]]:
    return [(one.data.trigger, one.end_sample // HOP) for one in told if one.end_sample <= end_hops * HOP]


@pytest.mark.parametrize("streams", [1, 20])
def test_estimates_within_a_turn_come_less_often_and_its_first_and_last_as_ever(streams: int) -> None:
    usual, thrifty = (listened(thrifts, streams=streams) for thrifts in (USUAL, IN_FIRST_TURN))
    expected = triggers(usual, TALK_HOPS + STEP_HOPS)
    found = triggers(thrifty, TALK_HOPS + STEP_HOPS)
    assert expected[0][0] == found[0][0] == "first"
    assert expected[0] == found[0]
    assert expected[-1] == found[-1]
    assert expected[-1][0] == "turn_end"
    refreshed = [sum(trigger == "refresh" for trigger, _ in told) for told in (expected, found)]
    assert refreshed[0] >= 5
    assert refreshed[1] == refreshed[0] // THRIFT


def test_what_is_said_of_the_next_turn_is_what_would_have_been_said() -> None:
    usual, thrifty = (
        [one for one in listened(thrifts) if one.start_sample >= TALK_HOPS * HOP] for thrifts in (USUAL, IN_FIRST_TURN)
    )
    assert len(usual) == len(thrifty) >= 5
    for one, other in zip(usual, thrifty, strict=True):
        assert (one.start_sample, one.end_sample, one.data.label) == (
            other.start_sample, other.end_sample, other.data.label,
        )  # fmt: skip
        assert other.data.probabilities == pytest.approx(one.data.probabilities, abs=2e-4)


def test_of_the_steps_of_a_turn_as_many_are_computed_as_the_rate_says(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, carried = [0], [0]
    run, carry = Listener.run, Listener.carry

    def counting_run(self: Any, step: Any, n: int) -> Any:
        whole[0] += len(step.rows)
        return run(self, step, n)

    def counting_carry(self: Any, rows: Any, n: int) -> Any:
        carried[0] += len(rows)
        return carry(self, rows, n)

    monkeypatch.setattr(Listener, "run", counting_run)
    monkeypatch.setattr(Listener, "carry", counting_carry)
    listened([THRIFT] * TALK_HOPS)
    assert whole[0] + carried[0] == TALK_HOPS // STEP_HOPS
    assert whole[0] == pytest.approx(TALK_HOPS // STEP_HOPS / THRIFT, abs=1)


def test_where_audio_is_always_made_none_is_made_while_nobody_is_to_have_any(monkeypatch: pytest.MonkeyPatch) -> None:
    made = [0]
    enhance = Enhancer.process

    def counting(self: Any, *what: Any) -> None:
        made[0] += 1
        enhance(self, *what)

    monkeypatch.setattr(Enhancer, "process", counting)
    plugin = MeritPlugin(MeritOptions())
    processor = plugin.open(Lending("always"), 1)  # type: ignore[arg-type]
    processor.admit(0)
    for hop in range(30):
        marks: dict[str, Any] = {f"vad.{name}": np.ones(1, np.uint8) for name in ("speech", "voice")}
        for mark in plugin.spec.provides:
            marks[mark.name] = np.full((1, *mark.shape), mark.unknown, mark.dtype)
        wanted = np.array([not 10 <= hop < 20])
        start, flags = np.array([hop * HOP]), np.zeros(1, np.uint8)
        sound = np.full((1, HOP), 0.1, np.float32)
        block = Block(hop, sound, np.arange(1), start, flags, marks, is_audio_wanted=wanted)
        processor.process(block, lambda *event: None)
    assert made == [20]
