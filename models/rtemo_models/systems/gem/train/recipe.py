"""What a training run of GEM is made of, read from `recipe.toml`."""

from pathlib import Path
from typing import Any, Literal

import msgspec

from rtemo_models.kit.recipe import read_settings
from rtemo_models.systems.gem.data.plan import CorpusRecipe


class GemRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a training run of GEM; see the comments in the recipe's file."""

    seed: int
    views: int
    crop_steps: tuple[int, ...]
    channel_strength: float
    steps: int
    batch: int
    rate_peak: float
    weight_decay: float
    average_decay: float
    smoothing: float
    expert_weight: float
    pair_weight: float
    one_class_share: float = 0.0
    replay: float
    label_share: float
    corpus_noise: float = 0.0
    gate: Literal["emotion", "uniform", "random"] = "emotion"
    net: dict[str, Any] = {}
    corpus: CorpusRecipe


def read_gem_recipe(path: Path, changes: dict[str, Any] | None = None) -> GemRecipe:
    """Read a recipe, with some of its settings changed; see `settings.read_settings`."""
    return read_settings(path, GemRecipe, changes)
