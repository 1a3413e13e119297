"""A layer of the encoder that learns a little: its matrices stay, a product of two thin ones is added to each."""

import copy
import math

import torch
from torch import Tensor, nn

from rtemo_models.systems.merit_large.net import Layer

MATRICES = ("query_key_value", "attention_out", "feed_in", "feed_out")
NORMS = ("attention_norm", "feed_norm")


class LowRankLinear(nn.Module):
    """x · W + b + (x · A) · B, where only A and B learn, and B is zero at first (Hu et al. 2021, arXiv:2106.09685).

    Args:
        linear: W and b; they are shared with it, not copied.
        rank: Columns of A.
    """

    def __init__(self, linear: nn.Linear, rank: int) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.weight = linear.weight.requires_grad_(False)
        self.bias = linear.bias.requires_grad_(False)
        self.down = nn.Parameter(torch.empty(self.in_features, rank))
        self.up = nn.Parameter(torch.zeros(rank, self.out_features))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """Transform [..., in] to [..., out]."""
        return nn.functional.linear(x, self.weight, self.bias) + (x @ self.down) @ self.up


def low_rank(layer: Layer, rank: int) -> Layer:
    """A layer that says what `layer` says until it learns; it shares its matrices and has norms of its own."""
    made = copy.copy(layer)
    made._modules = dict(layer._modules)
    for name in MATRICES:
        setattr(made, name, LowRankLinear(getattr(layer, name), rank))
    for name in NORMS:
        setattr(made, name, copy.deepcopy(getattr(layer, name)).requires_grad_(True))
    return made


def learnt(module: nn.Module) -> dict[str, Tensor]:
    """What of a module is not shared with a frozen layer, by name: what is saved of it."""
    linears = [name for name, one in module.named_modules() if isinstance(one, LowRankLinear)]
    shared = {f"{name}.{part}" for name in linears for part in ("weight", "bias")}
    return {name: value.detach().clone() for name, value in module.state_dict().items() if name not in shared}
