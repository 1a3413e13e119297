"""Last layers trained with made features, as a bundle: `python -m rtemo_models.systems.mi_augment.export`."""

import hashlib
import io
import json
from pathlib import Path

import click
import numpy as np
import torch
from torch import Tensor, nn

from rtemo.api import EMOTIONS
from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.kit.command import PATH, config_option, data_option, set_option, task, work_option
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.mi_augment.augment import Last, train_last
from rtemo_models.systems.mi_augment.compare import Trained
from rtemo_models.systems.mi_augment.data import read_table
from rtemo_models.systems.mi_augment.generate import make, train_generator
from rtemo_models.systems.mi_augment.settings import RECIPE, Settings

NAME, WEIGHTS = "mi-augment", "mi-augment.onnx"
LIMITS = (
    "Last layers over what the large listener pools of 3 s; they hear nothing by themselves and do not ship.",
    "Whether made features help at all is told by RESULTS.md of the system; its corpora are acted or prompted.",
)


class Whole(nn.Module):
    """Pooled values → logits: standardised, projected, last layer."""

    def __init__(self, mean: Tensor, scale: Tensor, project: nn.Module, last: Last) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("scale", scale)
        self.project, self.last = project, last

    def forward(self, pooled: Tensor) -> Tensor:
        """Logits [n, 8] of pooled values [n, k]."""
        return self.last(self.project((pooled - self.mean) / self.scale))


@task(
    __doc__,
    data_option,
    work_option,
    config_option(RECIPE),
    set_option,
    click.option("--out", type=PATH, required=True, help="Folder of the bundle."),
)
def main(data: Path, work: Path, config: tuple[Path, ...], changes: tuple[str, ...], out: Path) -> None:
    """Train on all clips, and write graph and card."""
    torch.set_num_threads(1)
    settings = read_recipe(config, Settings, changes)
    table = read_table(data, work)
    rows = np.arange(len(table.label))
    trained = Trained(table, rows, settings, 0)
    generator = train_generator(trained.seen, settings.generator, 0, settings.generator.information, True)
    made = make(generator, trained.seen, 4096, True)
    last = train_last(trained.real.h, trained.real, trained.mask, "made", settings.head, 0, (made.h, made))
    scale = table.audio.std(0).clamp_min(1e-4)
    whole = Whole(table.audio.mean(0), scale, trained.net.audio, last).eval()
    buffer = io.BytesIO()
    torch.onnx.export(
        whole,
        (table.audio[:2],),
        buffer,  # type: ignore[arg-type]
        input_names=["pooled"],
        output_names=["logits"],
        dynamic_axes={"pooled": {0: "n"}, "logits": {0: "n"}},
        dynamo=False,
        opset_version=17,
    )
    graph = buffer.getvalue()
    scores = json.loads((work / "mi_augment" / "scores.json").read_text(encoding="utf-8"))
    parts = {"speakers kept apart": scores["folds"], "corpora left out": scores["left out"]}
    card = ModelCard(
        name=NAME,
        version="0.1.0",
        task="emotion-head",
        weights=WEIGHTS,
        sha256=hashlib.sha256(graph).hexdigest(),
        weights_bytes=len(graph),
        licence="non-commercial research use; the corpora are those of merit-large",
        sample_rate_hz=16_000,
        hop_samples=160,
        hops_per_step=50,
        lookahead_samples=0,
        latency_samples=8_000,
        parameters=sum(p.numel() for p in whole.parameters()),
        macs_per_s=2 * sum(p.numel() for p in whole.parameters()),
        inputs={"pooled": TensorSpec((table.audio.shape[1],))},
        states={},
        outputs={"logits": TensorSpec((len(EMOTIONS),))},
        labels=EMOTIONS,
        training_data=tuple(f"{name}, all speakers at hand" for name in table.corpora),
        scores={f"UAR, {where}": {arm: entry["UAR"] for arm, entry in arms.items()} for where, arms in parts.items()},
        limits=LIMITS,
        recipe="models/rtemo_models/systems/mi_augment",
    )
    write_folder(out, card, graph)


if __name__ == "__main__":
    main()
