"""Cross-modal Rank-N-Contrast: what is nearer in valence and arousal shall be nearer in the space.

After Zha et al., "Rank-N-Contrast" (2023), one modality against the other as in Chandra et al., "EmotionRankCLAP"
(2025): for an anchor i of one modality and item j of the other, d the distance of their labels and s the scaled
similarity,

    l_ij = -log( exp(s_ij) / Σ_k [d_ik >= d_ij] exp(s_ik) ).

Item j = i has d = 0, so that its sum is over the whole batch: that term is CLIP's.
"""

import torch
from torch import Tensor


def rank_n_contrast(logits: Tensor, distance: Tensor, own_weight: float = 1.0, order_weight: float = 1.0) -> Tensor:
    """Mean of l_ij over anchors, exact in O(N² log N).

    Per anchor the items are sorted by distance; the logarithm of a running sum of exponentials from the far end gives
    every denominator. Items of one distance share the denominator of the first of them.

    Args:
        logits: [n, n] similarities over temperature, anchors in rows; item i belongs to anchor i.
        distance: [n, n] of the labels; 0 on the diagonal.
        own_weight: Of l_ii; with `order_weight` 0 what is left is CLIP.
        order_weight: Of the others, together, against it.
    """
    n = logits.shape[0]
    own = logits.logsumexp(1) - logits.diagonal()
    if order_weight == 0.0 or n < 2:
        return own_weight * own.mean()
    ordered, place = distance.sort(dim=1, stable=True)
    sorted_logits = logits.gather(1, place)
    suffix = sorted_logits.flip(1).logcumsumexp(1).flip(1)
    first = torch.searchsorted(ordered.contiguous(), ordered.contiguous())  # of the items of one distance
    terms = suffix.gather(1, first) - sorted_logits
    is_own = place == torch.arange(n, device=place.device)[:, None]
    others = terms.masked_fill(is_own, 0.0).sum(1) / (n - 1)
    return (own_weight * own + order_weight * others).mean() / (own_weight + order_weight)


def naive(logits: Tensor, distance: Tensor, own_weight: float = 1.0, order_weight: float = 1.0) -> Tensor:
    """The same by its definition, O(N³); to check the other."""
    n = logits.shape[0]
    total = logits.new_zeros(())
    for i in range(n):
        for j in range(n):
            # An item of its own has the whole batch against it, whatever the labels.
            candidates = logits[i] if i == j else logits[i][distance[i] >= distance[i, j]]
            term = candidates.logsumexp(0) - logits[i, j]
            total = total + term * (own_weight if i == j else order_weight / (n - 1))
    return total / n / (own_weight + order_weight)


def symmetric(
    audio: Tensor, text: Tensor, scale: Tensor, distance: Tensor, own_weight: float, order_weight: float
) -> Tensor:
    """Both directions: audio [n, d] and text [n, d] of length one, distance [n, n] of their labels."""
    logits = scale * audio @ text.T
    return 0.5 * (
        rank_n_contrast(logits, distance, own_weight, order_weight)
        + rank_n_contrast(logits.T, distance, own_weight, order_weight)
    )
