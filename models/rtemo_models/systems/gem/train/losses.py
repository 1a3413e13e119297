"""Losses of GEM: the mixed score, each expert on what is its own, and each clip against its resynthesis."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rtemo_models.systems.gem.net import mixed, normalised

SHARPNESS, GENUINE_BELOW, SYNTHETIC_BEYOND = 2.0, -1.0, 0.5
"""Of the one-class loss, in log-odds."""


def smoothed(label: Tensor, smoothing: float) -> Tensor:
    """Labels pulled towards a half, so that log-odds stay within reason."""
    return label * (1 - smoothing) + 0.5 * smoothing


def mixed_loss(said: Tensor, gate: Tensor, label: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy of the gate-mixed log-odds; said and gate float32 [batch, 4], label float32 [batch]."""
    score = mixed(said, gate)
    return F.binary_cross_entropy_with_logits(score, smoothed(label, smoothing))


def expert_loss(said: Tensor, gate: Tensor, label: Tensor, replay: float, smoothing: float) -> Tensor:
    """Cross-entropy of each expert, weighed by its share of the clip (Jacobs et al. 1991, "Adaptive mixtures").

    Args:
        said: float32 [batch, 4].
        gate: float32 [batch, 4].
        label: float32 [batch].
        replay: Share of every clip that all experts get alike, lest each forgets what the others learn.
        smoothing: Of the labels.
    """
    share = (1 - replay) * normalised(gate) + replay / gate.shape[-1]
    target = smoothed(label, smoothing)[:, None].expand_as(said)
    return (share * F.binary_cross_entropy_with_logits(said, target, reduction="none")).sum(-1).mean()


def pair_loss(score: Tensor, pairs: int) -> Tensor:
    """How far genuine clips stand above their own resyntheses, scores float32 [batch], pairs first."""
    if not pairs:
        return score.new_zeros(())
    return F.softplus(score[:pairs] - score[pairs : 2 * pairs] + 1.0).mean()


def one_class_loss(score: Tensor, label: Tensor) -> Tensor:
    """One-class margins (Zhang, Jiang and Duan 2021, "One-class learning towards synthetic voice spoofing detection").

    Genuine speech is drawn together below a margin; synthetic speech is pushed beyond another and left there, at half
    the weight, since systems to come need not be where the known ones are. Score and label float32 [batch].
    """
    below = F.softplus(SHARPNESS * (score - GENUINE_BELOW)) * (label == 0)
    beyond = F.softplus(SHARPNESS * (SYNTHETIC_BEYOND - score)) * (label == 1)
    return below.sum() / (label == 0).sum().clamp_min(1) + 0.5 * beyond.sum() / (label == 1).sum().clamp_min(1)


def training_gate(gate: Tensor, kind: str) -> Tensor:
    """The gate that an arm trains with: the emotion's, the same for all, or drawn for each clip anew."""
    if kind == "uniform":
        return torch.full_like(gate, 1 / gate.shape[-1])
    if kind == "random":
        drawn = torch.rand_like(gate) ** 4
        return drawn / drawn.sum(-1, keepdim=True)
    return gate
