"""From phone tokens and the style of a voice to emotion, with anchors in both spaces (after Upadhyay et al. 2025)."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rtemo_models.systems.sapa.settings import CLASSES, Transfer

MOST_TOKENS = 24
"""Of a clip, the first ones."""


class Batch(NamedTuple):
    """Clips as tensors.

    Attributes:
        tokens: float32 [n, t, values].
        kinds: int64 [n, t], phones; 0 where there is none.
        styles: float32 [n, 256].
    """

    tokens: Tensor
    kinds: Tensor
    styles: Tensor

    def take(self, rows: Tensor) -> "Batch":
        """Some of them."""
        return Batch(self.tokens[rows], self.kinds[rows], self.styles[rows])


class Said(NamedTuple):
    """What the network makes of clips."""

    logits: Tensor
    tokens: Tensor
    """[n, t, width], of length one."""
    styles: Tensor
    """[n, width], of length one."""


class Net(nn.Module):
    """Tokens and style are projected; a clip is what attention takes of its tokens, and its style."""

    def __init__(self, values: int, phones: int, settings: Transfer) -> None:
        super().__init__()
        w = settings.width
        self.token = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(values, w), nn.GELU(), nn.Linear(w, w))
        self.phone = nn.Embedding(phones, w)
        self.style = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(256, w), nn.GELU(), nn.Linear(w, w))
        self.score = nn.Sequential(nn.Linear(w, w), nn.Tanh(), nn.Linear(w, 1))
        self.out = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(2 * w, len(CLASSES)))
        nn.init.normal_(self.phone.weight, std=0.1)

    def forward(self, batch: Batch) -> Said:
        """Logits, and where tokens and styles lie."""
        tokens, style = self.token(batch.tokens), self.style(batch.styles)
        is_there = batch.kinds > 0
        z = tokens + self.phone(batch.kinds)
        score = self.score(z).squeeze(2).masked_fill(~is_there, -1e4)
        pooled = (score.softmax(1)[..., None] * z).sum(1)
        pooled = torch.where(is_there.any(1, keepdim=True), pooled, torch.zeros_like(pooled))
        unit = nn.functional.normalize
        return Said(self.out(torch.cat([pooled, style], 1)), unit(tokens, dim=2), unit(style, dim=1))


class Anchors(NamedTuple):
    """Prototypes, of length one.

    Attributes:
        styles: [classes, communities, width].
        has_style: bool [classes, communities].
        phones: [classes, communities, phones, width].
        has_phone: bool [classes, communities, phones].
        weight: [phones], how alike a phone's prototypes are in both languages.
    """

    styles: Tensor
    has_style: Tensor
    phones: Tensor
    has_phone: Tensor
    weight: Tensor


def anchors_of(said: Said, kinds: Tensor, label: Tensor, community: Tensor, is_target: Tensor, phones: int) -> Anchors:
    """Prototypes of clips whose label is known, or is taken for known.

    Args:
        said: Of n clips.
        kinds: Phones of their tokens, [n, t].
        label: int64 [n], -1 where it is not known.
        community: int64 [n], -1 likewise.
        is_target: bool [n].
        phones: How many there are.
    """
    classes, groups = len(CLASSES), int(community.max()) + 1 if len(community) else 1
    groups = max(groups, 1)
    rows = torch.nonzero(label >= 0).squeeze(1)
    cell = label[rows] * groups + community[rows].clamp_min(0)
    width = said.styles.shape[1]
    styles, has_style = _means(said.styles[rows], cell, classes * groups)
    tokens, kind = said.tokens[rows].reshape(-1, width), kinds[rows].reshape(-1)
    of = cell[:, None].expand(-1, kinds.shape[1]).reshape(-1)
    there = kind > 0
    by_phone, has_phone = _means(tokens[there], of[there] * phones + kind[there], classes * groups * phones)
    target = is_target[rows][:, None].expand(-1, kinds.shape[1]).reshape(-1)
    emotion = label[rows][:, None].expand(-1, kinds.shape[1]).reshape(-1)
    weight = torch.ones(phones)
    if target.any():
        sides = [
            _means(tokens[there & s], (emotion * phones + kind)[there & s], classes * phones) for s in (~target, target)
        ]
        both = (sides[0][1] & sides[1][1]).reshape(classes, phones)
        alike = (sides[0][0] * sides[1][0]).sum(1).clamp_min(0).reshape(classes, phones)
        weight = torch.where(both.any(0), (alike * both).sum(0) / both.sum(0).clamp_min(1), torch.zeros(phones))
    return Anchors(
        styles.reshape(classes, groups, width),
        has_style.reshape(classes, groups),
        by_phone.reshape(classes, groups, phones, width),
        has_phone.reshape(classes, groups, phones),
        weight,
    )


def _means(values: Tensor, cell: Tensor, cells: int) -> tuple[Tensor, Tensor]:
    count = torch.bincount(cell, minlength=cells)
    total = torch.zeros(cells, values.shape[1]).index_add_(0, cell, values)
    return nn.functional.normalize(total, dim=1), count > 0


def style_loss(styles: Tensor, label: Tensor, anchors: Anchors, temperature: float) -> Tensor:
    """Every style is drawn to the nearest prototype of its emotion, and away from those of others."""
    near = torch.einsum("nw,cgw->ncg", styles, anchors.styles).masked_fill(~anchors.has_style, -2.0).amax(2)
    return nn.functional.cross_entropy(near / temperature, label)


def phone_loss(tokens: Tensor, kinds: Tensor, label: Tensor, anchors: Anchors, temperature: float) -> Tensor:
    """The same of every token among prototypes of its own phone, so that which phone it is cannot tell the emotion."""
    there = kinds > 0
    x, kind = tokens[there], kinds[there]
    if not len(x):
        return tokens.sum() * 0.0
    of = label[:, None].expand_as(kinds)[there]
    prototypes = anchors.phones.permute(2, 0, 1, 3)[kind]  # [tokens, classes, groups, width]
    has = anchors.has_phone.permute(2, 0, 1)[kind]
    near = (x[:, None, None] * prototypes).sum(3).masked_fill(~has, -2.0).amax(2)
    weight = anchors.weight[kind]
    loss = nn.functional.cross_entropy(near / temperature, of, reduction="none")
    return (weight * loss).sum() / weight.sum().clamp_min(1e-6)
