"""Writes the bundle of GEM: `python -m rtemo_models.export.gem --net calibrated.pt --out FOLDER`.

FOLDER gets `gem`: one step of the network as an ONNX graph with explicit state, for n streams per call, and its card.
"""

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import onnx

from rtemo.api import EXPERTS
from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.data.spoof.cache import FRONT_END
from rtemo_models.export.graph import GraphBuilder
from rtemo_models.export.layers import LayerWriter, array
from rtemo_models.nets.gem import HOPS, Gem, GemConfig, Measures, load_gem

RATE_HZ, HOP_SAMPLES = 16_000, 160
LICENCE = "non-commercial research use; see training_data for the terms of each corpus"
RECIPE = "models/recipes/gem"

TRAINING_DATA = (
    "Synthetic speech that authors published on demo pages, with their human references (terms mixed), but for what is "
    "named as left out: Tortoise, StyleTTS 2 and the systems compared there, VITS, AutoVC, EmoTacotron, "
    "EmotionTTS-prosody",
    "speech of espeak-ng, flite and festival in scripted moods, made by the recipe",
    "resyntheses of human clips by WORLD, Griffin-Lim, mel bands under kept phases and linear prediction, made by the "
    "recipe",
    "RAVDESS, English (CC BY-NC-SA 4.0), nEMO, Polish (CC BY-NC-SA 4.0), TESS, English (CC BY-NC-ND 4.0), "
    "ASED, Amharic, BAVED, Arabic (no licence stated; published for research), Rakshak, Hindi and English "
    "(CC BY-NC-SA 4.0): training speakers, as genuine speech",
    "LibriSpeech and speechocean762 clips as genuine speech (CC BY 4.0)",
    "noises (research; CC)",
)

LIMITS = (
    "A risk signal, not a verdict on identity or on a person; a genuine voice can score high, a synthetic one low.",
    "Systems that were not trained on are recognised worse than those that were; see the scores, which are of unseen "
    "systems, and expect newer systems to be worse still.",
    "Replayed speech and recordings that were cut together were not trained on; speech coders count as genuine.",
    "Emotions come from a recogniser that errs; experts share what is not of one emotion, so an error costs little.",
    "Languages of the genuine speech: English, Polish, Amharic, Arabic, Hindi; synthetic speech is mostly English.",
    "Below 1.5 s of speech the score means little.",
)


