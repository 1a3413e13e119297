"""What is told of a synthesiser that was never heard: `python -m rtemo_models.systems.gem_large.unheard --help`.

For each synthesiser of the set `said` networks are trained on all pages and on the others of the set, and on all pages
alone; told, in WORK/unheard.md too, is how much of its speech they, and the networks that ship, put above a threshold.
"""

import json
from pathlib import Path

import click
import numpy as np
import torch

from rtemo_models.kit.command import config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.gem_large.fold import BANDS
from rtemo_models.systems.gem_large.folds import score_clips
from rtemo_models.systems.gem_large.tables import open_tables
from rtemo_models.systems.gem_large.train import RECIPE, Settings, prepare, train
from rtemo_models.systems.gem_large.windows import Windows


@task(
    __doc__,
    data_option,
    work_option,
    config_option(RECIPE),
    set_option,
    click.option("--threshold", type=float, default=1.28, show_default=True, help="Log-odds above which is told."),
)
def main(data: Path, work: Path, config: tuple[Path, ...], changes: tuple[str, ...], threshold: float) -> None:
    """Train without each synthesiser, and hear it."""
    torch.set_num_threads(1)
    settings = read_recipe(config, Settings, changes)
    windows = Windows(open_tables(data, work, settings.sets))
    affine = json.loads((work / "calibration.json").read_text(encoding="utf-8"))
    everything = list(range(len(windows.clips)))
    said = [k for k in everything if windows.clips[k].is_said]
    pages = [k for k in everything if not windows.clips[k].is_said]
    systems = sorted({windows.clips[k].system for k in said})
    if not systems:
        raise click.ClickException(f"{work} holds nothing that was said: run bench.quality.spoof.said, then tables")
    arms = {f"all but {system}": pages + [k for k in said if windows.clips[k].system != system] for system in systems}
    arms |= {"pages alone": pages, "all": everything}
    table = ["| synthesiser | trained on | band | clips | median log-odds | told, % |", "|---|---|---|---|---|---|"]
    for arm, allowed in arms.items():
        material = prepare(windows, allowed, settings.net)
        nets = [train(material, allowed, settings, seed) for seed in range(settings.seeds)]
        for system in systems:
            if arm.startswith("all but") and arm != f"all but {system}":
                continue
            rows = np.array([k for k in said if windows.clips[k].system == system])
            for band, view in BANDS.items():
                score = affine["slope"] * score_clips(nets, material, rows, view).mixed + affine["offset"]
                told = 100 * np.mean(score >= threshold)
                table.append(f"| {system} | {arm} | {band} | {len(score)} | {np.median(score):.2f} | {told:.0f} |")
    text = "\n".join(table) + "\n"
    click.echo(text, nl=False)
    (work / "unheard.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
