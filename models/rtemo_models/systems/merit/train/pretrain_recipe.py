"""What a training run is made of, read from `recipe.toml`."""

from typing import Any

import msgspec


class EmotionRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a training run of the emotion network; see the comments in the recipe's file."""

    seed: int
    steps: int
    batch_steps: int
    crop_steps: tuple[int, ...]
    rate_peak: float
    warmup_steps: int
    weight_decay: float
    average_decay: float
    delay_samples: int
    smoothing: float
    distil_weight: float
    masked_weight: float
    accepted_weight: float
    dimensional_weight: float
    opinion_weight: float
    opinion_steps: int = 1500
    """Steps of each head whose opinions are learned."""
    augment_strength: float
    hold_out: tuple[str, ...]
    head_steps: int
    head_rate: float
    head_accepted_weight: float
    shares: dict[str, float]
    variants: dict[str, float]
    net: dict[str, Any] = {}
