"""The torch back end says what ONNX Runtime says, for rows that come and go."""

import gc
import weakref
from typing import Any

import numpy as np
import onnx
import pytest

from rtemo import Config, Session
from rtemo.api import ModelError, TensorSpec
from rtemo.runtime.onnx import OnnxHandle
from rtemo.runtime.options import RuntimeOptions
from rtemo.runtime.store import ModelStore, find
from tests.fakes.bundles import card, onnx_bytes, summing_card, summing_model
from tests.fakes.voice import voice

pytest.importorskip("torch", reason="torch is an extra")
from bench.gpu.__main__ import MINUTE_STEPS
from bench.gpu.parity import FLOAT_LIMIT, NETWORKS, drawn, walk, with_float_products
from rtemo.runtime.torch import TorchHandle, open_device

pytestmark = pytest.mark.unit


@pytest.mark.parametrize("parts", [6, pytest.param(1, marks=pytest.mark.long)], ids=["ten seconds", "a minute"])
@pytest.mark.parametrize("is_bucketed", [False, True], ids=["exact rows", "buckets"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_agrees_with_onnx_runtime_over_rows_that_come_and_go(
    name: str, is_bucketed: bool, parts: int
) -> None:
    bundle = find(name)
    data = with_float_products(bundle.read_weights())
    ours = TorchHandle(bundle.card, data, exact=False, buckets=is_bucketed)
    theirs = OnnxHandle(bundle.card, data)
    worst = 0.0
    for found, wanted in walk(bundle.card, ours, theirs, MINUTE_STEPS[name] // parts):
        for output, values in wanted.items():
            worst = max(worst, float(np.abs(found[output].astype(np.float64) - values).max()))
    assert worst < FLOAT_LIMIT


def test_padding_of_a_bucket_touches_no_stream() -> None:
    handle = TorchHandle(summing_card(), summing_model(), buckets=True)
    state = handle.new_state(6)
    handle.warm(state, {1, 3, 6})
    for _ in range(2):
        out = handle.run({"x": np.ones((3, 3), np.float32)}, state, np.array([4, 0, 2]))
    assert out["y"].tolist() == [[2.0] * 3] * 3
    assert state.tensors["total"][:6, 0].tolist() == [2.0, 0.0, 2.0, 0.0, 2.0, 0.0]


def test_a_step_that_was_begun_may_be_taken_later() -> None:
    handle = TorchHandle(summing_card(), summing_model())
    state = handle.new_state(2)
    given = np.ones((1, 3), np.float32)
    pending = handle.begin({"x": given}, state, 1)
    given[:] = 9.0  # was copied
    assert pending.take()["y"].tolist() == [[1.0] * 3]


def test_state_that_nobody_holds_is_freed() -> None:
    handle = TorchHandle(summing_card(), summing_model())
    state = handle.new_state(2)
    handle.warm(state, {1, 2})
    kept = weakref.ref(state)
    del state
    gc.collect()
    assert kept() is None


def test_only_named_states_are_reset() -> None:
    handle = TorchHandle(find("merit-listen").card, find("merit-listen").read_weights())
    state = handle.new_state(1)
    rng = np.random.default_rng(0)
    handle.run(drawn(handle.card, 1, rng), state, 1)
    before = state.tensors["memory_0"].clone()
    state.reset(0, "pool_")
    assert float(state.tensors["pool_mass"].abs().max()) == 0.0
    assert bool((state.tensors["memory_0"] == before).all())


@pytest.mark.parametrize(
    ("device", "text"),
    [("cuda", "cannot be used here"), ("gpu9", "there is no device 'gpu9'"), ("meta", "cannot be used here")],
)
def test_a_device_that_is_not_there_is_named_with_a_remedy(device: str, text: str) -> None:
    torch = pytest.importorskip("torch")
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(ModelError, match=text):
        open_device(device)
    with pytest.raises(ModelError, match=r"no device|cannot be used here"):
        ModelStore(RuntimeOptions(device=device)).load("gem")
    with pytest.raises(ModelError, match=r"no device|cannot be used here"):
        ModelStore(RuntimeOptions(device=device, back_end="onnx")).load("gem")


def test_an_unknown_operation_is_named() -> None:
    described = card(inputs={"x": TensorSpec((3,))}, outputs={"y": TensorSpec((3,))})
    graph = onnx_bytes([onnx.helper.make_node("Tan", ["x"], ["y"])], {"x": ["n", 3]}, {"y": ["n", 3]})
    with pytest.raises(ModelError, match="does not know the operation Tan"):
        TorchHandle(described, graph)


@pytest.mark.parametrize("chain", [("vad", "merit", "gem", "ranker")])
def test_a_chain_run_by_torch_says_what_it_says_by_onnx_runtime(chain: tuple[str, ...]) -> None:
    sound = np.concatenate([voice(4.0, 3), np.zeros(16_000, np.float32), voice(3.0, 5)])

    def events(back_end: str) -> list[Any]:
        config = Config(chain=chain, runtime=RuntimeOptions(back_end=back_end))  # type: ignore[arg-type]
        with Session(config, mode="freewheel") as session:
            stream = session.stream("a")
            stream.push(sound)
            stream.end()
            return [event for event in session.events() if event.plugin in chain]

    ours, theirs = events("torch"), events("onnx")
    assert [(e.kind, e.start_sample, e.end_sample) for e in ours] == [
        (e.kind, e.start_sample, e.end_sample) for e in theirs
    ]
    for found, wanted in zip(ours, theirs, strict=True):
        if found.kind == "emotion":
            assert found.data.arousal == pytest.approx(wanted.data.arousal, abs=0.05)
            assert max(abs(found.data.probabilities[k] - p) for k, p in wanted.data.probabilities.items()) < 0.05
        if found.kind == "spoof":
            assert found.data.score == pytest.approx(wanted.data.score, abs=0.05)
