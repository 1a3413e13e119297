"""Giving an ONNX classifier a new last layer, without the package onnx.

All that a graph says of its input usually passes through one vector, the pooled features. It is found by its place:
the first tensor behind which nothing else of the input is needed any more. The new logits are a linear map of it and
of the graph's own logits; whatever else the graph tells stays as it is.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.runtime.graph import GraphError, read_fields
from rtemo.runtime.graph_cut import cut_graph, graph_of, node_names, packed, parts, text_field, value_info, varint_field

_MODEL_GRAPH = 7
_NODE, _NAME, _INITIALIZER, _INPUT, _OUTPUT = 1, 2, 5, 11, 12
_NODE_INPUT, _NODE_OUTPUT, _NODE_OP = 1, 2, 4
_TENSOR_DIMENSION, _TENSOR_TYPE, _TENSOR_NAME, _TENSOR_RAW = 1, 2, 8, 9
_FLOAT = 1


def bottleneck_of(data: bytes, output: str) -> str:
    """Name the first tensor that everything an output is told by passes through.

    Args:
        data: An ONNX model that `check_graph` has passed.
        output: Name of the output.

    Raises:
        GraphError: There is none before the output itself.
    """
    part = graph_of(cut_graph(data, {}, [output]))
    nodes, given = [], set()
    for field, value in parts(part):
        if field == _NODE:
            nodes.append(node_names(value))
        elif field == _INPUT:
            given.add(text_field(value, 1))
    moving = set(given)  # what depends on what the graph is given
    for needs, makes in nodes:
        if moving & set(needs):
            moving |= set(makes)
    left = {name: sum(name in needs for needs, _ in nodes) for name in moving}
    live = {name for name in given if left[name]}
    for needs, makes in nodes:
        for name in moving & set(needs):
            left[name] -= 1
            if not left[name]:
                live.discard(name)
        live |= {name for name in makes if name in moving and left[name]}
        if len(live) == 1 and not live & given:
            return next(iter(live))
    raise GraphError(f"have no single vector on which {output!r} rests")


def add_head(
    data: bytes,
    features: str,
    outputs: Sequence[str],
    from_features: NDArray[np.float32],
    from_logits: NDArray[np.float32],
    bias: NDArray[np.float32],
) -> bytes:
    """Put a new last layer on a graph: logits = features · A + its own logits · B + c.

    Args:
        data: An ONNX model that tells `logits`.
        features: Name of a tensor [n, k]; see `bottleneck_of`.
        outputs: Further outputs that stay.
        from_features: A, float32 [k, classes].
        from_logits: B, float32 [its classes, classes].
        bias: c, float32 [classes].

    Returns:
        An ONNX model with the outputs `logits` [n, classes] and those that stay.
    """
    part = cut_graph(data, {}, [features, "logits", *outputs])
    own = next(
        f"tuned{k}" for k in range(1 << 16) if f"tuned{k}.".encode() not in part
    )  # it may have been tuned before
    names = {"logits": f"{own}.before"}
    features = names.get(features, features)
    graph = bytearray()
    for field, value in parts(graph_of(part)):
        if field == _NODE:
            graph += packed(_NODE, _renamed(value, names))
        elif field in (_INITIALIZER, _INPUT):
            graph += packed(field, bytes(value))
    for op, needs, makes in (
        ("MatMul", (features, f"{own}.features"), f"{own}.by_features"),
        ("MatMul", (f"{own}.before", f"{own}.logits"), f"{own}.by_logits"),
        ("Add", (f"{own}.by_features", f"{own}.by_logits"), f"{own}.sum"),
        ("Add", (f"{own}.sum", f"{own}.bias"), "logits"),
    ):
        graph += packed(_NODE, _node(op, needs, makes))
    for name, values in (("features", from_features), ("logits", from_logits), ("bias", bias)):
        graph += packed(_INITIALIZER, _tensor(f"{own}.{name}", values))
    graph += packed(_NAME, b"tuned")
    for name in ("logits", *outputs):
        graph += packed(_OUTPUT, value_info(name, None))
    whole = bytearray()
    for field, found in read_fields(memoryview(part)):
        if field != _MODEL_GRAPH:
            whole += varint_field(field, found) if isinstance(found, int) else packed(field, bytes(found))
    return bytes(whole + packed(_MODEL_GRAPH, bytes(graph)))


def _renamed(node: memoryview, names: dict[str, str]) -> bytes:
    """A node, its inputs and outputs called otherwise."""
    return b"".join(_fields_renamed(node, names))


def _fields_renamed(node: memoryview, names: dict[str, str]) -> Iterator[bytes]:
    for field, value in read_fields(node):
        if isinstance(value, int):
            yield varint_field(field, value)
        elif field in (_NODE_INPUT, _NODE_OUTPUT):
            name = str(value, "utf-8")
            yield packed(field, names.get(name, name).encode())
        else:
            yield packed(field, bytes(value))


def _node(op: str, needs: Sequence[str], makes: str) -> bytes:
    inputs = b"".join(packed(_NODE_INPUT, name.encode()) for name in needs)
    return inputs + packed(_NODE_OUTPUT, makes.encode()) + packed(_NODE_OP, op.encode())


def _tensor(name: str, values: NDArray[np.float32]) -> bytes:
    dimensions = b"".join(varint_field(_TENSOR_DIMENSION, size) for size in values.shape)
    raw = np.ascontiguousarray(values, "<f4").tobytes()
    return (
        dimensions + varint_field(_TENSOR_TYPE, _FLOAT) + packed(_TENSOR_NAME, name.encode()) + packed(_TENSOR_RAW, raw)
    )
