"""What a training run of the full-size network is made of, read from `recipe.toml`."""

import tomllib
from pathlib import Path
from typing import Any, Literal

import msgspec

from rtemo.api.errors import ConfigError
from rtemo.api.events import EMOTIONS


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


def read_full_recipe(path: Path) -> FullMeritRecipe:
    """Read a recipe.

    Raises:
        ConfigError: If a key is unknown, missing or of the wrong type, with its name.
    """
    try:
        recipe = msgspec.convert(tomllib.loads(path.read_text(encoding="utf-8")), FullMeritRecipe)
    except (msgspec.ValidationError, tomllib.TOMLDecodeError, OSError) as error:
        raise ConfigError(f"{path}: {error}", "see full_merit/recipes/recipe.toml for every key") from error
    unknown = [name for name in recipe.classes if name not in EMOTIONS]
    if unknown:
        raise ConfigError(f"classes has {', '.join(unknown)}; expected names of {', '.join(EMOTIONS)}")
    return recipe
