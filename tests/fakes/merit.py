"""A pair of small bundles with random weights that keeps the merit plugin's seam: real graphs, states and a context."""

import hashlib
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, ModelCard, TensorSpec
from rtemo_models.kit.export.graph import GraphBuilder
from tests.fakes.bundles import card

MELS, BINS, STEP_HOPS = 64, 257, 4
CONTEXT, WIDTH, WORDS = 6, 16, 192
FRONT_END = {
    "rate_hz": 16_000,
    "hop_samples": 160,
    "frame_samples": 512,
    "synthesis_samples": 480,
    "fft_samples": 512,
    "mel_count": MELS,
    "low_hz": 60.0,
    "high_hz": 7600.0,
    "floor": 1e-10,
}


class MeritBundles(NamedTuple):
    """Folders of the two bundles, to be named in the plugin's options."""

    listen_bundle: str
    enhance_bundle: str


class _Net:
    """A graph that is written with random weights."""

    def __init__(self, seed: int) -> None:
        self.graph = GraphBuilder()
        self._random = np.random.default_rng(seed)

    def weights(self, *shape: int, size: float = 1.0) -> NDArray[np.float32]:
        return (size * self._random.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    def linear(self, x: str, name: str, inputs: int, outputs: int, size: float = 1.0) -> str:
        return self.graph.linear(x, name, self.weights(outputs, inputs, size=size), self.weights(outputs, size=size))

    def scaled(self, log_power: str) -> str:
        """Bring natural logarithms of power, -23 to 0, to about -1 to 1."""
        g = self.graph
        return g.add("Mul", g.add("Add", log_power, g.scalar(11.0)), g.scalar(0.1))

    def mix(self, state: str, value: str, keep: float) -> str:
        g = self.graph
        kept = g.add("Mul", state, g.scalar(keep))
        return g.add("Add", kept, g.add("Mul", value, g.scalar(1.0 - keep)))


def _listen_graph(seed: int, words: int) -> bytes:
    net = _Net(seed)
    g = net.graph
    bands, weight = g.input("bands", (STEP_HOPS, MELS)), g.input("weight", (STEP_HOPS,))
    memory, mass, total = g.input("memory", (WIDTH,)), g.input("pool_mass", (1,)), g.input("pool_sum", (WIDTH,))
    flat = g.add("Reshape", net.scaled(bands), g.weight("flat", np.array([0, STEP_HOPS * MELS], np.int64)))
    heard = net.mix(memory, g.add("Tanh", net.linear(flat, "heard", STEP_HOPS * MELS, WIDTH)), 0.7)
    share = g.add("ReduceMean", weight, axes=[1], keepdims=1)
    next_mass = g.add("Add", mass, share)
    next_total = g.add("Add", total, g.add("Mul", share, heard))
    mean = g.add("Div", next_total, g.add("Max", next_mass, g.scalar(1e-6)))
    circumplex = g.add("Tanh", net.linear(mean, "circumplex", WIDTH, 2))
    axis = g.weight("axis_1", np.array([1], np.int64))
    split = g.add("Split", circumplex, g.weight("one_each", np.array([1, 1], np.int64)), outputs=2, axis=1)
    routes = [
        g.add("Cast", g.add("ArgMax", net.linear(heard, name, WIDTH, 3), axis=1, keepdims=1), to=1)
        for name in ("emotion_router", "enhancement_router")
    ]
    context = g.add("Tanh", net.linear(heard, "context", WIDTH, CONTEXT, size=3.0))
    g.output(net.linear(mean, "logits", WIDTH, len(EMOTIONS), size=4.0), "logits", (len(EMOTIONS),))
    g.output(g.add("Squeeze", split, axis), "arousal", ())
    g.output(g.add("Squeeze", f"{split}.1", axis), "valence", ())
    g.output(context, "context", (CONTEXT,))
    g.output(g.add("Concat", *routes, axis=1), "experts", (2,))
    if words:
        g.output(g.add("Tanh", net.linear(heard, "words", WIDTH, words, size=3.0)), "words", (words,))
    g.output(heard, "next_memory", (WIDTH,))
    g.output(next_mass, "next_pool_mass", (1,))
    g.output(next_total, "next_pool_sum", (WIDTH,))
    return g.model("merit-listen", {}).SerializeToString()


def _enhance_graph(seed: int, with_bins: bool, gain: float | None) -> bytes:
    net = _Net(seed)
    g = net.graph
    parts = [net.scaled(g.input("bands", (MELS,))), g.input("context", (CONTEXT,))]
    if with_bins:
        parts.append(net.scaled(g.input("bins", (BINS,))))
    size = MELS + CONTEXT + BINS * with_bins
    memory = g.input("memory", (WIDTH,))
    new = g.add("Tanh", net.linear(g.add("Concat", *parts, axis=1), "heard", size, WIDTH, size=2.0))
    heard = net.mix(memory, new, 0.5)
    if gain is None:
        logits = net.linear(heard, "gain", WIDTH, BINS, size=2.0)
    else:  # the same for every bin, whatever is heard
        bias = np.full(BINS, np.clip(np.log(gain) - np.log1p(-gain), -200, 200) if 0 < gain < 1 else 400 * gain - 200)
        logits = g.linear(heard, "gain", np.zeros((BINS, WIDTH), np.float32), bias.astype(np.float32))
    g.output(g.add("Sigmoid", logits), "gain", (BINS,))
    g.output(heard, "next_memory", (WIDTH,))
    return g.model("merit-enhance", {}).SerializeToString()


def _write(folder: Path, weights: bytes, described: ModelCard) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / described.weights).write_bytes(weights)
    described = msgspec.structs.replace(described, sha256=hashlib.sha256(weights).hexdigest())
    (folder / "card.json").write_bytes(msgspec.json.encode(described))
    return str(folder)


