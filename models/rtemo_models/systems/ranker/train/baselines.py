"""The losses that RankList is measured against, in the form of `rank_losses`: one value per list.

Checked against the forms in allRank (Pobrotyn et al. 2020, arXiv:2005.10084) but written for masked lists. Those that
weigh by gain use 2^level - 1, the level counting the distinct labels of a list from below, as graded relevance does.
"""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rtemo_models.systems.ranker.train.losses import comparisons, levels


def pair_sum(scores: Tensor, mask: Tensor) -> Tensor:
    """Σ log(1 + e^(s(j) - s(i))) over the masked pairs (i, j) of each list."""
    values = F.softplus(scores[:, None, :] - scores[:, :, None])
    return torch.where(mask, values, torch.zeros(())).sum((1, 2))


def rank_net(scores: Tensor, labels: Tensor, gap: float = 0.0) -> Tensor:
    """RankNet (Burges et al. 2005) on disjoint random pairs: every item of the list is in one pair at most.

    That is what training on drawn pairs sees (Parthasarathy, Lotfian and Busso 2017). Mean over the pairs that count.
    """
    lists, n = labels.shape
    order = torch.rand(lists, n).argsort(1)
    s, y = scores.gather(1, order), labels.gather(1, order)
    half = n // 2
    s = torch.stack([s[:, :half], s[:, half : 2 * half]], -1).flatten(0, 1)
    y = torch.stack([y[:, :half], y[:, half : 2 * half]], -1).flatten(0, 1)
    mask = comparisons(y, gap)
    sums = pair_sum(s, mask).unflatten(0, (lists, half)).sum(1)
    return sums / mask.flatten(1).any(1).unflatten(0, (lists, half)).sum(1).clamp_min(1)


def all_pairs(scores: Tensor, labels: Tensor, gap: float = 0.0) -> Tensor:
    """RankNet on every pair of the list, summed."""
    return pair_sum(scores, comparisons(labels, gap))


def adjacent_pairs(scores: Tensor, labels: Tensor, gap: float = 0.0) -> Tensor:
    """RankNet on neighbours only, summed: items between whose labels no other label of the list lies."""
    level = levels(labels)
    return pair_sum(scores, comparisons(labels, gap) & (level[:, :, None] - level[:, None, :] == 1))


def list_net(scores: Tensor, labels: Tensor, sharpness: float = 1.0) -> Tensor:
    """ListNet (Cao et al. 2007): cross-entropy of the probabilities to be first, after labels times `sharpness`."""
    known = ~labels.isnan()
    target = F.softmax((sharpness * labels.nan_to_num()).masked_fill(~known, -1e4), 1)
    log_p = F.log_softmax(scores.masked_fill(~known, -1e4), 1)
    loss = -(target * log_p).masked_fill(~known, 0).sum(1)
    return torch.where(known.sum(1) > 1, loss, torch.zeros_like(loss))


def list_mle(scores: Tensor, labels: Tensor) -> Tensor:
    """ListMLE (Xia et al. 2008): minus log of the likelihood of the order (Plackett-Luce), ties in random order."""
    known = ~labels.isnan()
    shuffled = torch.rand_like(labels).argsort(1)
    floor = torch.where(known, labels, torch.full_like(labels, -torch.inf)).gather(1, shuffled)
    order = shuffled.gather(1, floor.sort(dim=1, descending=True, stable=True).indices)
    s, there = scores.gather(1, order), known.gather(1, order)
    rest = torch.logcumsumexp(s.masked_fill(~there, -1e30).flip(1), 1).flip(1)
    return torch.where(there, rest - s, torch.zeros_like(s)).sum(1)


def gains_of(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Gain of each item over that of its ideal list, float32 [lists, n]; and which items there are."""
    level = levels(labels)
    known = level >= 0
    gain = torch.where(known, torch.exp2(level.clamp_min(0).float()) - 1, torch.zeros(()))
    places = torch.arange(1, labels.shape[1] + 1, dtype=torch.float32)
    ideal = (gain.sort(1, descending=True).values / torch.log2(1 + places)).sum(1, keepdim=True)
    return gain / ideal.clamp_min(1e-6), known


def lambda_loss(scores: Tensor, labels: Tensor, gap: float = 0.0) -> Tensor:
    """RankNet on every pair, weighed by what swapping the pair changes in NDCG now (LambdaRank).

    The metric-driven loss of Wang et al. (2018, "The LambdaLoss framework") with the weights of Burges (2010).
    """
    gain, known = gains_of(labels)
    place = scores.detach().masked_fill(~known, -torch.inf).argsort(1, descending=True).argsort(1) + 1
    discount = 1 / torch.log2(1 + place.float())
    change = (gain[:, :, None] - gain[:, None, :]).abs() * (discount[:, :, None] - discount[:, None, :]).abs()
    values = F.softplus(scores[:, None, :] - scores[:, :, None]) * change
    return torch.where(comparisons(labels, gap), values, torch.zeros(())).sum((1, 2))


def approx_ndcg(scores: Tensor, labels: Tensor, sharpness: float = 5.0) -> Tensor:
    """ApproxNDCG (Qin, Liu and Li 2010): 1 - NDCG, the place of an item being a sum of sigmoids."""
    gain, known = gains_of(labels)
    above = torch.sigmoid(sharpness * (scores[:, None, :] - scores[:, :, None])) * known[:, None, :]
    place = 1 + above.sum(2) - 0.5 * known  # an item is not above itself
    ndcg = (gain / torch.log2(1 + place)).sum(1)
    return torch.where(gain.sum(1) > 0, 1 - ndcg, torch.zeros_like(ndcg) * scores.sum())
