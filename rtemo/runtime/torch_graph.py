"""TorchGraph: an ONNX graph as a chain of torch operations on one device, of static shape.

The graph that ships is the one description of a network; running it operation by operation in torch needs no second
file and no second set of weights, and a device replays the whole chain as one CUDA graph. What is known when the graph
is built (axes, shapes, weights) is settled then. An expert that the graph gives some rows only (`NonZero`, `GatherND`,
`ScatterND`) is run for all rows and its results masked, so that no shape depends on data.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from rtemo.api import ModelError

Tensor = torch.Tensor
Run = Callable[..., Any]


class Rows:
    """Rows chosen by a graph, as a mask bool [n] in place of their numbers."""

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask


class TorchGraph:
    """Runs an ONNX graph in torch.

    Args:
        data: The model, without external data, already checked.
        device: Where weights and results lie.
        half: Whether matrices are multiplied in half precision; everything else stays float32.
        exact: Whether products with 8-bit weights round their input to 8 bits by blocks as ONNX Runtime does; without,
            they are as precise as floats allow, and faster.

    Raises:
        ModelError: The graph has an operation that is not known here.
    """

    def __init__(self, data: bytes, device: torch.device, half: bool = False, exact: bool = True) -> None:
        graph = onnx.load_from_string(data).graph
        self.device = device
        self.half = half
        self.exact = exact
        self.constants: dict[str, np.ndarray[Any, Any]] = {
            tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer
        }
        self._tensors = {name: torch.from_numpy(value.copy()).to(device) for name, value in self.constants.items()}
        self._steps: list[tuple[Run, list[str], list[str]]] = []
        for node in graph.node:
            if node.op_type == "Cast" and node.input[0] in self.constants:  # weights kept small in the file
                self._widen(node.input[0], node.output[0], onnx.helper.get_attribute_value(node.attribute[0]))
                continue
            make = _OPERATIONS.get(node.op_type)
            if make is None:
                raise ModelError(
                    f"the torch back end does not know the operation {node.op_type}",
                    "run this bundle by ONNX Runtime: runtime.back_end = 'onnx'",
                )
            attributes = {item.name: onnx.helper.get_attribute_value(item) for item in node.attribute}
            run, inputs = make(_Node(self, list(node.input), len(node.output), attributes))
            self._steps.append((run, inputs, list(node.output)))

    def __call__(self, inputs: dict[str, Tensor], wanted: Sequence[str]) -> list[Tensor]:
        """Run once.

        Args:
            inputs: name → tensor on the device.
            wanted: Names of the outputs to give.
        """
        values: dict[str, Any] = {**self._tensors, **inputs}
        for run, names, outputs in self._steps:
            result = run(*(values[name] for name in names))
            if len(outputs) == 1:
                values[outputs[0]] = result
            else:
                values.update(zip(outputs, result, strict=True))
        return [values[name] for name in wanted]

    def _widen(self, name: str, wide: str, to: int) -> None:
        value = self.constants[name].astype(onnx.helper.tensor_dtype_to_np_dtype(to))
        self.constants[wide] = value
        self._tensors[wide] = torch.from_numpy(value).to(self.device)

    def matrix(self, value: np.ndarray[Any, Any] | Tensor) -> Tensor:
        """Put a weight on the device, in the precision in which matrices are multiplied."""
        tensor = value if isinstance(value, Tensor) else torch.from_numpy(value.copy())
        return tensor.to(self.device, torch.float16 if self.half else torch.float32)


class _Node:
    """One operation while it is built."""

    def __init__(self, graph: TorchGraph, inputs: list[str], output_count: int, attributes: dict[str, Any]) -> None:
        self.graph = graph
        self.inputs = inputs
        self.output_count = output_count
        self.attributes = attributes

    def __getitem__(self, name: str) -> Any:
        return self.attributes[name]

    def get(self, name: str, default: Any = None) -> Any:
        return self.attributes.get(name, default)

    def constant(self, index: int) -> np.ndarray[Any, Any] | None:
        """What an input holds that must be known beforehand; None for one left out."""
        if index >= len(self.inputs) or not self.inputs[index]:
            return None
        try:
            return self.graph.constants[self.inputs[index]]
        except KeyError:
            raise ModelError(
                f"the torch back end needs {self.inputs[index]!r} to be a constant of the graph",
                "run this bundle by ONNX Runtime: runtime.back_end = 'onnx'",
            ) from None

    def ints(self, index: int, name: str) -> list[int]:
        """Whole numbers that newer graphs give as an input and older ones as an attribute."""
        given = self.constant(index)
        return list(self.get(name, ())) if given is None else [int(value) for value in given.reshape(-1)]


Made = tuple[Run, list[str]]


def _plain(function: Run) -> Callable[[_Node], Made]:
    return lambda node: (function, node.inputs)


def _folded(function: Run) -> Callable[[_Node], Made]:
    def run(first: Tensor, *others: Tensor) -> Tensor:
        for other in others:
            first = function(first, other)
        return first

    return lambda node: (run, node.inputs)


def _reduced(function: Run) -> Callable[[_Node], Made]:
    def make(node: _Node) -> Made:
        axes, keep = node.ints(1, "axes"), bool(node.get("keepdims", 1))
        return (lambda x: function(x, axes or list(range(x.dim())), keep)), node.inputs[:1]

    return make


def _softmax(node: _Node) -> Made:
    axis = node.get("axis", -1)
    return (lambda x: torch.softmax(x, axis)), node.inputs


def _argmax(node: _Node) -> Made:
    axis, keep = node.get("axis", 0), bool(node.get("keepdims", 1))
    return (lambda x: torch.argmax(x, axis, keep)), node.inputs


_DTYPES = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64}


def _cast(node: _Node) -> Made:
    dtype = _DTYPES[node["to"]]
    return (lambda x: x.to(dtype)), node.inputs


def _clip(node: _Node) -> Made:
    low, high = node.constant(1), node.constant(2)
    least = None if low is None else float(low.reshape(()))
    most = None if high is None else float(high.reshape(()))
    return (lambda x: torch.clamp(x, least, most)), node.inputs[:1]


def _concat(node: _Node) -> Made:
    axis = node["axis"]
    return (lambda *xs: torch.cat(xs, axis)), node.inputs


def _reshape(node: _Node) -> Made:
    shape = node.ints(1, "shape")

    def run(x: Tensor) -> Tensor:
        sizes = [x.shape[axis] if size == 0 else size for axis, size in enumerate(shape)]
        if -1 not in sizes and sizes[0] == 1 and x.shape[0] != 1 and x.numel() != int(np.prod(sizes)):
            sizes[0] = -1
        return x.reshape(sizes)

    return run, node.inputs[:1]


def _slice(node: _Node) -> Made:
    starts, ends = node.ints(1, "starts"), node.ints(2, "ends")
    axes = node.ints(3, "axes") or list(range(len(starts)))
    steps = node.ints(4, "steps") or [1] * len(starts)

    def run(x: Tensor) -> Tensor:
        for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
            size = x.shape[axis]
            first, last, _ = slice(start, end, step).indices(size)
            x = x.narrow(axis, first, max(last - first, 0))
            if step != 1:
                x = x[(slice(None),) * (axis % x.dim()) + (slice(None, None, step),)]
        return x

    return run, node.inputs[:1]


def _split(node: _Node) -> Made:
    sizes, axis, count = node.ints(1, "split"), node.get("axis", 0), node.output_count

    def run(x: Tensor) -> Any:
        return torch.split(x, sizes or x.shape[axis] // count, axis)

    return run, node.inputs[:1]


def _squeeze(node: _Node) -> Made:
    axes = node.ints(1, "axes")
    return (lambda x: torch.squeeze(x, tuple(axes)) if axes else torch.squeeze(x)), node.inputs[:1]


def _unsqueeze(node: _Node) -> Made:
    axes = sorted(node.ints(1, "axes"))

    def run(x: Tensor) -> Tensor:
        for axis in axes:
            x = x.unsqueeze(axis)
        return x

    return run, node.inputs[:1]


def _pad(node: _Node) -> Made:
    if node.get("mode", b"constant") != b"constant" or len(node.inputs) > 3:
        raise ModelError("the torch back end pads with one value on all axes only", "use runtime.back_end = 'onnx'")
    pads, fill = node.ints(1, "pads"), node.constant(2)
    half = len(pads) // 2
    turned = [side for axis in range(half - 1, -1, -1) for side in (pads[axis], pads[half + axis])]
    value = 0.0 if fill is None else float(fill.reshape(()))
    return (lambda x: torch.nn.functional.pad(x, turned, value=value)), node.inputs[:1]


def _transpose(node: _Node) -> Made:
    perm = list(node["perm"])
    return (lambda x: x if isinstance(x, Rows) else x.permute(perm)), node.inputs


def _layer_norm(node: _Node) -> Made:
    if node.get("axis", -1) != -1:
        raise ModelError("the torch back end normalises the last axis only", "use runtime.back_end = 'onnx'")
    eps = node.get("epsilon", 1e-5)
    return (lambda x, scale, bias: torch.nn.functional.layer_norm(x, x.shape[-1:], scale, bias, eps)), node.inputs


def _conv(node: _Node) -> Made:
    graph, weight, bias = node.graph, node.constant(1), node.constant(2)
    pads = node.get("pads", [0, 0])
    if weight is None or weight.ndim != 3 or len(set(pads)) != 1 or node.get("auto_pad", b"NOTSET") != b"NOTSET":
        raise ModelError(
            "the torch back end knows convolutions over time with as much padding before as after",
            "use runtime.back_end = 'onnx'",
        )
    matrix = graph.matrix(weight)
    offset = None if bias is None else graph.matrix(bias)
    step, spread, groups = node.get("strides", [1])[0], node.get("dilations", [1])[0], node.get("group", 1)

    def run(x: Tensor) -> Tensor:
        return torch.nn.functional.conv1d(x.to(matrix.dtype), matrix, offset, step, pads[0], spread, groups).float()

    return run, node.inputs[:1]


def _gemm(node: _Node) -> Made:
    graph, weight, bias = node.graph, node.constant(1), node.constant(2)
    if node.get("alpha", 1.0) != 1.0 or node.get("beta", 1.0) != 1.0 or node.get("transA", 0) or weight is None:
        raise ModelError("the torch back end knows plain fully connected layers only", "use runtime.back_end = 'onnx'")
    matrix = graph.matrix(weight if node.get("transB", 0) else weight.T)
    offset = None if bias is None else graph.matrix(bias)
    return (lambda x: torch.nn.functional.linear(x.to(matrix.dtype), matrix, offset).float()), node.inputs[:1]


def _matmul(node: _Node) -> Made:
    half = node.graph.half

    def run(a: Tensor, b: Tensor) -> Tensor:
        return torch.matmul(a.half(), b.half()).float() if half else torch.matmul(a, b)

    return run, node.inputs


def _matmul_bits(node: _Node) -> Made:
    """Product with weights of 8 bits by blocks of the input, Microsoft's `MatMulNBits`."""
    graph, bits, block = node.graph, node["bits"], node["block_size"]
    raw, scale, bias = node.constant(1), node.constant(2), node.constant(5)
    if bits != 8 or node.constant(3) is not None or raw is None or scale is None:
        raise ModelError("the torch back end knows symmetric weights of 8 bits only", "use runtime.back_end = 'onnx'")
    rows, depth = node["N"], node["K"]
    bytes_by_block = raw.reshape(rows, -1, block).astype(np.float32) - 128.0
    weights = (bytes_by_block * scale.reshape(rows, -1, 1).astype(np.float32)).reshape(rows, -1)[:, :depth]
    matrix = graph.matrix(weights)
    offset = None if bias is None else graph.matrix(bias)
    is_rounded = graph.exact and node.get("accuracy_level", 0) == 4

    def run(x: Tensor) -> Tensor:
        if is_rounded:
            padded = torch.nn.functional.pad(x, (0, -depth % block))
            blocks = padded.reshape(*padded.shape[:-1], -1, block)
            step = blocks.abs().amax(-1, keepdim=True) / 127.0
            levels = torch.round(blocks * torch.where(step > 0, 1.0 / step, 0.0))
            x = (levels * step).reshape(padded.shape)[..., :depth]
        return torch.nn.functional.linear(x.to(matrix.dtype), matrix, offset).float()

    return run, node.inputs[:1]


