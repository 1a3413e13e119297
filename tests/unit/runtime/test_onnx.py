"""Models run for any rows with state in place, on one thread."""

import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from rtemo.api import ModelError, TensorSpec
from rtemo.runtime.onnx import OnnxHandle
from tests.fakes.bundles import (
    CHANNELS,
    FEATURES,
    card,
    convolving_card,
    convolving_model,
    onnx_bytes,
    summing_card,
    summing_model,
)

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def summing():
    return OnnxHandle(summing_card(), summing_model())


@pytest.fixture(scope="module")
def convolving():
    return OnnxHandle(convolving_card(), convolving_model())


def refusal(described, model) -> str:
    with pytest.raises(ModelError) as caught:
        OnnxHandle(described, model)
    assert "\n" not in str(caught.value)
    return caught.value.problem


def test_state_is_carried_in_place(summing):
    state = summing.new_state(4)
    total = state["total"]
    for _ in range(3):
        out = summing.run({"x": np.full((2, 3), 2.0, np.float32)}, state, 2)
    assert out["y"].tolist() == [[6.0] * 3] * 2
    assert total.tolist() == [[6.0] * 3] * 2 + [[0.0] * 3] * 2


def test_only_the_listed_rows_advance(summing):
    state = summing.new_state(4)
    x = np.array([[1.0] * 3, [5.0] * 3], np.float32)
    summing.run({"x": x}, state, np.array([3, 1]))
    assert state["total"][:, 0].tolist() == [0.0, 5.0, 0.0, 1.0]


def test_rows_listed_equal_leading_rows(convolving):
    random = np.random.default_rng(1)
    leading, listed = convolving.new_state(8), convolving.new_state(8)
    rows = np.array([6, 0, 3, 2, 5])
    for _ in range(20):
        x = random.standard_normal((5, FEATURES, 1)).astype(np.float32)
        one = convolving.run({"x": x}, leading, 5)["y"].copy()
        other = convolving.run({"x": x}, listed, rows)["y"]
        np.testing.assert_array_equal(one, other)
    for name in leading:
        np.testing.assert_array_equal(leading[name][:5], listed[name][rows])


def test_retired_row_takes_its_state_along(summing):
    state = summing.new_state(3)
    summing.run({"x": np.array([[1.0] * 3, [2.0] * 3, [3.0] * 3], np.float32)}, state, 3)
    state.retire(0, last=2)
    out = summing.run({"x": np.zeros((2, 3), np.float32)}, state, 2)
    assert out["y"][:, 0].tolist() == [3.0, 2.0]


def test_two_state_tables_do_not_mix(summing):
    one, other = summing.new_state(1), summing.new_state(1)
    first = summing.run({"x": np.ones((1, 3), np.float32)}, one, 1)["y"]
    second = summing.run({"x": np.full((1, 3), 7.0, np.float32)}, other, 1)["y"]
    assert first[0, 0] == 1.0
    assert second[0, 0] == 7.0


def test_no_rows_are_no_work(summing):
    state = summing.new_state(2)
    assert summing.run({"x": np.zeros((0, 3), np.float32)}, state, 0)["y"].shape == (0, 3)
    assert summing.run({"x": np.zeros((0, 3), np.float32)}, state, np.zeros(0, np.int64))["y"].shape == (0, 3)


def test_input_of_the_wrong_shape_names_both_shapes(summing):
    with pytest.raises(ValueError, match=r"\(2, 3\); got shape \(1, 3\)"):
        summing.run({"x": np.zeros((1, 3), np.float32)}, summing.new_state(2), 2)


def test_more_rows_than_the_state_holds_are_refused(summing):
    with pytest.raises(ValueError, match="holds 2 rows; got 3"):
        summing.run({"x": np.zeros((3, 3), np.float32)}, summing.new_state(2), 3)


@given(order=st.permutations(range(6)), count=st.integers(1, 6))
def test_a_row_does_not_depend_on_the_batch_around_it(convolving, order, count):
    x = np.random.default_rng(2).standard_normal((6, FEATURES, 1)).astype(np.float32)
    alone = [convolving.run({"x": x[i : i + 1]}, convolving.new_state(1), 1)["y"][0].copy() for i in range(6)]
    rows = np.array(order[:count])
    together = convolving.run({"x": x[rows]}, convolving.new_state(6), count)["y"]
    np.testing.assert_allclose(together, np.array(alone)[rows], rtol=1e-4, atol=1e-5)


def test_warming_leaves_the_state_alone(convolving):
    state = convolving.new_state(4)
    convolving.run({"x": np.ones((4, FEATURES, 1), np.float32)}, state, 4)
    before = {name: state[name].copy() for name in state}
    convolving.warm(state, range(5))
    for name in state:
        np.testing.assert_array_equal(state[name], before[name])


