"""Small real models, and bundle folders on disk around them."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
from onnx import TensorProto, helper, numpy_helper

from rtemo.api import ModelCard, TensorSpec

FEATURES, CHANNELS, MEMORY = 40, 128, 8


def onnx_bytes(nodes, inputs, outputs, constants=None, domain=None) -> bytes:
    """Serialise a float32 graph; `inputs` and `outputs` map names to shapes."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()],
    )
    opsets = [helper.make_opsetid("", 17), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def summing_model(batch="n", features=3) -> bytes:
    """Return a graph with a memory: next_total = total + x, y = next_total."""
    shape = [batch, features]
    nodes = [
        helper.make_node("Add", ["total", "x"], ["next_total"]),
        helper.make_node("Identity", ["next_total"], ["y"]),
    ]
    return onnx_bytes(nodes, {"x": shape, "total": shape}, {"y": shape, "next_total": shape})


def summing_card(**changes) -> ModelCard:
    """Describe `summing_model`."""
    return card(
        inputs={"x": TensorSpec((3,))}, states={"total": TensorSpec((3,))}, outputs={"y": TensorSpec((3,))}, **changes
    )


def convolving_model(layers=4) -> bytes:
    """Return a causal network of depthwise-separable blocks, each with a cache of its past inputs."""
    random = np.random.default_rng(0)

    def weights(*shape):
        return (random.standard_normal(shape) * 0.1).astype(np.float32)

    constants = {"one": np.array([1]), "end": np.array([1 << 30]), "axis": np.array([2])}
    constants["w"] = weights(CHANNELS, FEATURES, 1)
    nodes = [helper.make_node("Conv", ["x", "w"], ["h0"], kernel_shape=[1])]
    caches = {}
    for i in range(layers):
        constants[f"d{i}"], constants[f"p{i}"] = weights(CHANNELS, 1, MEMORY + 1), weights(CHANNELS, CHANNELS, 1)
        caches[f"cache{i}"] = ["n", CHANNELS, MEMORY]
        nodes += [
            helper.make_node("Concat", [f"cache{i}", f"h{i}"], [f"c{i}"], axis=2),
            helper.make_node("Slice", [f"c{i}", "one", "end", "axis"], [f"next_cache{i}"]),
            helper.make_node("Conv", [f"c{i}", f"d{i}"], [f"dw{i}"], group=CHANNELS, kernel_shape=[MEMORY + 1]),
            helper.make_node("Relu", [f"dw{i}"], [f"r{i}"]),
            helper.make_node("Conv", [f"r{i}", f"p{i}"], [f"pw{i}"], kernel_shape=[1]),
            helper.make_node("Add", [f"pw{i}", f"h{i}"], [f"h{i + 1}"]),
        ]
    nodes.append(helper.make_node("Flatten", [f"h{layers}"], ["y"], axis=1))
    following = {f"next_{name}": shape for name, shape in caches.items()}
    return onnx_bytes(nodes, {"x": ["n", FEATURES, 1], **caches}, {"y": ["n", CHANNELS], **following}, constants)


def convolving_card(layers=4) -> ModelCard:
    """Describe `convolving_model`."""
    return card(
        inputs={"x": TensorSpec((FEATURES, 1))},
        states={f"cache{i}": TensorSpec((CHANNELS, MEMORY)) for i in range(layers)},
        outputs={"y": TensorSpec((CHANNELS,))},
    )


def card(**fields) -> ModelCard:
    """Make a card whose dull fields are filled in."""
    dull = {
        "name": "toy",
        "version": "1",
        "task": "test",
        "weights": "toy.onnx",
        "sha256": "",
        "licence": "Apache-2.0",
        "sample_rate_hz": 16_000,
        "hop_samples": 160,
        "hops_per_step": 1,
        "lookahead_samples": 0,
        "latency_samples": 0,
        "parameters": 0,
        "macs_per_s": 0,
        "inputs": {},
        "states": {},
        "outputs": {},
    }
    return ModelCard(**(dull | fields))


def write_bundle(folder: Path, model: bytes, described: ModelCard) -> Path:
    """Write weights and card into a folder, the hash filled in when the card has none."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "toy.onnx").write_bytes(model)
    if not described.sha256:
        described = msgspec.structs.replace(described, sha256=hashlib.sha256(model).hexdigest())
    (folder / "card.json").write_bytes(msgspec.json.encode(described))
    return folder
