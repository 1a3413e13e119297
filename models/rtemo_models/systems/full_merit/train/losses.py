"""Losses and scores of the full-size network."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812


def detection_scores(confusion: Tensor) -> dict[str, float]:
    """F1-macro, F1-micro and unweighted average recall of a confusion matrix [true, said]; absent classes score 0."""
    hit = confusion.diagonal().double()
    recall = hit / confusion.sum(1).clamp_min(1)
    precision = hit / confusion.sum(0).clamp_min(1)
    f1 = 2 * precision * recall / (precision + recall).clamp_min(1e-12)
    total = confusion.sum().clamp_min(1)
    return {"f1_macro": float(f1.mean()), "f1_micro": float(hit.sum() / total), "uar": float(recall.mean())}


def emotion_loss(logits: Tensor, target: Tensor, class_weight: Tensor) -> Tensor:
    """Class-weighted cross-entropy, averaged over the whole batch; a clip without a label counts 0.

    Dividing by the batch and not by the weights in it keeps the loss a plain sum over clips, so that a batch spread
    over processes or micro-batches has the gradients of the whole.

    Args:
        logits: float32 [batch, classes].
        target: float32 [batch, classes], a distribution, or all 0 without a label.
        class_weight: float32 [classes].
    """
    return -(target * class_weight * F.log_softmax(logits, -1)).sum(-1).mean()


def speech_loss(masked: Tensor, clean: Tensor, frames: Tensor) -> Tensor:
    """L1 between log1p magnitudes, the mean over each clip's frames, then over clips.

    Args:
        masked: float32 [batch, frames, 201].
        clean: float32 [batch, frames, 201].
        frames: int64 [batch], how many frames of each clip count.
    """
    inside = torch.arange(masked.shape[1], device=masked.device) < frames[:, None]
    distance = (masked - clean).abs().mean(-1) * inside
    return (distance.sum(1) / frames).mean()
