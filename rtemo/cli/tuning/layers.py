"""Layers: which layers of an encoder in a graph are tuned, what below them stays, and new weights for them."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from rtemo.api import ConfigError, ModelError
from rtemo.runtime.graph_cut import cut_graph

_LAYER = re.compile(r"(?:^|[/.])layers\.(\d+)[/.]")
"""How what a layer makes is named by torch's exporter, which writes where in the network a node stands."""


class Layers(NamedTuple):
    """The uppermost layers of a graph.

    Attributes:
        numbers: Which, as the graph counts them, from 0.
        weights: Names of their matrices [in, out], in the order in which they are used.
        frozen: Tensors [n, t, width] that they, and all above them, need of what is below.
    """

    numbers: tuple[int, ...]
    weights: tuple[str, ...]
    frozen: tuple[str, ...]


def find_layers(data: bytes, outputs: Sequence[str], mask: str, count: int, name: str) -> Layers:
    """Find the uppermost layers.

    Args:
        data: An ONNX model that `check_graph` has passed.
        outputs: Names of what it tells.
        mask: Input [n, t] that says which frames are there; what follows from it alone is cheap, and not kept.
        count: How many layers.
        name: Of the bundle.

    Raises:
        ModelError: No layer can be told from another in it.
        ConfigError: It has fewer.
    """
    graph = onnx.load_from_string(cut_graph(data, {}, outputs)).graph
    fixed = {tensor.name for tensor in graph.initializer}
    weights: dict[int, list[str]] = {}
    for node in graph.node:
        if fixed.issuperset(node.input):
            fixed.update(node.output)  # weights that are widened
        elif (number := _number_of(node)) is not None and node.op_type == "MatMul" and node.input[1] in fixed:
            weights.setdefault(number, []).append(node.input[1])
    if not weights:
        raise ModelError(
            f"bundle {name!r} has no encoder layers that can be told apart, so its last layer alone can be tuned",
            "leave out --lora",
        )
    if count > len(weights):
        raise ConfigError(
            f"--layers {count}: the encoder of bundle {name!r} has {len(weights)}", f"give at most {len(weights)}"
        )
    numbers = sorted(weights)[-count:]
    by_mask = fixed | {mask, ""}
    for node in graph.node:
        if by_mask.issuperset(node.input):
            by_mask.update(node.output)
    below: set[str] = set()
    needed: set[str] = set()
    for node in reversed(graph.node):
        number = _number_of(node)
        is_of_encoder = number is not None or not needed.isdisjoint(node.output)
        if is_of_encoder:
            needed.update(node.input)
            if number is None or number < numbers[0]:
                below.update(node.output)
    crossing = (one for node in graph.node if below.isdisjoint(node.output) for one in node.input)
    frozen = dict.fromkeys(one for one in crossing if one in below and one not in by_mask)
    return Layers(tuple(numbers), tuple(one for number in numbers for one in weights[number]), tuple(frozen))


def upper_part(data: bytes, layers: Layers, outputs: Sequence[str], frames: int) -> bytes:
    """Cut out the layers and what is above them, for windows of any number of frames.

    Args:
        data: The whole graph, of windows of `frames` frames.
        layers: Which.
        outputs: What of it is wanted.
        frames: Shapes in which this number is written down are left open.
    """
    model = onnx.load_from_string(cut_graph(data, dict.fromkeys(layers.frozen, 3), outputs))
    shapes = {node.input[1] for node in model.graph.node if node.op_type == "Reshape"}
    for tensor in model.graph.initializer:
        if tensor.name in shapes:
            shape = numpy_helper.to_array(tensor).tolist()
            if shape[:2] == [-1, frames]:
                tensor.CopyFrom(numpy_helper.from_array(np.array([0, -1, *shape[2:]], np.int64), tensor.name))
    return bytes(model.SerializeToString())


def with_weights(data: bytes, weights: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Put other values in the place of some weights of a graph, in the precision in which it keeps them.

    Raises:
        ModelError: A value is too large for it.
    """
    model = onnx.load_from_string(data)
    kept_as = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Cast"}
    names = {kept_as.get(name, name): name for name in weights}
    for tensor in model.graph.initializer:
        if tensor.name in names:
            before = numpy_helper.to_array(tensor)
            after = _narrowed(weights[names[tensor.name]], before.dtype)
            tensor.CopyFrom(numpy_helper.from_array(after, tensor.name))
    return bytes(model.SerializeToString())


def _narrowed(values: NDArray[np.float32], dtype: "np.dtype[Any]") -> NDArray[Any]:
    most = float(np.finfo(dtype).max)
    if not np.abs(values).max(initial=0.0) <= most:
        raise ModelError("a tuned weight has grown beyond what the bundle can keep", "leave out --lora")
    return np.asarray(values, dtype)


def _number_of(node: Any) -> int | None:
    found = _LAYER.search(node.output[0])
    return int(found[1]) if found else None
