"""Rows in which nobody speaks: less is computed for them, and nothing else is said."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import rtemo
import rtemo_plugins.gem.ensemble
import rtemo_plugins.merit.listener
from rtemo.api import Emotion, Rank, Spoof, carrier_of
from rtemo.runtime.options import RuntimeOptions
from rtemo.runtime.store import ModelStore
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.engine

pytest.importorskip("rtemo_weights")


def halting(seed: int, talk_s: float = 2.0, gap_s: float = 1.5) -> NDArray[np.float32]:
    """A voice that pauses, upon the faint noise of a line."""
    rng = np.random.default_rng(seed)
    parts = []
    for turn in range(3):
        parts += [voice(talk_s, seed=10 * seed + turn), np.zeros(round(gap_s * RATE_HZ), np.float32)]
    sound = np.concatenate(parts)
    return (sound + 1e-3 * rng.standard_normal(len(sound))).astype(np.float32)


def events_of(sounds: list[NDArray[np.float32]]) -> dict[str, list[tuple[Any, ...]]]:
    """What the small chain says of each of several streams: all that it says comes of the networks with a memory."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    with rtemo.Session(rtemo.Config(chain=("small",)), mode="freewheel") as session:
        streams = [session.stream(f"call-{index}") for index in range(len(sounds))]
        for start in range(0, len(sounds[0]), 8_000):
            for stream, sound in zip(streams, sounds, strict=True):
                stream.push(sound[start : start + 8_000])
        for stream in streams:
            stream.end()
        for event in session.events():
            if event.call:
                told = event.plugin, event.kind, event.start_sample, event.end_sample, event.data
                found.setdefault(event.call, []).append(told)
    return found


def counted(monkeypatch: pytest.MonkeyPatch, cls: type, name: str) -> list[int]:
    """Count rows that a method is given."""
    rows: list[int] = []
    method = getattr(cls, name)

    def counting(self: Any, first: Any, *rest: Any) -> Any:
        rows.append(len(getattr(first, "rows", first)))
        return method(self, first, *rest)

    monkeypatch.setattr(cls, name, counting)
    return rows


def test_the_same_is_said_with_and_without_steps_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    sounds = [halting(seed) for seed in (1, 2)]
    parts = (rtemo_plugins.merit.listener, "Listener"), (rtemo_plugins.gem.ensemble, "Ensemble")
    quiet = [counted(monkeypatch, getattr(module, name), "carry") for module, name in parts]
    told = [counted(monkeypatch, getattr(module, name), "run") for module, name in parts]
    found = events_of(sounds)
    steps = [sum(carried) + sum(ran) for carried, ran in zip(quiet, told, strict=True)]
    assert all(sum(carried) > 0.3 * count for carried, count in zip(quiet, steps, strict=True))
    for rows in (*quiet, *told):
        rows.clear()
    for module, _ in parts:
        monkeypatch.setattr(module, "carrier_of", lambda model, states: None)
    wanted = events_of(sounds)
    assert [sum(ran) for ran in told] == steps
    assert not any(quiet)
    assert {"emotion", "spoof", "rank", "speech_end"} <= {kind for said in wanted.values() for _, kind, *_ in said}
    assert found.keys() == wanted.keys()
    for call, said in wanted.items():
        assert [event[:-1] for event in found[call]] == [event[:-1] for event in said]
        for (*_, got), (*_, expected) in zip(found[call], said, strict=True):
            # A network with weights as bytes rounds its inputs, and sums are made in another order in a batch.
            if isinstance(expected, Emotion):
                assert (got.label, got.speech_s, got.is_final) == (expected.label, expected.speech_s, expected.is_final)
                assert got.probabilities == pytest.approx(expected.probabilities, abs=5e-3)
            elif isinstance(expected, Spoof):
                assert (got.verdict, got.trigger) == (expected.verdict, expected.trigger)
                assert got.score == pytest.approx(expected.score, abs=0.02)
            elif isinstance(expected, Rank):
                assert got.score == pytest.approx(expected.score, abs=0.02)
            else:
                assert got == expected


@pytest.mark.parametrize(("bundle", "inputs"), [("merit-listen", ("bands", "weight")), ("gem", ("traces", "weight"))])
def test_a_carrier_leaves_the_states_that_the_whole_network_leaves(bundle: str, inputs: tuple[str, ...]) -> None:
    model = ModelStore(RuntimeOptions()).load(bundle)
    lasting = [name for name in model.card.states if not name.startswith("pool_")]
    carrier = carrier_of(model, lasting)
    assert carrier is not None
    assert carrier.card.outputs == {}
    assert carrier.card.inputs.keys() == {inputs[0]}
    rng = np.random.default_rng(3)
    whole, part = model.new_state(4), model.new_state(4)
    rows = np.array([0, 2])
    for step in range(6):
        given = {
            name: rng.standard_normal((2, *spec.shape)).astype(np.float32) for name, spec in model.card.inputs.items()
        }
        given["weight"][:] = 0.0
        model.run(given, whole, rows)
        if step < 2:
            model.run(given, part, rows)
            before = {name: part[name].copy() for name in model.card.states}
        else:
            carrier.run(given, part, rows)
    for name in model.card.states:
        if name in lasting:
            np.testing.assert_allclose(part[name], whole[name], atol=1e-5)
        else:
            np.testing.assert_array_equal(part[name], before[name])


def test_a_handle_that_was_warmed_or_of_a_runtime_without_carriers_has_none() -> None:
    model = ModelStore(RuntimeOptions()).load("gem")
    model.warm(model.new_state(1), {1})
    assert carrier_of(model, ["frames"]) is None
    assert carrier_of(object(), ["frames"]) is None  # type: ignore[arg-type]
