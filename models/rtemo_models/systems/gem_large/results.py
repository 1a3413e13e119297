"""What the card tells, of trials and of false alarms: `python -m rtemo_models.systems.gem_large.results --help`."""

import json
from pathlib import Path
from typing import Any

import click

from rtemo_models.kit.command import PATH, task
from rtemo_models.systems.gem_large.fold import GEM

FIGURES = ("same page", "pooled", "conversion", "worst emotion", "minDCF", "actDCF", "Cllr")


def scores_of(pages: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Scores for the card, of what `bench.quality.spoof.pages --out` wrote."""
    return {
        f"pages and systems unseen, {band}": {
            name.replace(" ", "_"): round(arms[GEM][name]["value"], 4) for name in FIGURES
        }
        for band, arms in pages.items()
    }


@task(
    __doc__,
    click.option("--pages", type=PATH, required=True, help="What bench.quality.spoof.pages wrote."),
    click.option("--false-alarms", type=PATH, required=True, help="What bench.quality.spoof.false_alarms wrote."),
    click.option("--out", type=PATH, required=True, help="JSON for export --results."),
)
def main(pages: Path, false_alarms: Path, out: Path) -> None:
    """Join scores and calibration."""
    found = {
        "calibration": json.loads(false_alarms.read_text(encoding="utf-8"))["card"],
        "scores": scores_of(json.loads(pages.read_text(encoding="utf-8"))),
    }
    out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
