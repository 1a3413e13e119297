"""Tells a ranker bundle how to read estimates of others: `python -m rtemo_models.systems.ranker.export.estimates`.

The constants are those that `python -m bench.quality.rank.estimates --fit` prints; the graph is left alone.
"""

import json
from pathlib import Path

import click
import msgspec

from rtemo.api.model import ModelCard
from rtemo_models.kit.command import PATH, task
from rtemo_models.kit.export.folder import write_folder


def add_estimates(folder: Path, constants: dict[str, float], version: str = "") -> ModelCard:
    """Write constants `estimate_…` into the card of the bundle in a folder; returns the new card.

    Raises:
        ValueError: One of them is of something that the bundle does not score.
    """
    card = msgspec.json.decode((folder / "card.json").read_bytes(), type=ModelCard)
    known = tuple(f"estimate_{label}_" for label in card.labels)
    strange = [name for name in constants if not name.startswith(known)]
    if strange:
        raise ValueError(f"bundle {folder} scores {', '.join(card.labels)}, so nothing is to be told by {strange[0]!r}")
    card = msgspec.structs.replace(card, calibration=card.calibration | constants, version=version or card.version)
    write_folder(folder, card, (folder / card.weights).read_bytes())
    return card


@task(
    __doc__,
    click.option(
        "--bundle", "bundle_path", type=PATH, required=True, help="Folder of the ranker bundle, changed in place."
    ),
    click.option("--estimates", "estimates_path", type=PATH, required=True, help="JSON with the constants."),
    click.option("--version", default="", help="Of the bundle; as it was without it."),
)
def main(bundle_path: Path, estimates_path: Path, version: str) -> None:
    """Command line."""
    card = add_estimates(bundle_path, json.loads(estimates_path.read_text()), version)
    print(f"{card.name} {card.version}: {', '.join(name for name in card.calibration if name.startswith('estimate_'))}")


if __name__ == "__main__":
    main()
