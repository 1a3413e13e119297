"""Writes the bundle: `python -m rtemo_models.systems.gem_large.export --work WORK --out FOLDER`.

The bundle `gem-large` is the graph of `merit-large` with experts grafted on: what is written holds the experts alone,
and is joined behind the listener's graph. Protobuf reads two messages one after the other as one with the fields of
both, so the joined file is one graph whose encoder runs once for both. A card that names both parts lets rtemo join
them in the user's cache; the encoder is not shipped twice.
"""

import hashlib
import json
from importlib import resources
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import EXPERTS
from rtemo.api.model import ModelCard, TensorSpec
from rtemo.api.weights import FromParts, PackageFile
from rtemo_models.kit.command import PATH, config_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.gem_large.features import BLOCK_FRAMES, LAYER_OUTPUTS, LISTENER, WINDOW_BLOCKS
from rtemo_models.systems.gem_large.net import EXPERT_ROWS, GemLarge
from rtemo_models.systems.gem_large.net_of_all import read_nets
from rtemo_models.systems.gem_large.project import Projection
from rtemo_models.systems.gem_large.train import RECIPE, TEMPERATURE, Settings

NAME, VERSION = "gem-large", "0.2.0"
GRAFT = "gem-large.graft"
WEIGHTS = "gem-large.onnx"
PACKAGE = "rtemo_weights.gem_large"
FRAMES = WINDOW_BLOCKS * BLOCK_FRAMES
LICENCE = (
    "non-commercial research use; see training_data for the terms; the encoder is that of merit-large, whose first "
    "weights are Whisper's, MIT"
)
TRAINING_DATA = (
    "Synthetic speech and genuine speech of the same voices that authors published on 79 demonstration pages (terms "
    "mixed; research only): Tortoise, StyleTTS 2, VITS, AutoVC, and 190 more systems",
    "speech of espeak-ng, flite, festival and Kokoro, made by the recipe",
    "noises (research; CC)",
    "the encoder and the emotion recogniser of the bundle merit-large; see its card",
)
LIMITS = (
    "A risk signal, not a verdict on identity or on a person; a genuine voice can score high, a synthetic one low.",
    "Systems that were not trained on are recognised far worse than those that were; see the scores.",
    "Within one page genuine and synthetic speech of the same voices are told apart worse than over pages.",
    "Clips of demonstration pages are short, read and chosen by their authors; calls were not trained on.",
    "Few of the clips are emotional by their label; the experts follow what the recogniser hears.",
    "Nothing is said of a turn shorter than two seconds.",
)


class Graft:
    """Nodes and weights that are put behind those of the listener; all names are its own.

    Attributes:
        nodes: Of the graph.
        weights: Of the graph.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def constant(self, values: NDArray[np.generic]) -> str:
        """A constant; large matrices are kept as float16."""
        from onnx import TensorProto, helper, numpy_helper

        name = f"gem_large/constant_{len(self.weights)}"
        if values.dtype == np.float32 and values.ndim == 2 and values.size >= 4096:
            self.weights.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            self.nodes.append(helper.make_node("Cast", [f"{name}.half"], [name], to=TensorProto.FLOAT))
        else:
            self.weights.append(numpy_helper.from_array(values, name))
        return name

    def number(self, value: float) -> str:
        """A float32 constant."""
        return self.constant(np.array(value, np.float32))

    def whole(self, *values: int) -> str:
        """An int64 constant."""
        return self.constant(np.array(values, np.int64))

    def add(self, op: str, *inputs: str, name: str = "", **attributes: Any) -> str:
        """A node; the name of what it gives."""
        from onnx import helper

        made = name or f"gem_large/{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, list(inputs), [made], **attributes))
        return made

    def gelu(self, x: str) -> str:
        """The exact form, by the error function."""
        half = self.add("Mul", x, self.number(0.5))
        return self.add(
            "Mul", half, self.add("Add", self.add("Erf", self.add("Mul", x, self.number(0.5**0.5))), self.number(1.0))
        )

    def model(self, outputs: dict[str, tuple[int, ...]]) -> bytes:
        """What is to be joined behind the listener's file."""
        from onnx import GraphProto, ModelProto, TensorProto, helper

        told = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["n", *shape]) for n, shape in outputs.items()]
        return bytes(
            ModelProto(graph=GraphProto(node=self.nodes, initializer=self.weights, output=told)).SerializeToString()
        )


def values_of(graft: Graft) -> str:
    """Statistics of the encoder's frames over a window, [n, layers · 3 · width], as `windows.pooled` has them."""
    add, two, one = graft.add, graft.whole(2), graft.whole(1)
    there = "there"
    total = add("Max", add("ReduceSum", there, one, keepdims=1), graft.number(1.0))
    share = add("Unsqueeze", add("Div", there, total), two)
    before, after = (
        add("Slice", there, graft.whole(0), graft.whole(FRAMES - 1), one),
        add("Slice", there, one, graft.whole(FRAMES), one),
    )
    inside = np.ones((1, FRAMES - 1), np.float32)
    inside[0, BLOCK_FRAMES - 1 :: BLOCK_FRAMES] = 0  # from block to block no change is counted
    pairs = add("Mul", add("Mul", before, after), graft.constant(inside))
    pair_total = add("Max", add("ReduceSum", pairs, one, keepdims=1), graft.number(1.0))
    pair_share = add("Unsqueeze", add("Div", pairs, pair_total), two)
    least = graft.number(1e-6)
    parts = []
    for frames in LAYER_OUTPUTS:
        mean = add("ReduceSum", add("Mul", frames, share), one, keepdims=0)
        away = add("Sub", frames, add("Unsqueeze", mean, one))
        spread = add("ReduceSum", add("Mul", add("Mul", away, away), share), one, keepdims=0)
        early = add("Slice", frames, graft.whole(0), graft.whole(FRAMES - 1), one)
        late = add("Slice", frames, one, graft.whole(FRAMES), one)
        step = add("Sub", late, early)
        change = add("ReduceSum", add("Mul", add("Mul", step, step), pair_share), one, keepdims=0)
        parts += [mean, *(add("Sqrt", add("Max", x, least)) for x in (spread, change))]
    return add("Concat", *parts, axis=1)


