"""Gradients of several tasks on shared weights: how far they agree, and taking out what conflicts."""

import random
from collections.abc import Sequence

import torch
from torch import Tensor

Gradient = Sequence[Tensor]
"""One tensor per shared parameter."""


def product(a: Gradient, b: Gradient) -> Tensor:
    """Inner product over all parameters."""
    return torch.stack([torch.sum(x.float() * y.float()) for x, y in zip(a, b, strict=True)]).sum()


def cosine(a: Gradient, b: Gradient) -> Tensor:
    """Cosine of the angle between two gradients, 0 where one vanishes; below 0 the tasks conflict."""
    return product(a, b) / (product(a, a) * product(b, b)).sqrt().clamp_min(1e-20)


def without_conflict(gradients: Sequence[Gradient], seed: int) -> list[Tensor]:
    """Sum of the tasks' gradients after gradient surgery (PCGrad, Yu et al. 2020, arXiv:2001.06782).

    Of each gradient the part that points against another task's is taken out, the others in random order.

    Args:
        gradients: One per task.
        seed: Seed of the order; the same on all processes of a run.

    Returns:
        One tensor per shared parameter.
    """
    draw = random.Random(seed)
    mended = []
    for i, gradient in enumerate(gradients):
        mine = [g.clone() for g in gradient]
        others = [other for j, other in enumerate(gradients) if j != i]
        draw.shuffle(others)
        for other in others:
            agreement = product(mine, other)
            if agreement < 0:
                share = agreement / product(other, other).clamp_min(1e-20)
                for mine_part, other_part in zip(mine, other, strict=True):
                    mine_part.sub_((share * other_part).to(mine_part.dtype))
        mended.append(mine)
    return [torch.stack(parts).sum(0) for parts in zip(*mended, strict=True)]