def merit_bundles(
    folder: Path,
    *,
    with_bins: bool = True,
    gain: float | None = None,
    words: int = WORDS,
    seed: int = 0,
    **listen: object,
) -> MeritBundles:
    """Write both bundles.

    Args:
        folder: Where to.
        with_bins: Whether the enhancer looks at bins too.
        gain: The gain of every bin at every time; by default it depends on what is heard, and on the context.
        words: Length of the words that the listener gives; 0 for a listener that keeps them to itself.
        seed: Of the weights.
        **listen: What else the card of `merit-listen` says.
    """
    facts: dict[str, object] = {
        "name": "merit-listen",
        "weights": "listen.onnx",
        "hops_per_step": STEP_HOPS,
        "inputs": {"bands": TensorSpec((STEP_HOPS, MELS)), "weight": TensorSpec((STEP_HOPS,))},
        "states": {"memory": TensorSpec((WIDTH,)), "pool_mass": TensorSpec((1,)), "pool_sum": TensorSpec((WIDTH,))},
        "outputs": {
            "logits": TensorSpec((len(EMOTIONS),)),
            "arousal": TensorSpec(()),
            "valence": TensorSpec(()),
            "context": TensorSpec((CONTEXT,)),
            "experts": TensorSpec((2,)),
            **({"words": TensorSpec((words,))} if words else {}),
        },
        "labels": EMOTIONS,
        "front_end": FRONT_END,
        "calibration": {"temperature": 1.2, "unsure_below": 0.3},
    }
    inputs = {"bands": TensorSpec((MELS,)), "context": TensorSpec((CONTEXT,))}
    if with_bins:
        inputs["bins"] = TensorSpec((BINS,))
    enhance = card(
        name="merit-enhance",
        weights="enhance.onnx",
        inputs=inputs,
        states={"memory": TensorSpec((WIDTH,))},
        outputs={"gain": TensorSpec((BINS,))},
        front_end=FRONT_END,
    )
    return MeritBundles(
        _write(folder / "listen", _listen_graph(seed, words), card(**(facts | listen))),
        _write(folder / "enhance", _enhance_graph(seed + 1, with_bins, gain), enhance),
    )