def _nonzero(node: _Node) -> Made:
    return (lambda mask: Rows(mask)), node.inputs


def _gather_rows(node: _Node) -> Made:
    def run(x: Tensor, rows: Any) -> Tensor:
        if not isinstance(rows, Rows):
            raise ModelError("the torch back end gathers rows chosen by a mask only", "use runtime.back_end = 'onnx'")
        return x

    return run, node.inputs


def _scatter_rows(node: _Node) -> Made:
    def run(x: Tensor, rows: Any, updates: Tensor) -> Tensor:
        if not isinstance(rows, Rows):
            raise ModelError("the torch back end scatters rows chosen by a mask only", "use runtime.back_end = 'onnx'")
        return torch.where(rows.mask.reshape(-1, *[1] * (x.dim() - 1)), updates, x)

    return run, node.inputs


_OPERATIONS: dict[str, Callable[[_Node], Made]] = {
    "Abs": _plain(torch.abs),
    "Add": _plain(torch.add),
    "And": _plain(torch.logical_and),
    "ArgMax": _argmax,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Div": _plain(torch.div),
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "GatherND": _gather_rows,
    "Gemm": _gemm,
    "Greater": _plain(torch.gt),
    "Identity": _plain(lambda x: x),
    "LayerNormalization": _layer_norm,
    "Less": _plain(torch.lt),
    "Log": _plain(torch.log),
    "MatMul": _matmul,
    "MatMulNBits": _matmul_bits,
    "Max": _folded(torch.maximum),
    "Min": _folded(torch.minimum),
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "NonZero": _nonzero,
    "Pad": _pad,
    "Pow": _plain(torch.pow),
    "Reciprocal": _plain(torch.reciprocal),
    "ReduceMax": _reduced(torch.amax),
    "ReduceMean": _reduced(torch.mean),
    "ReduceSum": _reduced(torch.sum),
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "ScatterND": _scatter_rows,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": _softmax,
    "Split": _split,
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": _squeeze,
    "Sub": _plain(torch.sub),
    "Tanh": _plain(torch.tanh),
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
    "Where": _plain(torch.where),
}
