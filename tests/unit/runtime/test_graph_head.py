"""A new last layer on a graph: found by where it belongs, and nothing else changed."""

from typing import Any

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from rtemo.runtime.graph import GraphError, check_graph
from rtemo.runtime.graph_cut import cut_graph
from rtemo.runtime.graph_head import add_head, bottleneck_of

pytestmark = pytest.mark.unit

RANDOM = np.random.default_rng(3)
FIRST, SECOND, THIRD = (RANDOM.standard_normal(shape).astype(np.float32) for shape in ((6, 4), (4, 3), (4, 3)))


def graph(nodes: list[Any], outputs: tuple[str, ...] = ("logits", "arousal")) -> bytes:
    made = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 6]) for name in ("sound", "there")],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in zip("abc", (FIRST, SECOND, THIRD), strict=True)],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9).SerializeToString()


def pooling() -> list[Any]:
    """Two ways of what is given meet in `pooled`; two heads, whose logits are added up, and a third output."""
    return [
        helper.make_node("Mul", ["sound", "there"], ["masked"]),
        helper.make_node("MatMul", ["masked", "a"], ["total"]),
        helper.make_node("MatMul", ["there", "a"], ["count"]),
        helper.make_node("Add", ["total", "count"], ["pooled"]),
        helper.make_node("MatMul", ["pooled", "b"], ["one"]),
        helper.make_node("MatMul", ["pooled", "c"], ["other"]),
        helper.make_node("Add", ["one", "other"], ["logits"]),
        helper.make_node("Tanh", ["pooled"], ["arousal"]),
    ]


def run(data: bytes, *names: str) -> list[np.ndarray]:
    given = {name: np.random.default_rng(1).standard_normal((5, 6)).astype(np.float32) for name in ("sound", "there")}
    return list(onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"]).run(list(names), given))


def test_what_all_logits_rest_on_is_the_first_tensor_that_everything_passes_through() -> None:
    assert bottleneck_of(graph(pooling()), "logits") == "pooled"


def test_a_graph_whose_input_reaches_the_logits_by_two_ways_has_no_such_tensor() -> None:
    nodes = [*pooling()[:-1], helper.make_node("MatMul", ["there", "a"], ["late"])]
    nodes += [
        helper.make_node("MatMul", ["late", "b"], ["later"]),
        helper.make_node("Add", ["logits", "later"], ["end"]),
    ]
    with pytest.raises(GraphError, match="no single vector on which 'end' rests"):
        bottleneck_of(graph(nodes, ("end",)), "end")


def test_the_new_logits_are_a_linear_map_and_all_else_is_as_it_was() -> None:
    data = graph(pooling())
    maps = [RANDOM.standard_normal(shape).astype(np.float32) for shape in ((4, 2), (3, 2), (2,))]
    made = add_head(data, "pooled", ["arousal"], *maps)
    check_graph(made)
    before, arousal = run(data, "logits", "arousal")
    pooled = run(cut_graph(data, {}, ["pooled"]), "pooled")[0]
    logits, same = run(made, "logits", "arousal")
    np.testing.assert_array_equal(same, arousal)
    np.testing.assert_allclose(logits, pooled @ maps[0] + before @ maps[1] + maps[2], atol=1e-4)


def test_a_bundle_that_was_given_a_new_last_layer_can_be_given_another() -> None:
    maps = [RANDOM.standard_normal(shape).astype(np.float32) for shape in ((4, 2), (3, 2), (2,))]
    once = add_head(graph(pooling()), "pooled", ["arousal"], *maps)
    assert bottleneck_of(once, "logits") == "pooled"
    twice = add_head(once, "pooled", ["arousal"], np.zeros((4, 2), np.float32), np.eye(2, dtype=np.float32), maps[2])
    np.testing.assert_allclose(run(twice, "logits")[0], run(once, "logits")[0] + maps[2], atol=1e-4)
