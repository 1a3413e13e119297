"""Settings of a run, as the recipe has them."""

from pathlib import Path

import msgspec

RECIPE = Path(__file__).parent / "recipes" / "recipe.toml"


class Align(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stage 1: voice and words in one space."""

    width: int
    steps: int
    batch: int
    contrast: float
    bound: float
    rate: float = 1e-3
    dropout: float = 0.3


class Generate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Stage 2: the generator of features."""

    noise: int
    hidden: int
    steps: int
    batch: int
    information: float
    words_dropped: float
    rate: float = 2e-4


class LastLayer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The last layer, trained on real features and on made ones."""

    steps: int
    batch: int
    made: float
    rate: float = 2e-3
    dropout: float = 0.3


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All of it."""

    folds: int
    seeds: int
    left_out_seeds: int
    align: Align
    generator: Generate
    head: LastLayer
