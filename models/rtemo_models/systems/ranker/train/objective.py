"""The loss of a batch of lists, whichever the recipe names."""

import torch
from torch import Tensor

from rtemo_models.systems.ranker.train.baselines import (
    adjacent_pairs,
    all_pairs,
    approx_ndcg,
    lambda_loss,
    list_mle,
    list_net,
    rank_net,
)
from rtemo_models.systems.ranker.train.losses import comparisons, rank_list_running, skip_wise
from rtemo_models.systems.ranker.train.recipe import RankerRecipe

CURRICULUM_SHARE = 0.5
"""Share of the training by which the curriculum has come to all distances."""
LIST_NET_SHARPNESS = 3.0


def list_losses(scores: Tensor, labels: Tensor, gap: float, recipe: RankerRecipe, done: float) -> Tensor:
    """Loss of each list, [lists], for scores and labels float32 [lists, n]; `done` is the share of the training."""
    r = recipe
    if r.loss == "rank_list":
        if r.curriculum == "none":
            return rank_list_running(scores, labels, gap, r.temperature, r.margin)
        return skip_wise(scores, labels, done / CURRICULUM_SHARE, r.curriculum, gap, r.temperature, r.margin)
    by_pairs = {
        "rank_net": rank_net,
        "all_pairs": all_pairs,
        "adjacent_pairs": adjacent_pairs,
        "lambda_loss": lambda_loss,
    }
    if r.loss in by_pairs:
        return by_pairs[r.loss](scores, labels, gap)
    if r.loss == "list_net":
        return list_net(scores, labels, LIST_NET_SHARPNESS)
    return list_mle(scores, labels) if r.loss == "list_mle" else approx_ndcg(scores, labels)


def attribute_losses(scores: Tensor, labels: Tensor, recipe: RankerRecipe, done: float) -> Tensor:
    """Mean loss of each attribute over its lists that hold a comparison, [3].

    Args:
        scores: float32 [3, lists, n], each attribute's own scores of its own lists.
        labels: float32 [3, lists, n], NaN where a list has no further clip.
        recipe: Settings.
        done: Share of the training that is behind.
    """
    found = []
    for s, y, gap in zip(scores, labels, recipe.gaps, strict=True):
        counts = comparisons(y, gap).flatten(1).any(1)
        losses = list_losses(s, y, gap, recipe, done)
        found.append(torch.where(counts, losses, torch.zeros(())).sum() / counts.sum().clamp_min(1))
    return torch.stack(found)
