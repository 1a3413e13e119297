"""Small emotion models of single windows, in bundle folders."""

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from rtemo.api import TensorSpec
from tests.fakes.bundles import card, write_bundle

SAMPLES = 32_000
FRAMES, BANDS = 200, 64
LABELS = ("neu", "hap", "ang", "sad", "boredom")
_RANDOM = np.random.default_rng(5)
WAVE_GAIN = np.array([[-40.0, 8.0, 60.0, -8.0, 3.0]], np.float32)
WAVE_BIAS = np.array([1.0, 0.0, -1.0, 0.5, -0.5], np.float32)
MEL_MATRIX = (_RANDOM.standard_normal((BANDS, len(LABELS))) * 0.05).astype(np.float32)


def _graph(nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], constants: dict[str, Any]) -> bytes:
    types = {name: TensorProto.INT64 if name == "length" else TensorProto.FLOAT for name in inputs}
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, types[name], shape) for name, shape in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()


def wave_bundle(folder: Path, *, with_mask: bool = True, **changes: Any) -> Path:
    """A bundle that takes two seconds of waveform: logits and arousal by the mean magnitude of what is not masked."""
    nodes = [
        helper.make_node("Abs", ["audio"], ["magnitude"]),
        helper.make_node("Mul", ["magnitude", "mask" if with_mask else "one"], ["kept"]),
        helper.make_node("ReduceSum", ["kept", "axis"], ["total"], keepdims=1),
        helper.make_node("ReduceSum", ["mask", "axis"], ["count"], keepdims=1)
        if with_mask
        else helper.make_node("Identity", ["size"], ["count"]),
        helper.make_node("Div", ["total", "count"], ["mean"]),
        helper.make_node("Gemm", ["mean", "gain", "bias"], ["logits"]),
        helper.make_node("Squeeze", ["mean", "axis"], ["arousal"]),
    ]
    inputs = {"audio": ["n", SAMPLES], **({"mask": ["n", SAMPLES]} if with_mask else {})}
    constants = {
        "axis": np.array([1]),
        "gain": WAVE_GAIN,
        "bias": WAVE_BIAS,
        "one": np.float32(1),
        "size": np.array([[SAMPLES]], np.float32),
    }
    model = _graph(nodes, inputs, {"logits": ["n", len(LABELS)], "arousal": ["n"]}, constants)
    described = card(
        **{
            "name": "wave",
            "task": "emotion",
            "inputs": {"audio": TensorSpec((SAMPLES,)), **({"mask": TensorSpec((SAMPLES,))} if with_mask else {})},
            "outputs": {"logits": TensorSpec((len(LABELS),)), "arousal": TensorSpec(())},
            "labels": LABELS,
            "emotions": {"boredom": ""},
            "front_end": {"kind": "waveform", "stride_s": 0.5},
            "calibration": {"temperature": 2.0, "arousal_scale": 4.0, "arousal_offset": -0.5},
            **changes,
        }
    )
    return write_bundle(folder, model, described)


def mel_bundle(folder: Path, **changes: Any) -> Path:
    """A bundle that takes two seconds of log-mels, bands first: logits by their mean over `length` frames."""
    nodes = [
        helper.make_node("ReduceSum", ["bands", "axis"], ["total"], keepdims=0),
        helper.make_node("Cast", ["length"], ["count"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["count", "one"], ["column"]),
        helper.make_node("Div", ["total", "column"], ["mean"]),
        helper.make_node("MatMul", ["mean", "matrix"], ["logits"]),
    ]
    constants = {"axis": np.array([2]), "one": np.array([1]), "matrix": MEL_MATRIX}
    inputs = {"bands": ["n", BANDS, FRAMES], "length": ["n"]}
    model = _graph(nodes, inputs, {"logits": ["n", len(LABELS)]}, constants)
    described = card(
        **{
            "name": "mel",
            "task": "emotion",
            "inputs": {"bands": TensorSpec((BANDS, FRAMES)), "length": TensorSpec((), "int64")},
            "outputs": {"logits": TensorSpec((len(LABELS),))},
            "labels": LABELS,
            "emotions": {"boredom": "neutral"},
            "front_end": {"kind": "logmel", "stride_s": 0.5, "normalise": "fixed", "mean": -23.0, "deviation": 23.0},
            **changes,
        }
    )
    return write_bundle(folder, model, described)


def vector_bundle(folder: Path, **changes: Any) -> Path:
    """A bundle that gives three dimensions and no labels."""
    nodes = [
        helper.make_node("Abs", ["audio"], ["magnitude"]),
        helper.make_node("ReduceMean", ["magnitude"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("Mul", ["column", "gain"], ["vector"]),
    ]
    constants = {"one": np.array([1]), "gain": np.array([[5.0, 1.0, 2.0]], np.float32)}
    model = _graph(nodes, {"audio": ["n", 1, SAMPLES]}, {"vector": ["n", 3]}, constants)
    described = card(
        **{
            "name": "vector",
            "task": "emotion",
            "inputs": {"audio": TensorSpec((1, SAMPLES))},
            "outputs": {"vector": TensorSpec((3,))},
            "dimensions": ("arousal", "dominance", "valence"),
            "front_end": {"kind": "waveform", "pad": "repeat"},
            "calibration": {"arousal_scale": 2.0, "arousal_offset": -1.0},
            **changes,
        }
    )
    return write_bundle(folder, model, described)
