"""Export of Resemblyzer's speaker embedding to a bundle that ONNX Runtime runs.

The network is that of Wan et al. 2018 (GE2E, arXiv:1710.10467) as published with the package resemblyzer: three LSTM
layers over 40 mel bands, a layer, a rectifier, length 1. Its weights are stored in half precision here.

    pip install resemblyzer --no-deps
    python -m rtemo_models.systems.speaker.export --out models/rtemo_models/bundles/speaker
"""

import argparse
import hashlib
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

FRAMES, BANDS, WIDTH, LAYERS = 160, 40, 256, 3
_NAME = "speaker.onnx"


def find_weights() -> Path:
    """Find the weights inside the installed package, without importing it (it wants librosa)."""
    spec = importlib.util.find_spec("resemblyzer")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("resemblyzer is not installed: pip install resemblyzer --no-deps")
    return Path(next(iter(spec.submodule_search_locations))) / "pretrained.pt"


def build_graph(weights: dict[str, torch.Tensor]) -> onnx.ModelProto:
    """Write the network down as a graph: mel [n, 160, 40] → embedding [n, 256]."""
    nodes: list[Any] = []
    tensors: list[Any] = []

    def constant(name: str, value: np.ndarray) -> str:
        tensors.append(numpy_helper.from_array(value.astype(np.float16), f"{name}_half"))
        nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], to=TensorProto.FLOAT))
        return name

    def gates(value: torch.Tensor) -> np.ndarray:
        i, f, g, o = np.split(value.numpy(), 4)  # torch keeps in, forget, cell, out; ONNX in, out, forget, cell
        return np.concatenate([i, o, f, g])[None]

    nodes.append(helper.make_node("Transpose", ["mel"], ["x0"], perm=[1, 0, 2]))
    last = ""
    for layer in range(LAYERS):
        w = constant(f"w{layer}", gates(weights[f"lstm.weight_ih_l{layer}"]))
        r = constant(f"r{layer}", gates(weights[f"lstm.weight_hh_l{layer}"]))
        bias = np.concatenate([gates(weights[f"lstm.bias_{kind}_l{layer}"]) for kind in ("ih", "hh")], axis=1)
        b = constant(f"b{layer}", bias)
        last = f"h{layer}"
        nodes.append(helper.make_node("LSTM", [f"x{layer}", w, r, b], [f"y{layer}", last], hidden_size=WIDTH))
        tensors.append(numpy_helper.from_array(np.array([1], np.int64), f"direction{layer}"))
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", f"direction{layer}"], [f"x{layer + 1}"]))
    tensors.append(numpy_helper.from_array(np.array([0], np.int64), "first"))
    nodes.append(helper.make_node("Squeeze", [last, "first"], ["hidden"]))
    weight = constant("weight", weights["linear.weight"].numpy())
    bias = constant("bias", weights["linear.bias"].numpy())
    nodes.append(helper.make_node("Gemm", ["hidden", weight, bias], ["linear"], transB=1))
    nodes.append(helper.make_node("Relu", ["linear"], ["positive"]))
    nodes.append(helper.make_node("LpNormalization", ["positive"], ["embedding"], axis=1, p=2))
    graph = helper.make_graph(
        nodes,
        "speaker",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, ["n", FRAMES, BANDS])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", WIDTH])],
        tensors,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def main() -> None:
    """Write graph and card."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    out: Path = parser.parse_args().out
    source = find_weights()
    weights = torch.load(source, map_location="cpu", weights_only=True)["model_state"]
    data = build_graph(weights).SerializeToString()
    out.mkdir(parents=True, exist_ok=True)
    (out / _NAME).write_bytes(data)
    card = {
        "name": "speaker",
        "version": "0.1.4",
        "task": "speaker",
        "weights": _NAME,
        "sha256": hashlib.sha256(data).hexdigest(),
        "weights_bytes": len(data),
        "licence": "Apache-2.0, (c) 2019 Resemble AI; the text lies beside the weights",
        "sample_rate_hz": 16_000,
        "hop_samples": 160,
        "hops_per_step": FRAMES,
        "lookahead_samples": 0,
        "latency_samples": 0,
        "parameters": int(sum(value.numel() for name, value in weights.items() if not name.startswith("similarity"))),
        "macs_per_s": 100 * 4 * WIDTH * (BANDS + 5 * WIDTH),
        "inputs": {"mel": {"shape": [FRAMES, BANDS]}},
        "states": {},
        "outputs": {"embedding": {"shape": [WIDTH]}},
        "front_end": {"mels": BANDS, "window_samples": 400, "hop_samples": 160, "level_dbfs": -30},
        "training_data": ["LibriSpeech, VoxCeleb 1 and 2 (as Resemblyzer states)"],
        "limits": [
            "tells how alike two voices sound, not who speaks; it is no proof of identity",
            "channel, noise and emotion move it; below 1.6 s of speech it is a guess",
        ],
        "recipe": "models/rtemo_models/systems/speaker/export.py",
    }
    (out / "card.json").write_text(json.dumps(card, indent=1) + "\n")
    print(f"{out / _NAME}: {len(data)} bytes from {source}")


if __name__ == "__main__":
    main()