def gem_graph(net: Gem, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Write the graph.

    Inputs: `bands` float32 [n, hops, band_count], `weight` float32 [n, hops], `gate` float32 [n, 4], then the states.
    Outputs: `score` [n], `experts` [n, 4], then `next_<state>`.

    Raises:
        ValueError: If the network is not an ensemble.
    """
    c = net.config
    if c.kind != "ensemble":
        raise ValueError(f"the network is of kind {c.kind!r}; only an ensemble has experts to export")
    g = GraphBuilder()
    bands, weight = g.input("bands", (HOPS, c.band_count)), g.input("weight", (HOPS,))
    gate = g.input("gate", (len(EXPERTS),))
    write = LayerWriter(g, {name: g.input(name, shape) for name, shape in net.state_shapes().items()})
    said = experts(write, net, pooled(write, net.measures, measured(write, net.measures, bands), weight))
    axis = write.ints("axis_1", 1)
    lifted = g.add("Add", gate, g.scalar(1e-6))
    shares = g.add("Div", lifted, g.add("ReduceSum", lifted, axis, keepdims=1))
    g.output(g.add("ReduceSum", g.add("Mul", shares, said), axis, keepdims=0), "score", ())
    g.output(said, "experts", (len(EXPERTS),))
    for name, shape in net.state_shapes().items():
        g.output(write.after[name], f"next_{name}", shape)
    return g.model("gem", metadata)


def measured(write: LayerWriter, measures: Measures, bands: str) -> str:
    """`Measures.hop` of the hops of a step, [n, hops, measures]."""
    g, c = write.graph, measures.config
    now = write.level(bands, measures.level, hops_axis=True)
    one, last = write.ints("axis_1", 1), write.ints("axis_2", 2)
    hops = write.relative(bands, g.add("Unsqueeze", now, last), measures.level)
    write.after["hops"] = g.add("Identity", hops)
    line = g.add("Concat", write.states["hops"], hops, axis=1)
    begin, end = write.ints("before", HOPS - 1), write.ints("before_end", 2 * HOPS - 1)
    before = g.add("Slice", line, begin, end, one)
    flat = g.add("Reshape", hops, write.ints("hop_rows", -1, c.band_count))
    fine = g.add("MatMul", flat, g.weight("fine", measures.fine.numpy()))
    parts = []
    for lag in c.lags:
        # np.roll along the bands: the last `lag` come first
        head = g.add("Slice", fine, write.ints(f"from_{lag}", c.band_count - lag), write.ints("all", 2**31 - 1), one)
        tail = g.add("Slice", fine, write.ints("zero", 0), write.ints(f"from_{lag}", c.band_count - lag), one)
        rolled = g.add("Concat", head, tail, axis=1)
        parts.append(g.add("MatMul", g.add("Mul", fine, rolled), g.weight("regions", measures.regions.numpy())))
    products = g.add("Reshape", g.add("Concat", fine, *parts, axis=1), write.ints("step_rows", -1, HOPS, fine_width(c)))
    split = write.ints("fine_and_products", c.band_count, fine_width(c) - c.band_count)
    shape = g.add("Split", products, split, outputs=2, axis=2)
    change = g.add("Abs", g.add("Sub", hops, before))
    slow = g.add("Abs", g.add("Sub", hops, write.states["hops"]))
    return g.add("Concat", shape, change, slow, f"{shape}.1", axis=2)


def fine_width(config: GemConfig) -> int:
    """Values of a hop that come from its fine structure."""
    return config.band_count + len(config.lags) * config.regions


def pooled(write: LayerWriter, measures: Measures, x: str, weight: str) -> str:
    """Statistics [n, 2 · measures] of measured hops, and what becomes of the sums."""
    g = write.graph
    one, last = write.ints("axis_1", 1), write.ints("axis_2", 2)
    share = g.add("ReduceMean", weight, axes=[1], keepdims=1)
    keep = g.add("Exp", g.add("Mul", share, g.scalar(-1 / measures.config.memory_steps)))
    weighed = g.add("Mul", g.add("Unsqueeze", weight, last), x)
    new = {
        "pool_mass": g.add("ReduceSum", weight, one, keepdims=1),
        "pool_sum": g.add("ReduceSum", weighed, one, keepdims=0),
        "pool_square": g.add("ReduceSum", g.add("Mul", weighed, x), one, keepdims=0),
    }
    for name, value in new.items():
        write.after[name] = g.add("Add", g.add("Mul", write.states[name], keep), value)
    inverse = g.add("Reciprocal", g.add("Max", write.after["pool_mass"], g.scalar(1e-6)))
    mean = g.add("Mul", write.after["pool_sum"], inverse)
    spread = g.add("Sub", g.add("Mul", write.after["pool_square"], inverse), g.add("Mul", mean, mean))
    return g.add("Concat", mean, g.add("Sqrt", g.add("Max", spread, g.scalar(1e-5))), axis=1)


def experts(write: LayerWriter, net: Gem, statistics: str) -> str:
    """Trunk and all experts, calibrated, [n, 4]: hidden layers side by side in one product, outputs in another."""
    g = write.graph
    shifted = g.add("Sub", statistics, g.weight("shift", array(net.shift)))
    x = g.add("Clip", g.add("Mul", shifted, g.weight("scale", array(net.scale))), g.scalar(-6.0), g.scalar(6.0))
    x = g.add("Relu", write.linear(x, "trunk", net.trunk))
    hidden = np.concatenate([array(layer.weight) for layer in net.hidden])
    bias = np.concatenate([array(layer.bias) for layer in net.hidden])
    x = g.add("Relu", g.linear(x, "hidden", hidden, bias))
    slope, offset = array(net.calibration).T
    size = net.config.hidden
    out = np.zeros((len(EXPERTS), len(EXPERTS) * size), np.float32)
    for k, layer in enumerate(net.out):
        out[k, k * size : (k + 1) * size] = slope[k] * array(layer.weight)[0]
    last = slope * np.concatenate([array(layer.bias) for layer in net.out]) + offset
    return g.linear(x, "out", out, last.astype(np.float32))


def gem_macs(net: Gem) -> int:
    """Multiply-accumulates of one step of one stream."""
    c = net.config
    hop = c.band_count**2 + len(c.lags) * c.band_count * (c.regions + 1) + 2 * c.measures
    matrices = net.trunk.weight.numel() + sum(layer.weight.numel() for layer in net.hidden)
    return HOPS * hop + matrices + len(EXPERTS) ** 2 * c.hidden + 6 * c.measures


def write_bundle(net: Gem, folder: Path, version: str, results: dict[str, Any]) -> ModelCard:
    """Write graph, card and package file into `folder/gem`; returns the card.

    Args:
        net: The network, calibrated.
        folder: Folder of bundles.
        version: Of the bundle.
        results: `scores`, `calibration` and `trained_on` as evaluations wrote them; may be empty.
    """
    c = net.config
    metadata = {"version": version, "licence": LICENCE, "task": "spoof", "front_end": json.dumps(FRONT_END)}
    graph = gem_graph(net, metadata).SerializeToString(deterministic=True)
    fills = net.state_fills()
    card = ModelCard(
        name="gem",
        version=version,
        task="spoof",
        weights="gem.onnx",
        sha256=hashlib.sha256(graph).hexdigest(),
        weights_bytes=len(graph),
        licence=LICENCE,
        sample_rate_hz=RATE_HZ,
        hop_samples=HOP_SAMPLES,
        hops_per_step=HOPS,
        lookahead_samples=0,
        latency_samples=HOPS * HOP_SAMPLES,
        parameters=sum(p.numel() for p in net.parameters()),
        macs_per_s=round(gem_macs(net) * RATE_HZ / (HOPS * HOP_SAMPLES)),
        inputs={
            "bands": TensorSpec((HOPS, c.band_count)),
            "weight": TensorSpec((HOPS,)),
            "gate": TensorSpec((len(EXPERTS),)),
        },
        states={name: TensorSpec(shape, "float32", fills.get(name, 0.0)) for name, shape in net.state_shapes().items()},
        outputs={"score": TensorSpec(()), "experts": TensorSpec((len(EXPERTS),))},
        labels=EXPERTS,
        front_end=FRONT_END,
        calibration=results.get("calibration", {}),
        training_data=(*TRAINING_DATA, *results.get("trained_on", ())),
        scores=results.get("scores", {}),
        limits=LIMITS,
        recipe=RECIPE,
    )
    place = folder / "gem"
    place.mkdir(parents=True, exist_ok=True)
    (place / card.weights).write_bytes(graph)
    (place / "card.json").write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")
    (place / "__init__.py").write_text('"""The gem bundle: `gem.onnx` and its card."""\n', encoding="utf-8")
    return card


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", type=Path, required=True, help="calibrated.pt of a run")
    parser.add_argument("--out", type=Path, required=True, help="folder that gets the bundle")
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--results", type=Path, help="JSON with scores, calibration and trained_on, for the card")
    options = parser.parse_args()
    results = json.loads(options.results.read_text()) if options.results else {}
    card = write_bundle(load_gem(options.net), options.out, options.version, results)
    print(f"{card.name}: {card.parameters} parameters, {card.macs_per_s / 1e6:.1f} million MAC/s, {card.sha256}")


if __name__ == "__main__":
    main()