def graft_of(nets: list[GemLarge], projection: Projection, slope: float, offset: float) -> bytes:
    """The experts of some networks, averaged, as a graft.

    Its outputs: `score` [n], log-odds that the voice is synthetic; `shares` [n, 4], every expert's; `gate` [n, 4].
    """
    graft = Graft()
    add = graft.add
    values = add("Sub", values_of(graft), graft.constant(projection.mean))
    each = []
    for net in nets:
        linear = net.trunk[1]
        folded = (projection.basis @ linear.weight.detach().numpy().T).astype(np.float32)
        hidden = graft.gelu(
            add("Add", add("MatMul", values, graft.constant(folded)), graft.constant(linear.bias.detach().numpy()))
        )
        said = []
        for first, last in zip(net.first, net.last, strict=True):
            units = hidden
            for layer in (first, last):
                weight, bias = layer.weight.detach().numpy().T.copy(), layer.bias.detach().numpy()
                units = add("Add", add("MatMul", units, graft.constant(weight)), graft.constant(bias))
                units = graft.gelu(units) if layer is first else units
            said.append(units)
        each.append(add("Concat", *said, axis=1))
    total = each[0]
    for more in each[1:]:
        total = add("Add", total, more)
    experts = add("Add", add("Mul", total, graft.number(slope / len(each))), graft.number(offset))
    posterior = add("Softmax", add("Mul", "logits", graft.number(1 / TEMPERATURE)), axis=1)
    gate = add("MatMul", posterior, graft.constant(np.eye(len(EXPERTS), dtype=np.float32)[list(EXPERT_ROWS)]))
    gate = add("Identity", gate, name="gate")
    shares = add("Mul", gate, experts, name="shares")
    add("ReduceSum", shares, graft.whole(1), keepdims=0, name="score")
    return graft.model({"score": (), "shares": (len(EXPERTS),), "gate": (len(EXPERTS),)})


def listener_graph() -> bytes:
    """The graph that the experts are grafted on."""
    folder = resources.files(LISTENER)
    card = msgspec.json.decode((folder / "card.json").read_bytes(), type=ModelCard)
    return (folder / card.weights).read_bytes()


def make_card(
    graft: bytes, parameters: int, calibration: dict[str, float], scores: dict[str, dict[str, float]]
) -> ModelCard:
    """The card: the listener's, with what is grafted on."""
    graph = listener_graph()
    listener = msgspec.json.decode((resources.files(LISTENER) / "card.json").read_bytes(), type=ModelCard)
    whole = graph + graft
    experts = len(EXPERTS)
    grown = {"score": TensorSpec(()), "shares": TensorSpec((experts,)), "gate": TensorSpec((experts,))}
    parts = (
        PackageFile(package=LISTENER, path=listener.weights, distribution="rtemo-weights", size_bytes=len(graph)),
        PackageFile(package=PACKAGE, path=GRAFT, distribution="rtemo-weights", size_bytes=len(graft)),
    )
    return msgspec.structs.replace(
        listener,
        name=NAME,
        version=VERSION,
        task="spoof",
        weights=WEIGHTS,
        sha256=hashlib.sha256(whole).hexdigest(),
        weights_bytes=len(whole),
        licence=LICENCE,
        parameters=listener.parameters + parameters,
        outputs=listener.outputs | grown,
        front_end=listener.front_end | {"experts": ",".join(EXPERTS)},
        calibration=listener.calibration | calibration,
        training_data=TRAINING_DATA,
        scores=scores,
        limits=LIMITS,
        recipe="models/rtemo_models/systems/gem_large",
        sources=(FromParts(parts=parts),),
    )


@task(
    __doc__,
    work_option,
    config_option(RECIPE),
    set_option,
    click.option("--out", type=PATH, required=True, help="Folder of the bundle."),
    click.option("--joined", is_flag=True, help="Write the joined graph too, where the bundle is not to be installed."),
    click.option("--results", type=PATH, help="Calibration and scores for the card, as JSON."),
)
def main(
    work: Path,
    config: tuple[Path, ...],
    changes: tuple[str, ...],
    out: Path,
    joined: bool,
    results: Path | None,
) -> None:
    """Write the bundle; with what was measured of it, if that is given."""
    settings = read_recipe(config, Settings, changes)
    found = json.loads(results.read_text()) if results else {}
    nets, projection = read_nets(work / "net.pt", settings)
    affine = json.loads((work / "calibration.json").read_text())
    graft = graft_of(nets, projection, affine["slope"], affine["offset"])
    out.mkdir(parents=True, exist_ok=True)
    (out / GRAFT).write_bytes(graft)
    if joined:
        (out / WEIGHTS).write_bytes(listener_graph() + graft)
    card = make_card(graft, len(graft) // 2, found.get("calibration", {}), found.get("scores", {}))
    (out / "card.json").write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")
    text = f'"""The {NAME} bundle: `{GRAFT}`, which is joined behind the graph of merit-large, and its card."""\n'
    (out / "__init__.py").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
