"""What a training run of the full-size network is made of, read from `recipe.toml`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec

from rtemo.api import EMOTIONS
from rtemo.api.errors import ConfigError
from rtemo_models.kit.recipe import read_recipe


class Rates(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Learning rate of each part."""

    encoder: float
    experts: float
    routers: float
    emotion: float
    speech: float


class FullMeritRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a run; see the comments in the recipe's file."""

    seed: int
    encoder: str
    corpora: tuple[str, ...]
    classes: tuple[str, ...]
    epochs: int
    heads_epochs: int
    batch: int
    micro_batch: int
    rates: Rates
    weight_decay: float
    speech_weight: float
    balance_weight: float
    z_weight: float
    combine: Literal["sum", "uncertainty", "pcgrad"]
    soft_labels: bool
    snr_db: tuple[float, ...]
    dev_snr_db: tuple[float, ...]
    longest_s: float
    select: Literal["f1_macro", "loss"]
    checkpoint_steps: int
    normalise_clips: int = 500
    bf16: bool = True
    recompute: bool = False
    workers: int = 0
    gradient_norm: float = 0.0
    degrade: dict[str, float] = {}
    net: dict[str, Any] = {}


def read_full_recipe(paths: Path | Sequence[Path], changes: Sequence[str] = ()) -> FullMeritRecipe:
    """Read a recipe.

    Raises:
        ConfigError: If a key is unknown, missing or of the wrong type, with its name.
    """
    recipe = read_recipe(paths, FullMeritRecipe, changes)
    unknown = [name for name in recipe.classes if name not in EMOTIONS]
    if unknown:
        raise ConfigError(f"classes has {', '.join(unknown)}; expected names of {', '.join(EMOTIONS)}")
    return recipe