def test_batch_axis_constants_and_names_of_next_states_follow_the_card():
    nodes = [
        helper.make_node("Add", ["h", "bias"], ["h_out"]),
        helper.make_node("ReduceSum", ["h_out", "axes"], ["y"], keepdims=0),
    ]
    model = onnx_bytes(
        nodes, {"h": [2, "n", 4], "bias": []}, {"h_out": [2, "n", 4], "y": ["n", 4]}, {"axes": np.array([0])}
    )
    handle = OnnxHandle(
        card(
            states={"h": TensorSpec((2, 4), batch_axis=1)},
            outputs={"y": TensorSpec((4,))},
            constants={"bias": TensorSpec((), fill=0.5)},
            next_states={"h": "h_out"},
        ),
        model,
    )
    state = handle.new_state(5)
    state["h"][:] = np.arange(5, dtype=np.float32)[:, None, None]
    assert handle.run({}, state, 3)["y"][:, 0].tolist() == [1.0, 3.0, 5.0]
    assert handle.run({}, state, np.array([4, 1]))["y"][:, 0].tolist() == [9.0, 4.0]
    assert state["h"][:, 0, 0].tolist() == [0.5, 2.0, 2.5, 3.0, 4.5]


def test_shape_that_differs_from_the_card_is_named():
    problem = refusal(summing_card(), summing_model(features=4))
    assert "[n, 4], the card says [n, 3]" in problem


def test_shape_that_the_graph_leaves_open_is_proved_by_a_run():
    nodes = [
        helper.make_node("ReduceMax", ["x"], ["top"], keepdims=0),
        helper.make_node("Add", ["top", "once_and_twice"], ["sum"]),
        helper.make_node("Cast", ["sum"], ["repeats"], to=TensorProto.INT64),
        helper.make_node("Tile", ["x", "repeats"], ["y"]),
    ]
    constants = {"once_and_twice": np.array([1, 2], np.float32)}
    model = onnx_bytes(nodes, {"x": ["n", 3]}, {"y": ["n", "unknown"]}, constants)
    problem = refusal(card(inputs={"x": TensorSpec((3,))}, outputs={"y": TensorSpec((3,))}), model)
    assert "(2, 6) for 2 rows, the card says (2, 3)" in problem


def test_fixed_batch_axis_is_refused():
    assert "fixes the batch axis of input" in refusal(summing_card(), summing_model(batch=1))


def test_input_the_card_does_not_name_is_refused():
    described = card(inputs={"x": TensorSpec((3,))}, outputs={"y": TensorSpec((3,))})
    assert "wants an input 'total'" in refusal(described, summing_model())


def test_output_missing_from_the_graph_is_refused():
    described = summing_card(next_states={"total": "total_out"})
    assert "has no output 'total_out'" in refusal(described, summing_model())


def test_wrong_type_is_refused():
    described = card(
        inputs={"x": TensorSpec((3,), dtype="float16")},
        states={"total": TensorSpec((3,))},
        outputs={"y": TensorSpec((3,))},
    )
    assert "of type float32, the card says float16" in refusal(described, summing_model())


def test_bytes_that_onnx_runtime_refuses_become_one_line():
    assert "cannot be loaded by ONNX Runtime" in refusal(summing_card(), b"\x08\x09junk")


def test_models_start_no_threads():
    tasks = Path("/proc/self/task")
    if not tasks.is_dir():
        pytest.skip("counting native threads needs /proc")
    before = len(list(tasks.iterdir()))
    handle = OnnxHandle(convolving_card(), convolving_model())
    handle.run({"x": np.zeros((64, FEATURES, 1), np.float32)}, handle.new_state(64), 64)
    assert len(list(tasks.iterdir())) == before
    assert threading.active_count() <= before


@pytest.mark.parametrize("count", [1, 16, 64, 256])
def test_speed_of_one_step(convolving, benchmark, count):
    state = convolving.new_state(count)
    x = np.random.default_rng(3).standard_normal((count, FEATURES, 1)).astype(np.float32)
    out = benchmark(convolving.run, {"x": x}, state, count)
    assert out["y"].shape == (count, CHANNELS)


@pytest.mark.parametrize("count", [1, 16, 64, 256])
def test_speed_of_one_step_for_listed_rows(convolving, benchmark, count):
    state = convolving.new_state(count)
    x = np.random.default_rng(3).standard_normal((count, FEATURES, 1)).astype(np.float32)
    rows = np.arange(count)[::-1].copy()
    out = benchmark(convolving.run, {"x": x}, state, rows)
    assert out["y"].shape == (count, CHANNELS)
