"""Writes the folder of a bundle: the graph, its card, and what makes Python find them."""

from pathlib import Path

import msgspec

from rtemo.api.model import ModelCard


def write_folder(place: Path, card: ModelCard, graph: bytes) -> None:
    """Write graph and card into `place`, which is made where it is missing."""
    place.mkdir(parents=True, exist_ok=True)
    (place / card.weights).write_bytes(graph)
    (place / "card.json").write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=1) + b"\n")
    text = f'"""The {card.name} bundle: `{card.weights}` and its card."""\n'
    (place / "__init__.py").write_text(text, encoding="utf-8")
