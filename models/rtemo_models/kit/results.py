"""Writes the table of a system's scores, from its cards and from files of scores."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from rtemo_models.kit.command import PATH, task


def lines_of(scores: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Name and value of every score, those in tables within as `table, name`; lists are left out."""
    for name, value in scores.items():
        named = f"{before}, {name}" if before else name
        if isinstance(value, Mapping):
            yield from lines_of(value, named)
        elif isinstance(value, bool | int | str):
            yield named, str(value)
        elif isinstance(value, float):
            yield named, f"{value:.4g}"


def table_of(title: str, scores: Mapping[str, Any]) -> str:
    """A heading and a table in Markdown."""
    rows = [f"| {name} | {value} |" for name, value in lines_of(scores)]
    body = ["| score | |", "|---|---|", *rows] if rows else ["Nothing was scored."]
    return "\n".join([f"## {title}", "", *body, ""])


@task(
    __doc__,
    click.option("--card", "cards", type=PATH, multiple=True, help="Card of a bundle; several times for several."),
    click.option("--scores", "files", type=PATH, multiple=True, help="JSON of scores; several times for several."),
    click.option("--out", type=PATH, required=True, help="Markdown file to write."),
)
def main(cards: tuple[Path, ...], files: tuple[Path, ...], out: Path) -> None:
    """Command line."""
    parts = []
    for path in cards:
        card = json.loads(path.read_text(encoding="utf-8"))
        told = {"parameters": card["parameters"], "MAC per s": card["macs_per_s"]} | card.get("scores", {})
        parts.append(table_of(f"{card['name']} {card['version']}, sha256 {card['sha256'][:12]}", told))
    parts += [table_of(path.parent.name, json.loads(path.read_text(encoding="utf-8"))) for path in files]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n".join(parts), encoding="utf-8")


if __name__ == "__main__":
    main()
