"""Adds the output `mood` to a ranker bundle: `python -m rtemo_models.systems.ranker.export.moods`.

The graph gets a second, faster pool of the words and their product with the axes that `train.moods` found; the
card gets the output, the states and the hash. What was there before is left alone.
"""

import hashlib
import json
from pathlib import Path

import click
import msgspec
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.kit.command import PATH, task
from rtemo_models.kit.export.folder import write_folder

STEP_S = 0.04
_MASS, _SUM, _OUT = "pool_mood_mass", "pool_mood_sum", "mood"


def with_moods(graph: bytes, axes: NDArray[np.float32], memory_s: float) -> bytes:
    """Write the graph anew with the output `mood` float32 [n, axes].

    With m and s the states, w the share of speech and x the words of a step: k = exp(-w / memory), m' = k m + w,
    s' = k s + w x, mood = axes (s' / m').

    Args:
        graph: A ranker's step, an ONNX model.
        axes: float32 [axes, width].
        memory_s: Speech after which a step counts 1/e.
    """
    model = onnx.load_from_string(graph)
    count, width = axes.shape
    constants = {
        "mood.axes": np.ascontiguousarray(axes.T, np.float32),
        "mood.rate": np.array(-STEP_S / memory_s, np.float32),
        "mood.least": np.array(1e-9, np.float32),
        "mood.axis": np.array([1], np.int64),
    }
    steps = (
        ("Unsqueeze", ("weight", "mood.axis"), "mood.share"),
        ("Mul", ("mood.share", "mood.rate"), "mood.fall"),
        ("Exp", ("mood.fall",), "mood.keep"),
        ("Mul", (_MASS, "mood.keep"), "mood.old_mass"),
        ("Add", ("mood.old_mass", "mood.share"), f"next_{_MASS}"),
        ("Mul", (_SUM, "mood.keep"), "mood.old_sum"),
        ("Mul", ("words", "mood.share"), "mood.gained"),
        ("Add", ("mood.old_sum", "mood.gained"), f"next_{_SUM}"),
        ("Max", (f"next_{_MASS}", "mood.least"), "mood.mass"),
        ("Div", (f"next_{_SUM}", "mood.mass"), "mood.mean"),
        ("MatMul", ("mood.mean", "mood.axes"), _OUT),
    )
    model.graph.node.extend(helper.make_node(op, taken, [made], name=f"{made}_node") for op, taken, made in steps)
    model.graph.initializer.extend(numpy_helper.from_array(values, name) for name, values in constants.items())
    sizes = {_MASS: 1, _SUM: width}
    model.graph.input.extend(_row(name, size) for name, size in sizes.items())
    model.graph.output.extend(_row(name, size) for name, size in {_OUT: count}.items())
    model.graph.output.extend(_row(f"next_{name}", size) for name, size in sizes.items())
    onnx.checker.check_model(model, full_check=True)
    written: bytes = model.SerializeToString(deterministic=True)
    return written


def _row(name: str, size: int) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", size])


def add_moods(folder: Path, axes: NDArray[np.float32], memory_s: float, calibration: dict[str, float]) -> ModelCard:
    """Give the bundle in a folder its moods; returns the new card.

    Raises:
        ValueError: The bundle has moods already: export it anew first.
    """
    card = msgspec.json.decode((folder / "card.json").read_bytes(), type=ModelCard)
    if _OUT in card.outputs:
        raise ValueError(f"bundle {folder} has moods already: export it anew first")
    graph = with_moods((folder / card.weights).read_bytes(), axes, memory_s)
    count, width = axes.shape
    card = msgspec.structs.replace(
        card,
        sha256=hashlib.sha256(graph).hexdigest(),
        weights_bytes=len(graph),
        parameters=card.parameters + count * width,
        macs_per_s=card.macs_per_s + round((count * width + 2 * width) / STEP_S),
        states=card.states | {_MASS: TensorSpec((1,)), _SUM: TensorSpec((width,))},
        outputs=card.outputs | {_OUT: TensorSpec((count,))},
        calibration=card.calibration | calibration,
    )
    write_folder(folder, card, graph)
    return card


@task(
    __doc__,
    click.option(
        "--bundle", "bundle_path", type=PATH, required=True, help="Folder of the ranker bundle, changed in place."
    ),
    click.option(
        "--moods", "moods_path", type=PATH, required=True, help="What rtemo_models.systems.ranker.train.moods wrote."
    ),
)
def main(bundle_path: Path, moods_path: Path) -> None:
    """Command line."""
    moods = json.loads(moods_path.read_text())
    axes = np.array(moods["axes"], np.float32)
    card = add_moods(bundle_path, axes, moods["memory_s"], moods.get("calibration", {}))
    print(f"{card.name}: {card.parameters} parameters, {card.macs_per_s / 1e6:.2f} million MAC/s, {card.sha256}")


if __name__ == "__main__":
    main()
