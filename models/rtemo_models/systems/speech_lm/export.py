"""Writes the bundle of the decoder: `python -m rtemo_models.systems.speech_lm.export --run W/speech_lm/run/average.pt`.

FOLDER gets `speech-lm`: one position of the decoder as an ONNX graph for n turns per call, with what is kept of the
positions before as explicit state, its large weights as float16, and the card; `labels` of the card are the vocabulary.
"""

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch

from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.kit.command import PATH, task
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.systems.speech_lm.net import SpeechLM, load

NAME = "speech-lm"
WEIGHTS = "speech-lm.onnx"
OPSET = 17
INPUTS = ("token", "values", "is_given")
STATES = ("here", "kept")
LICENCE = "non-commercial research use; see training_data for the terms of each corpus"
TRAINING_DATA = (
    "Words of the bundle merit-large, and through it all that it was trained on",
    "Training speakers of RAVDESS, nEMO, ASED, TESS, Rakshak, KETTS and CREMA-D, strung together by speaker",
    "Rationales of the template writer over measured cues; words put into the mouths of acted turns",
)
LIMITS = (
    "Writes about perceived vocal expression, not an inner state; a text must pass the trace check to be shown.",
    "English only; acted speech only.",
)


class _Step(torch.nn.Module):
    def __init__(self, net: SpeechLM) -> None:
        super().__init__()
        self.net = net

    def forward(self, *given: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.net.step(*given)


def step_graph(net: SpeechLM) -> bytes:
    """One position as a graph."""
    import onnx

    config = net.config
    here, kept = net.fresh(2)
    given = (torch.zeros(2), torch.zeros(2, config.values), torch.ones(2), here, kept)
    names = (*INPUTS, *STATES)
    outputs = ("logits", *(f"next_{name}" for name in STATES))
    buffer = io.BytesIO()
    torch.onnx.export(
        _Step(net).eval(),
        given,
        buffer,  # type: ignore[arg-type]
        input_names=list(names),
        output_names=list(outputs),
        dynamic_axes={name: {0: "n"} for name in (*names, *outputs)},
        dynamo=False,
        opset_version=OPSET,
    )
    model = onnx.load_from_string(buffer.getvalue())
    halve_weights(model)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def halve_weights(model: Any, least: int = 4096) -> None:
    """Store large float32 weights as float16, widened when the graph is loaded."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in model.graph.initializer:
        values = numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size >= least:
            name = weight.name
            weight.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
    nodes = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend(casts + nodes)


def make_card(net: SpeechLM, graph: bytes, order: str, scores: dict[str, dict[str, float]]) -> ModelCard:
    """Describe an exported decoder."""
    config = net.config
    parameters = sum(p.numel() for p in net.parameters())
    return ModelCard(
        name=NAME,
        version="0.1.0",
        task="rationale",
        weights=WEIGHTS,
        sha256=hashlib.sha256(graph).hexdigest(),
        weights_bytes=len(graph),
        licence=LICENCE,
        sample_rate_hz=16_000,
        hop_samples=160,
        hops_per_step=1,
        lookahead_samples=0,
        latency_samples=0,
        parameters=parameters,
        macs_per_s=parameters * config.positions,
        inputs={"token": TensorSpec(()), "values": TensorSpec((config.values,)), "is_given": TensorSpec(())},
        states={
            "here": TensorSpec((config.positions,)),
            "kept": TensorSpec((config.layers, 2, config.positions, config.width)),
        },
        outputs={"logits": TensorSpec((len(config.vocabulary),))},
        labels=config.vocabulary,
        front_end={"order": order, "heard": "merit-large"},
        training_data=TRAINING_DATA,
        scores=scores,
        limits=LIMITS,
        recipe="models/rtemo_models/systems/speech_lm",
    )


@task(
    __doc__,
    click.option("--run", type=PATH, required=True, help="`average.pt` of a run."),
    click.option("--order", type=click.Choice(["label", "rationale"]), default="label", show_default=True),
    click.option("--scores", type=PATH, help="File of its scores."),
    click.option("--out", type=PATH, required=True, help="Folder of bundles."),
)
def main(run: Path, order: str, scores: Path | None, out: Path) -> None:
    """Export."""
    net = load(run)
    graph = step_graph(net)
    found: dict[str, dict[str, float]] = {}
    if scores is not None:
        told = json.loads(scores.read_text(encoding="utf-8"))["with words"]
        found = {
            "uar": told["uar"],
            "rationale": {name: told[name] for name in ("claims_confirmed", "rationales_hold") if name in told},
        }
    card = make_card(net, graph, order, found)
    place = out / NAME
    write_folder(place, card, graph)
    click.echo(f"{place}: {len(graph) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
