"""What a training run of GEM is made of, read from `recipe.toml`."""

from typing import Any, Literal

import msgspec

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
