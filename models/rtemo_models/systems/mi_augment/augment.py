"""The last layer, trained on real features with whatever is put beside them: the arms that are compared."""

import torch
from torch import Tensor, nn

from rtemo.api import EMOTIONS
from rtemo_models.systems.mi_augment.generate import Features, Made
from rtemo_models.systems.mi_augment.settings import LastLayer

_NEAR = 5
_MIX = 0.4
_SPREAD = 0.3
"""Of copies with noise, in deviations of each value."""


class Last(nn.Module):
    """Logits of one feature or a pair. A hidden layer more only learns the features of training by heart."""

    def __init__(self, width: int, settings: LastLayer) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(width, len(EMOTIONS)))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [n, 8]."""
        return self.body(x)


def pairs(h: Tensor, t: Tensor, has_text: Tensor) -> Tensor:
    """A feature with its words beside it, zeros where there are none."""
    return torch.cat([h, t * has_text[:, None]], 1)


def train_last(
    x: Tensor,
    real: Features,
    mask: Tensor,
    arm: str,
    settings: LastLayer,
    seed: int,
    made: tuple[Tensor, Made] | None = None,
) -> Last:
    """Train the last layer.

    Args:
        x: Real features, or pairs, [n, k].
        real: What is known of them.
        mask: By corpus, [corpora, 8].
        arm: `none`, `mixup`, `noise`, `smote`, or anything else where `made` is given.
        settings: Of the last layer.
        seed: Of everything that is drawn.
        made: Made features, or pairs, with what they are of.
    """
    torch.manual_seed(seed)
    net = Last(x.shape[1], settings)
    optimiser = torch.optim.AdamW(net.parameters(), settings.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=settings.steps, pct_start=0.1)
    near = neighbours(x, real) if arm == "smote" else None
    spread = x.std(0)
    for _ in range(settings.steps):
        rows = real.draw(settings.batch)
        given, label, corpus = x[rows], real.label[rows], real.corpus[rows]
        loss = _loss(net(given), label, mask[corpus])
        if arm == "mixup":
            share = float(torch.distributions.Beta(_MIX, _MIX).sample())
            other = torch.randperm(len(rows))
            logits = net(share * given + (1 - share) * given[other])
            both = torch.maximum(mask[corpus], mask[corpus[other]])  # what either corpus has is open
            loss = share * _loss(logits, label, both) + (1 - share) * _loss(logits, label[other], both)
        elif arm == "noise":
            loss = 0.5 * (loss + _loss(net(given + _SPREAD * spread * torch.randn_like(given)), label, mask[corpus]))
        elif near is not None:
            other = x[near[rows, torch.randint(near.shape[1], (len(rows),))]]
            between = given + torch.rand(len(rows), 1) * (other - given)
            loss = 0.5 * (loss + _loss(net(between), label, mask[corpus]))
        elif made is not None:
            drawn = torch.randint(len(made[0]), (round(settings.made * settings.batch),))
            told = made[1]
            extra = _loss(net(made[0][drawn]), told.label[drawn], mask[told.corpus[drawn]])
            loss = (loss + settings.made * extra) / (1 + settings.made)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return net.eval()


def _loss(logits: Tensor, label: Tensor, mask: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits + mask, label, label_smoothing=0.1)


def neighbours(x: Tensor, real: Features, near: int = _NEAR) -> Tensor:
    """The nearest of the same class and corpus, int64 [n, near] (SMOTE; Chawla et al. 2002); itself where alone."""
    found = torch.arange(len(x))[:, None].repeat(1, near)
    key = real.corpus * len(EMOTIONS) + real.label
    for value in key.unique():
        rows = torch.nonzero(key == value).squeeze(1)
        if len(rows) > near:
            found[rows] = rows[torch.cdist(x[rows], x[rows]).topk(near + 1, largest=False).indices[:, 1:]]
    return found
