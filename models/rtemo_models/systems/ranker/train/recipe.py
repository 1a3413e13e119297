"""What a training run of the ranker is made of, read from `recipe.toml`."""

from typing import Any, Literal

import msgspec

LossName = Literal[
    "rank_list", "rank_net", "all_pairs", "adjacent_pairs", "list_net", "list_mle", "lambda_loss", "approx_ndcg"
]


class RankerRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a training run of the ranker; see the comments in the recipe's file."""

    seed: int
    start: str = ""
    pool_rate: float = 1.0
    steps: int
    lists: int
    length: int
    gaps: tuple[float, float, float]
    loss: LossName = "rank_list"
    temperature: float = 1.0
    margin: float = 0.0
    curriculum: Literal["none", "near_first", "far_first"] = "none"
    early_steps: tuple[int, ...]
    early_weight: float
    most_steps: int
    rate_peak: float
    warmup_steps: int
    weight_decay: float
    average_decay: float
    hold_out: tuple[str, ...] = ()
    shares: dict[str, float]
    variants: dict[str, float]
    net: dict[str, Any] = {}
