"""Small bundles that keep the gem plugin's seam: a random ensemble, and one whose score is how loud the voice is."""

import hashlib
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import EXPERTS, ModelCard, TensorSpec
from rtemo_models.kit.export.graph import GraphBuilder
from tests.fakes.bundles import card

TRACES, STEP_HOPS, WIDTH = 36, 4, 16
FRONT_END = {
    "rate_hz": 16_000,
    "hop_samples": 160,
    "frame_samples": 128,
    "frame_hop_samples": 80,
    "window": "hann",
    "scale": "linear",
    "band_count": 16,
    "low_hz": 0.0,
    "high_hz": 8000.0,
    "floor": 1e-10,
    "residual_samples": 320,
    "reach_samples": 3840,
}


def gem_graph(seed: int = 0, width: int = WIDTH, layers: int = 1) -> bytes:
    """A recurrent trunk with random weights, a mean over speech that forgets, and four linear experts."""
    g, random = GraphBuilder(), np.random.default_rng(seed)

    def linear(x: str, name: str, inputs: int, outputs: int, size: float = 1.0) -> str:
        weight = (size * random.standard_normal((outputs, inputs)) / np.sqrt(inputs)).astype(np.float32)
        return g.linear(x, name, weight, np.zeros(outputs, np.float32))

    traces, weight, gate = _inputs(g)
    memory = g.input("memory", (width,))
    scaled = g.add("Mul", g.add("Add", traces, g.scalar(11.0)), g.scalar(0.1))
    flat = g.add("Reshape", scaled, g.weight("flat", np.array([0, STEP_HOPS * TRACES], np.int64)))
    x = g.add("Tanh", linear(flat, "stem", STEP_HOPS * TRACES, width))
    kept = g.add("Add", g.add("Mul", memory, g.scalar(0.7)), g.add("Mul", x, g.scalar(0.3)))
    x = kept
    for layer in range(layers):
        x = g.add("Tanh", linear(x, f"layer_{layer}", width, width, size=2.0))
    mean = _pooled(g, x, weight, width, keep=0.97)
    _mix(g, linear(mean, "experts", width, len(EXPERTS), size=6.0), gate)
    g.output(kept, "next_memory", (width,))
    return g.model("gem", {}).SerializeToString()


def loudness_graph(offset: float, keep: float, biases: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)) -> bytes:
    """Every expert says how far the mean log power over speech lies above `offset`, plus its own bias."""
    g = GraphBuilder()
    traces, weight, gate = _inputs(g)
    ints = [g.weight(f"int_{k}", np.array([k], np.int64)) for k in (0, 2, TRACES - 4)]
    bands = g.add("Slice", traces, ints[0], ints[2], ints[1])
    level = g.add("ReduceMean", bands, axes=[1, 2], keepdims=0)
    column = g.add("Unsqueeze", level, g.weight("axis_1", np.array([1], np.int64)))
    mean = _pooled(g, column, weight, 1, keep)
    lifted = g.add("Sub", mean, g.scalar(offset))
    _mix(g, g.add("Add", lifted, g.weight("biases", np.array(biases, np.float32))), gate)
    return g.model("gem", {}).SerializeToString()


def _inputs(g: GraphBuilder) -> tuple[str, str, str]:
    return g.input("traces", (STEP_HOPS, TRACES)), g.input("weight", (STEP_HOPS,)), g.input("gate", (len(EXPERTS),))


def _pooled(g: GraphBuilder, x: str, weight: str, width: int, keep: float) -> str:
    """Mean of x over hops with voice, forgetting by `keep` per step that is all voice."""
    mass, total = g.input("pool_mass", (1,)), g.input("pool_sum", (width,))
    share = g.add("ReduceMean", weight, axes=[1], keepdims=1)
    left = g.add("Pow", g.scalar(keep), share)
    next_mass = g.add("Add", g.add("Mul", mass, left), share)
    next_total = g.add("Add", g.add("Mul", total, left), g.add("Mul", x, share))
    mean = g.add("Div", next_total, g.add("Max", next_mass, g.scalar(1e-6)))
    g.output(next_mass, "next_pool_mass", (1,))
    g.output(next_total, "next_pool_sum", (width,))
    return mean


def _mix(g: GraphBuilder, experts: str, gate: str) -> None:
    shares = g.add("Mul", experts, gate)
    g.output(g.add("ReduceSum", shares, g.weight("all", np.array([1], np.int64)), keepdims=0), "score", ())
    g.output(experts, "experts", (len(EXPERTS),))


def _write(folder: Path, weights: bytes, states: dict[str, TensorSpec], facts: dict[str, object]) -> str:
    described: dict[str, object] = {
        "name": "gem",
        "weights": "gem.onnx",
        "sha256": hashlib.sha256(weights).hexdigest(),
        "hops_per_step": STEP_HOPS,
        "inputs": {
            "traces": TensorSpec((STEP_HOPS, TRACES)),
            "weight": TensorSpec((STEP_HOPS,)),
            "gate": TensorSpec((len(EXPERTS),)),
        },
        "states": states,
        "outputs": {"score": TensorSpec(()), "experts": TensorSpec((len(EXPERTS),))},
        "labels": EXPERTS,
        "front_end": FRONT_END,
    }
    made: ModelCard = card(**(described | facts))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / made.weights).write_bytes(weights)
    (folder / "card.json").write_bytes(msgspec.json.encode(made))
    return str(folder)


def _pool_states(width: int) -> dict[str, TensorSpec]:
    return {"pool_mass": TensorSpec((1,)), "pool_sum": TensorSpec((width,))}


def gem_bundle(folder: Path, *, seed: int = 0, width: int = WIDTH, layers: int = 1, **facts: object) -> str:
    """Write a bundle with random weights; give its folder. `facts` change the card."""
    states = _pool_states(width) | {"memory": TensorSpec((width,))}
    return _write(folder, gem_graph(seed, width, layers), states, facts)


def loudness_bundle(
    folder: Path,
    *,
    offset: float = -9.3,
    keep: float = 0.97,
    biases: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0),
    **facts: object,
) -> str:
    """Write a bundle whose score a test can steer by loudness; give its folder. `facts` change the card."""
    return _write(folder, loudness_graph(offset, keep, biases), _pool_states(1), facts)


def hiss(duration_s: float, level: float, seed: int = 0) -> NDArray[np.float32]:
    """White noise of a level, for a bench that says what is speech."""
    samples = np.random.default_rng(seed).standard_normal(round(duration_s * 16_000))
    return (level * samples).clip(-1, 1).astype(np.float32)
