"""GraphBuilder: writes an ONNX graph node by node, so that the exported step has no node it does not need."""

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET = 17
CONTRIB = "com.microsoft"
BLOCK = 64
"""Inputs that share a scale where weights are bytes."""


class GraphBuilder:
    """Collects nodes, weights, inputs and outputs; every input and output has a dynamic batch axis 0 named `n`.

    Args:
        small_weights: Keep matrices as bytes, a quarter of the size. All of them: a float product rounds otherwise for
            one row than for two, and bytes would make a thousand times more of it.
    """

    def __init__(self, small_weights: bool = False) -> None:
        self._small_weights = small_weights
        self._nodes: list[onnx.NodeProto] = []
        self._weights: dict[str, NDArray[np.generic]] = {}
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: tuple[int, ...]) -> str:
        """Declare a float32 input [n, *shape]."""
        self._inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]))
        return name

    def output(self, value: str, name: str, shape: tuple[int, ...]) -> None:
        """Declare the float32 output `name` [n, *shape] and feed it from `value`."""
        for node in self._nodes:
            for k, made in enumerate(node.output):
                if made == value:
                    node.output[k] = name
            for k, used in enumerate(node.input):
                if used == value:
                    node.input[k] = name
        self._outputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape]))

    def weight(self, name: str, values: NDArray[np.generic]) -> str:
        """Store a constant and return its name."""
        self._weights[name] = values
        return name

    def scalar(self, value: float) -> str:
        """A float32 constant."""
        return self.weight(f"const_{value:.9g}", np.array(value, np.float32))

    def add(self, op: str, *inputs: str, outputs: int = 1, **attributes: object) -> str:
        """Append a node and return the name of its first output; further ones are `<name>.1`, `<name>.2`."""
        name = f"{op.lower()}_{len(self._nodes)}"
        made = [name] + [f"{name}.{k}" for k in range(1, outputs)]
        self._nodes.append(helper.make_node(op, list(inputs), made, name=name, **attributes))
        return name

    def linear(self, x: str, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """A fully connected layer of weight [out, in]; as bytes in a graph of `small_weights`."""
        if self._small_weights and weight.shape[1] % BLOCK == 0:
            return self._byte_linear(x, name, weight, bias)
        w = self.weight(f"{name}.weight", np.ascontiguousarray(weight.T))
        return self.add("Gemm", x, w, self.weight(f"{name}.bias", bias))

    def _byte_linear(self, x: str, name: str, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> str:
        """Weights as bytes with a scale per `BLOCK` inputs; the inputs of each row are rounded to bytes alike.

        ONNX Runtime's `MatMulNBits` scales every row and block of the input by itself, so rows do not touch each other,
        as they would with one scale for the whole batch.
        """
        outputs, inputs = weight.shape
        blocks = weight.reshape(outputs, inputs // BLOCK, BLOCK)
        scale = np.maximum(np.abs(blocks).max(2), 1e-12) / 127
        whole = (np.round(blocks / scale[..., None]) + 128).astype(np.uint8)
        return self.add(
            "MatMulNBits",
            x,
            self.weight(f"{name}.bytes", whole),
            self.weight(f"{name}.scale", scale.astype(np.float32).reshape(-1)),
            "",
            "",
            self.weight(f"{name}.bias", bias),
            domain=CONTRIB,
            K=inputs,
            N=outputs,
            bits=8,
            block_size=BLOCK,
            accuracy_level=4,
        )

    def model(self, name: str, metadata: Mapping[str, str]) -> onnx.ModelProto:
        """Finish, check and return the model, with `metadata` as its metadata_props."""
        weights = [numpy_helper.from_array(values, key) for key, values in self._weights.items()]
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, weights)
        model = helper.make_model(graph, opset_imports=self._opsets(), producer_name="rtemo_models")
        model.ir_version = 9
        helper.set_model_props(model, dict(metadata))
        onnx.checker.check_model(
            model, full_check=not self._small_weights
        )  # shapes of contributed operators are unknown
        return model

    def _opsets(self) -> list[onnx.OperatorSetIdProto]:
        opsets = [helper.make_opsetid("", OPSET)]
        return [*opsets, helper.make_opsetid(CONTRIB, 1)] if self._small_weights else opsets
