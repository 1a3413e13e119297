"""What the commands of merit's trainings share."""

from collections.abc import Mapping
from pathlib import Path

import click

from rtemo_models.kit.command import PATH, Training
from rtemo_models.systems.merit.data.taught import Taught, open_taught

teacher_option = click.option(
    "--teacher", "teacher_path", type=PATH, help="encoder_model.ort; default: from moonshine-voice."
)


def taught_by(job: Training, teacher_path: Path | None, variants: Mapping[str, float]) -> Taught:
    """Open the caches of the variants that a recipe draws from; see `open_taught`."""
    return open_taught(job.data, job.work / "cache", teacher_path, [name for name, share in variants.items() if share])
