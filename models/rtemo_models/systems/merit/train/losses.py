"""Losses of the emotion network."""

import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from rtemo_models.systems.merit.data.batches import Batch
from rtemo_models.systems.merit.data.mixing import Mixture
from rtemo_models.systems.merit.train.recipe import LessonRecipe


def emotion_losses(
    student: Tensor, said: tuple[Tensor, Tensor, Tensor], batch: Batch | Mixture, opinions: Tensor, smoothing: float
) -> dict[str, Tensor]:
    """All losses of what a network makes of a batch, and the cosine to the teacher, which is only watched.

    Args:
        student: [batch, steps, width], what stands for the teacher's frames.
        said: Logits [batch, places, 8], arousal and valence [batch, places].
        batch: The targets.
        opinions: float32 [clips, 8], logits of heads on the teacher; NaN for none.
        smoothing: See `masked_cross_entropy`.
    """
    distil, cosine = distillation(student.float(), batch.teacher, batch.teacher_valid)
    logits, arousal, valence = said
    return {
        "distil": distil,
        "cosine": cosine,
        "masked": masked_cross_entropy(logits, batch.label, batch.allowed, smoothing),
        "accepted": accepted_cross_entropy(logits, batch.accepted),
        "opinion": opinion_cross_entropy(logits, opinions[batch.clip], batch.allowed),
        "arousal": dimensional(arousal, batch.arousal),
        "valence": dimensional(valence, batch.valence),
    }


def weighted(losses: dict[str, Tensor], recipe: LessonRecipe) -> Tensor:
    """Sum of `emotion_losses`, weighted as a recipe says."""
    return (
        recipe.distil_weight * losses["distil"]
        + recipe.masked_weight * losses["masked"]
        + recipe.accepted_weight * losses["accepted"]
        + recipe.opinion_weight * losses["opinion"]
        + recipe.dimensional_weight * (losses["arousal"] + losses["valence"])
    )


def distillation(student: Tensor, teacher: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """L1 plus one minus cosine between standardised frames; also the mean cosine.

    Args:
        student: float32 [batch, steps, width].
        teacher: float32 [batch, steps, width].
        valid: float32 [batch, steps].
    """
    count = valid.sum().clamp_min(1)
    distance = ((student - teacher).abs().mean(-1) * valid).sum() / count
    cosine = (F.cosine_similarity(student, teacher, dim=-1) * valid).sum() / count
    return distance + 1 - cosine, cosine.detach()


def masked_cross_entropy(logits: Tensor, label: Tensor, allowed: Tensor, smoothing: float) -> Tensor:
    """Cross-entropy over the emotions a clip's corpus knows, with label smoothing over the same; 0 without a label.

    Args:
        logits: float32 [batch, places, 8], at several moments of a clip.
        label: int64 [batch], -1 for none.
        allowed: bool [batch, 8].
        smoothing: Share of the target spread evenly over the allowed emotions.
    """
    labelled = label >= 0
    if not labelled.any():
        return logits.sum() * 0
    logits, label, allowed = logits[labelled], label[labelled], allowed[labelled]
    log_p = F.log_softmax(logits.masked_fill(~allowed[:, None], -1e4), -1)
    target = F.one_hot(label, logits.shape[-1]) * (1 - smoothing)
    target = target + smoothing * allowed / allowed.sum(1, keepdim=True)
    return -(target[:, None] * log_p * allowed[:, None]).sum(-1).mean()


def accepted_cross_entropy(logits: Tensor, accepted: Tensor) -> Tensor:
    """Minus log of the probability, among all eight emotions, that any accepted one is named; 0 without one."""
    some = accepted.any(1)
    if not some.any():
        return logits.sum() * 0
    logits, accepted = logits[some], accepted[some]
    inside = torch.logsumexp(logits.masked_fill(~accepted[:, None], -1e4), -1)
    return (torch.logsumexp(logits, -1) - inside).mean()


def opinion_cross_entropy(logits: Tensor, opinion: Tensor, allowed: Tensor) -> Tensor:
    """Cross-entropy with soft targets: over the emotions a clip's corpus knows, or all where it knows none.

    Args:
        logits: float32 [batch, places, 8].
        opinion: float32 [batch, 8], logits; NaN for none.
        allowed: bool [batch, 8].
    """
    some = ~torch.isnan(opinion[:, 0])
    if not some.any():
        return logits.sum() * 0
    logits, opinion, allowed = logits[some], opinion[some], allowed[some]
    allowed = allowed | ~allowed.any(1, keepdim=True)
    target = F.softmax(opinion.masked_fill(~allowed, -1e4), -1)
    log_p = F.log_softmax(logits.masked_fill(~allowed[:, None], -1e4), -1)
    return -(target[:, None] * log_p * allowed[:, None]).sum(-1).mean()


def dimensional(predicted: Tensor, target: Tensor) -> Tensor:
    """Mean square error plus half of one minus Lin's concordance, over clips whose target is known.

    Args:
        predicted: float32 [batch, places].
        target: float32 [batch], NaN where unknown.
    """
    known = ~torch.isnan(target)
    if known.sum() < 4:
        return predicted.sum() * 0
    x, y = predicted[known], target[known][:, None].expand(-1, predicted.shape[1])
    covariance = ((x - x.mean()) * (y - y.mean())).mean()
    spread = x.var(unbiased=False) + y.var(unbiased=False) + (x.mean() - y.mean()) ** 2
    return F.mse_loss(x, y) + 0.5 * (1 - 2 * covariance / spread.clamp_min(1e-6))
