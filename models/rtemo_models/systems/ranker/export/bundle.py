"""Writes the bundle of the ranker: `python -m rtemo_models.systems.ranker.export.bundle`.

FOLDER gets `ranker`: one step of the network as an ONNX graph with explicit state, for n streams per call, and its
card. With the results of `bench.quality.rank.evaluate` the card also gets scores, and the graph its spread.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import onnx
import torch

from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.kit.command import PATH, task
from rtemo_models.kit.export.card import card_of, summary_of
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.kit.export.graph import GraphBuilder
from rtemo_models.kit.export.layers import LayerWriter, array
from rtemo_models.systems.ranker.net import ATTRIBUTES, FadingPool, Ranker, load_ranker

HOPS = 4
LICENCE = "non-commercial research use; see training_data for the terms of each corpus"
RECIPE = "models/rtemo_models/systems/ranker"

TRAINING_DATA = (
    "Words of the bundle merit-listen, and through it all that it was trained on",
    "RAVDESS speech, 16 of 20 actors at hand, English (CC BY-NC-SA 4.0): emotions and intensity",
    "nEMO, 5 of 7 speakers at hand, Polish (CC BY-NC-SA 4.0): emotions",
    "ASED, 51 of 65 speakers, Amharic (no licence stated; published for research): emotions",
    "BAVED, 46 of 59 speakers, Arabic words (no licence stated; published for research): activation levels",
    "TESS, 2 speakers, English (CC BY-NC-ND 4.0): emotions",
    "Rakshak, 80 of 101 speakers, Hindi and English keywords (CC BY-NC-SA 4.0): emotions",
    "LibriSpeech and speechocean762 clips (CC BY 4.0): for the anchors only",
    "noises and measured room impulse responses (research; MIT, CC BY, CC0)",
)

LIMITS = (
    "Ranks moments and calls by perceived expression; not people, not agents, and no inner state.",
    "Labels are emotion categories on the circumplex and levels that actors were asked for, not ratings of the clip.",
    "Anchors are percent points over mostly acted clips: natural calls lie in a part of them; compare a voice with its "
    "own past where possible.",
    "Valence from the voice alone is weak: see its scores before acting on it.",
    "Intensity was heard graded in RAVDESS and BAVED only.",
    "The spread is what dev speakers show; voices, languages and lines unlike those at hand scatter more.",
    "Not for decisions about people; emotion recognition at work or in education is restricted by law in places.",
)


def ranker_graph(net: Ranker, metadata: Mapping[str, str]) -> onnx.ModelProto:
    """Write the graph.

    Inputs: `words` float32 [n, width], `weight` float32 [n], then the states. Outputs: `scores` [n, 3], `spread`
    [n, 3], then `next_<state>`.

    Raises:
        ValueError: If the network has no attention.
    """
    c = net.config
    if not c.attention:
        raise ValueError("the network pools without attention; only networks with attention are exported")
    g = GraphBuilder()
    words, weight = g.input("words", (c.width,)), g.input("weight", ())
    write = LayerWriter(g, {name: g.input(name, shape) for name, shape in net.state_shapes().items()})
    share = g.add("Unsqueeze", weight, write.ints("axis_1", 1))
    speech = faded(write, share, c.memory_steps)
    values = words
    if net.embed is not None:
        values = g.add("Concat", g.add("Relu", write.linear(words, "embed", net.embed)), words, axis=1)
    statistics = pooled(write, values, share, net.pool)
    shifted = g.add("Sub", statistics, g.weight("shift", array(net.shift)))
    x = g.add("Clip", g.add("Mul", shifted, g.weight("scale", array(net.scale))), g.scalar(-5.0), g.scalar(5.0))
    x = g.add("Relu", write.linear(x, "hidden", net.hidden))
    slope = net.slope[:, None]
    bias = (net.out.bias - net.offset) * net.slope
    scores = g.linear(x, "out", array(slope * net.out.weight), array(bias))
    g.output(g.add("Mul", scores, g.add("Min", speech, g.scalar(1.0))), "scores", (len(ATTRIBUTES),))
    inverse = g.add("Reciprocal", g.add("Max", speech, g.scalar(1.0)))
    variance = g.add(
        "Add",
        g.add("Mul", inverse, g.weight("error_of_a_step", array(net.error[:, 1]))),
        g.weight("error_that_stays", array(net.error[:, 0])),
    )
    g.output(g.add("Sqrt", variance), "spread", (len(ATTRIBUTES),))
    for name, shape in net.state_shapes().items():
        g.output(write.after[name], f"next_{name}", shape)
    return g.model("ranker", metadata)


def faded(write: LayerWriter, share: str, memory_steps: float) -> str:
    """Faded steps of speech, [n, 1], after a step with shares [n, 1]."""
    g = write.graph
    keep = g.add("Exp", g.add("Mul", share, g.scalar(-1 / memory_steps)))
    speech = write.after["pool_speech"] = g.add("Add", g.add("Mul", write.states["pool_speech"], keep), share)
    return speech


def pooled(write: LayerWriter, x: str, share: str, pool: FadingPool) -> str:
    """`FadingPool.step`: statistics [n, 2 · width] of values [n, width] with shares of speech [n, 1]."""
    g, last = write.graph, write.ints("axis_2", 2)
    assert pool.hidden is not None
    assert pool.score is not None
    width = pool.hidden.in_features
    hidden = g.add("Tanh", write.linear(x, "attention", pool.hidden))
    score = g.add("Unsqueeze", write.linear(hidden, "score", pool.score), last)
    heard = g.add("Unsqueeze", share, last)
    sunk = g.add("Sub", write.states["pool_max"], g.add("Mul", heard, g.scalar(1 / pool.memory_steps)))
    top = write.after["pool_max"] = g.add("Max", sunk, score)
    keep = g.add("Exp", g.add("Sub", sunk, top))
    p = g.add("Mul", g.add("Exp", g.add("Sub", score, top)), heard)
    grouped = g.add("Reshape", x, write.ints("head_shape", 0, pool.heads, width // pool.heads))
    gained = g.add("Mul", p, grouped)
    for name, value in {"pool_mass": p, "pool_sum": gained, "pool_square": g.add("Mul", gained, grouped)}.items():
        write.after[name] = g.add("Add", g.add("Mul", write.states[name], keep), value)
    inverse = g.add("Reciprocal", g.add("Max", write.after["pool_mass"], g.scalar(1e-20)))
    mean = g.add("Mul", write.after["pool_sum"], inverse)
    variance = g.add("Sub", g.add("Mul", write.after["pool_square"], inverse), g.add("Mul", mean, mean))
    deviation = g.add("Sqrt", g.add("Max", variance, g.scalar(1e-5)))
    flat = write.ints("flat_shape", 0, width)
    return g.add("Concat", g.add("Reshape", mean, flat), g.add("Reshape", deviation, flat), axis=1)


def ranker_macs(net: Ranker) -> int:
    """Multiply-accumulates of one step of one stream."""
    return sum(m.weight.numel() for m in net.modules() if isinstance(m, torch.nn.Linear)) + 6 * net.config.pooled


def anchors_of(net: Ranker) -> dict[str, float]:
    """Percent points of the scores of training clips as the card holds them, `anchors_<attribute>_<percent>`."""
    return {
        f"anchors_{attribute}_{percent}": round(float(value), 5)
        for attribute, row in zip(ATTRIBUTES, net.anchors, strict=True)
        for percent, value in enumerate(row)
    }


def write_bundle(net: Ranker, folder: Path, version: str, results: dict[str, Any]) -> ModelCard:
    """Write graph, card and package file into `folder/ranker`; returns the card.

    Args:
        net: The network, standardised and with anchors.
        folder: Folder of bundles.
        version: Of the bundle.
        results: `error`, `calibration` and `scores` as the evaluation wrote them; may be empty.
    """
    if "error" in results:
        net.error.copy_(torch.tensor([results["error"][attribute] for attribute in ATTRIBUTES]))
    c = net.config
    metadata = {"version": version, "licence": LICENCE, "task": "rank", "labels": ",".join(ATTRIBUTES)}
    with torch.no_grad():
        graph = ranker_graph(net, metadata).SerializeToString(deterministic=True)
    card = card_of(
        net,
        "ranker",
        graph,
        HOPS,
        ranker_macs(net),
        version=version,
        task="rank",
        licence=LICENCE,
        inputs={"words": TensorSpec((c.width,)), "weight": TensorSpec(())},
        outputs={"scores": TensorSpec((len(ATTRIBUTES),)), "spread": TensorSpec((len(ATTRIBUTES),))},
        labels=ATTRIBUTES,
        calibration=anchors_of(net) | results.get("calibration", {}),
        training_data=TRAINING_DATA,
        scores=results.get("scores", {}),
        limits=LIMITS,
        recipe=RECIPE,
    )
    write_folder(folder / "ranker", card, graph)
    return card


@task(
    __doc__,
    click.option("--run", "run_path", type=PATH, required=True, help="average.pt of a training run."),
    click.option("--out", type=PATH, required=True, help="Folder that gets the bundle."),
    click.option("--version", default="0.1.0", show_default=True),
    click.option(
        "--results", "results_path", type=PATH, help="Results of bench.quality.rank.evaluate, for the card and graph."
    ),
)
def main(run_path: Path, out: Path, version: str, results_path: Path | None) -> None:
    """Command line."""
    results = json.loads(results_path.read_text()) if results_path else {}
    card = write_bundle(load_ranker(run_path), out, version, results)
    print(summary_of(card))


if __name__ == "__main__":
    main()
