"""Settings of a run, as the recipe has them."""

from pathlib import Path

import msgspec

RECIPE = Path(__file__).parent / "recipes" / "recipe.toml"
CLASSES = ("neutral", "happy", "sad", "angry")
"""What all corpora that are compared have."""


class Phones(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The phone head."""

    hidden: int
    steps: int
    batch: int
    rate: float = 2e-3
    least: int = 20
    """Occurrences below which a phone is left out."""


class Transfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Training on one language for another."""

    width: int
    first_steps: int
    """Before there are anchors."""
    steps: int
    batch: int
    speaker_weight: float
    phone_weight: float
    entropy_weight: float
    temperature: float
    confidence: float
    """Of a label that a target clip is given by the network itself."""
    refresh: int
    """Steps between two renewals of the prototypes."""
    rate: float = 2e-3
    dropout: float = 0.2


class Graph(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Communities of speakers."""

    near: int
    least_clips: int
    least_speakers: int


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    languages: dict[str, tuple[str, ...]]
    """Language → corpora."""
    directions: tuple[tuple[str, str], ...]
    most_clips: int
    """Of each corpus."""
    values: int
    """Principal components of a frame."""
    seeds: int
    phones: Phones
    transfer: Transfer
    graph: Graph
