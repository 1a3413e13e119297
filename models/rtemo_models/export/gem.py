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

from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.data.spoof.cache import FRONT_END
from rtemo_models.export.graph import GraphBuilder
from rtemo_models.export.layers import LayerWriter, array
from rtemo_models.nets.gem import EXPERTS, ForgettingPool, Gem, load_gem

RATE_HZ, HOP_SAMPLES = 16_000, 160
LICENCE = "non-commercial research use; see training_data for the terms of each corpus"
RECIPE = "models/recipes/gem"

TRAINING_DATA = (
    "Synthetic speech that authors published on demo pages, with their human references (terms mixed): Tortoise, "
    "StyleTTS 2 and the systems compared there, VITS, AutoVC, EmoTacotron, EmotionTTS-prosody",
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
    bands, weight = g.input("bands", (c.hops_per_step, c.band_count)), g.input("weight", (c.hops_per_step,))
    gate = g.input("gate", (len(EXPERTS),))
    write = LayerWriter(g, {name: g.input(name, shape) for name, shape in net.state_shapes().items()})
    x = write.linear(heard(write, net, bands), "stem", net.stem)
    for i, block in enumerate(net.blocks):
        x = write.causal_block(i, x, block)
    embedded = g.add("Relu", write.linear(write.norm(x, "norm", net.norm), "embed", net.embed))
    said = experts(write, net, pooled(write, net.pool, embedded, weight))
    axis = write.ints("axis_1", 1)
    lifted = g.add("Add", gate, g.scalar(1e-6))
    shares = g.add("Div", lifted, g.add("ReduceSum", lifted, axis, keepdims=1))
    g.output(g.add("ReduceSum", g.add("Mul", shares, said), axis, keepdims=0), "score", ())
    g.output(said, "experts", (len(EXPERTS),))
    for name, shape in net.state_shapes().items():
        g.output(write.after[name], f"next_{name}", shape)
    return g.model("gem", metadata)


def heard(write: LayerWriter, net: Gem, bands: str) -> str:
    """`Gem._heard`: hops relative to the running level, two at a time through one matrix, [n, hops · hop_width]."""
    g, c = write.graph, net.config
    now = write.level(bands, net.level, hops_axis=True)
    last = write.ints("axis_2", 2)
    hops = write.relative(bands, g.add("Unsqueeze", now, last), net.level)
    one = write.ints("axis_1", 1)
    line = g.add("Concat", g.add("Unsqueeze", write.states["hop"], one), hops, axis=1)
    end = c.hops_per_step
    newest = g.add("Slice", line, write.ints("newest", end), write.ints("past_newest", end + 1), one)
    write.after["hop"] = g.add("Squeeze", newest, one)
    before = g.add("Slice", line, write.ints("oldest", 0), write.ints("newest", end), one)
    weight = array(net.hear.weight)
    fine, change, colour = np.split(weight, [c.band_count, 2 * c.band_count], 1)
    present = fine @ array(net.fine).T + change + colour @ array(net.coarse).T
    matrix = np.concatenate([present, -change], 1)
    flat = write.ints("hop_rows", -1, 2 * c.band_count)
    pairs = g.add("Reshape", g.add("Concat", hops, before, axis=2), flat)
    shown = g.add("Relu", g.linear(pairs, "hear", matrix, array(net.hear.bias)))
    return g.add("Reshape", shown, write.ints("step_rows", -1, c.hops_per_step * c.hop_width))


def pooled(write: LayerWriter, pool: ForgettingPool, x: str, weight: str) -> str:
    """`ForgettingPool.step`: statistics [n, heads, 2 · channels] of embedded steps."""
    g, width = write.graph, pool.hidden.in_features
    last = write.ints("axis_2", 2)
    hidden = g.add("Tanh", write.linear(x, "attention", pool.hidden))
    bounded = g.add("Tanh", write.linear(hidden, "attention_score", pool.score))
    share = g.add("ReduceMean", weight, axes=[1], keepdims=1)
    p = g.add("Unsqueeze", g.add("Mul", share, g.add("Exp", g.add("Mul", bounded, g.scalar(pool.BOUND)))), last)
    keep = g.add("Unsqueeze", g.add("Exp", g.add("Mul", share, g.scalar(-1 / pool.memory_steps))), last)
    grouped = g.add("Reshape", x, write.ints("head_shape", 0, pool.heads, width // pool.heads))
    gained = g.add("Mul", p, grouped)
    new = {"pool_mass": p, "pool_sum": gained, "pool_square": g.add("Mul", gained, grouped)}
    for name, value in new.items():
        write.after[name] = g.add("Add", g.add("Mul", write.states[name], keep), value)
    inverse = g.add("Reciprocal", g.add("Max", write.after["pool_mass"], g.scalar(1e-6)))
    mean = g.add("Mul", write.after["pool_sum"], inverse)
    spread = g.add("Sub", g.add("Mul", write.after["pool_square"], inverse), g.add("Mul", mean, mean))
    return g.add("Concat", mean, g.add("Sqrt", g.add("Max", spread, g.scalar(1e-5))), axis=2)


def experts(write: LayerWriter, net: Gem, statistics: str) -> str:
    """All experts as one batched product each for the hidden and the last layer, calibrated, [n, 4]."""
    g = write.graph
    by_expert = g.add("Transpose", statistics, perm=[1, 0, 2])  # [heads, n, 2 · channels]
    hidden = np.stack([array(layer.weight).T for layer in net.hidden])
    bias = np.stack([array(layer.bias)[None] for layer in net.hidden])
    slope, offset = array(net.calibration).T
    out = np.stack([array(layer.weight).T for layer in net.out]) * slope[:, None, None]
    last = np.stack([array(layer.bias)[None] for layer in net.out]) * slope[:, None, None] + offset[:, None, None]
    x = g.add("MatMul", by_expert, g.weight("experts.hidden", hidden))
    x = g.add("Relu", g.add("Add", x, g.weight("experts.hidden_bias", bias)))
    x = g.add("Add", g.add("MatMul", x, g.weight("experts.out", out)), g.weight("experts.out_bias", last))
    return g.add("Transpose", g.add("Squeeze", x, write.ints("axis_2", 2)), perm=[1, 0])


def gem_macs(net: Gem) -> int:
    """Multiply-accumulates of one step of one stream."""
    c = net.config
    hear = c.hops_per_step * 2 * c.band_count * c.hop_width
    matrices = [net.stem, net.embed, net.pool.hidden, net.pool.score, *net.hidden, *net.out]
    matrices += [layer for b in net.blocks for layer in (b.widen, b.narrow)]
    taps = sum((b.depthwise.context + 1 + 2) * c.width for b in net.blocks)
    return hear + sum(m.weight.numel() for m in matrices) + taps + 6 * net.embed.out_features


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
        hops_per_step=c.hops_per_step,
        lookahead_samples=0,
        latency_samples=c.hops_per_step * HOP_SAMPLES,
        parameters=sum(p.numel() for p in net.parameters()),
        macs_per_s=round(gem_macs(net) * RATE_HZ / (c.hops_per_step * HOP_SAMPLES)),
        inputs={
            "bands": TensorSpec((c.hops_per_step, c.band_count)),
            "weight": TensorSpec((c.hops_per_step,)),
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
