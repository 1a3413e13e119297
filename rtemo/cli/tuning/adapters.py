"""Adapters: low-rank additions to matrices of the upper layers, and the last layer that learns with them, in torch."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo.cli.tuning.head import OWN_STRENGTH, Array, Head
from rtemo.cli.tuning.layers import Layers, upper_part
from rtemo.cli.tuning.windows import Network
from rtemo.runtime.torch_graph import TorchGraph

ALPHA = 16.0
"""What is added is divided by the rank and multiplied by this, so that a rate suits every rank."""


class Said(NamedTuple):
    """What is told of windows."""

    logits: Tensor
    others: dict[str, Tensor]


class Adapters(nn.Module):
    """W + (alpha / rank) · A · B for every matrix W, which stays; B begins at zero (Hu et al. 2021, arXiv:2106.09685).

    Args:
        weights: Name → W [in, out].
        rank: Columns of A.
        seed: Of A.
    """

    def __init__(self, weights: Mapping[str, Tensor], rank: int, seed: int) -> None:
        super().__init__()
        self._weights = dict(weights)
        self._scale = ALPHA / rank
        draw = torch.Generator().manual_seed(seed)
        self.down, self.up = nn.ParameterList(), nn.ParameterList()
        for weight in self._weights.values():
            within, out = weight.shape
            bound = 1.0 / math.sqrt(within)
            self.down.append((torch.rand((within, rank), generator=draw) * 2 - 1) * bound)
            self.up.append(torch.zeros(rank, out))

    def forward(self) -> dict[str, Tensor]:
        """Give the matrices as they are now, by name."""
        every = zip(self._weights.items(), self.down, self.up, strict=True)
        return {name: weight + self._scale * (down @ up) for (name, weight), down, up in every}


class LastLayer(nn.Module):
    """A head as one that learns; its features are standardised, so that one rate suits all.

    Args:
        head: Where it begins.
        start: What its map of own logits is drawn towards; see `fit_head`.
        strength: How strongly its map of features is drawn towards zero.
        mean: Of the features.
        scale: Their deviation.
    """

    mean: Tensor
    scale: Tensor
    start: Tensor

    def __init__(
        self, head: Head, start: Array, strength: float, mean: NDArray[np.float32], scale: NDArray[np.float32]
    ) -> None:
        super().__init__()
        self._strength = strength * len(mean)
        for name, values in (("mean", mean), ("scale", scale), ("start", start.astype(np.float32))):
            self.register_buffer(name, torch.from_numpy(values), persistent=False)
        self.from_features = nn.Parameter(torch.from_numpy(head.from_features * scale[:, None]))
        self.from_logits = nn.Parameter(torch.from_numpy(head.from_logits.copy()))
        self.bias = nn.Parameter(torch.from_numpy(head.bias + mean @ head.from_features))

    def forward(self, features: Tensor, own: Tensor) -> Tensor:
        """Logits [n, classes] of features [n, k] and of the network's own logits."""
        return (features - self.mean) / self.scale @ self.from_features + own @ self.from_logits + self.bias

    def penalty(self) -> Tensor:
        """As that of `fit_head`."""
        away = self.from_logits - self.start
        return 0.5 * (self._strength * self.from_features.square().sum() + OWN_STRENGTH * away.square().sum())

    def head(self) -> Head:
        """The head that it has become."""
        scale, mean = self.scale.cpu().numpy(), self.mean.cpu().numpy()
        from_features = self.from_features.detach().cpu().numpy() / scale[:, None]
        bias = self.bias.detach().cpu().numpy() - mean @ from_features
        return Head(from_features, self.from_logits.detach().cpu().numpy().copy(), bias)


class Upper(nn.Module):
    """The layers that are tuned and all above them: the graph that ships, run operation by operation.

    Args:
        network: The whole, with the frames below kept.
        layers: Which are tuned.
        mask: Input that says which frames are there.
        rank: Of what is added.
        last: The new last layer.
        device: Where to run.
        seed: Of what is added.
    """

    def __init__(
        self,
        network: Network,
        layers: Layers,
        mask: str,
        rank: int,
        last: LastLayer,
        device: torch.device,
        seed: int,
    ) -> None:
        super().__init__()
        self._wanted = (network.features, "logits", *network.others)
        self._mask, self._frozen = mask, network.frozen
        self._frames = network.card.inputs[mask].shape[0]
        self._graph = TorchGraph(upper_part(network.data, layers, self._wanted, self._frames), device)
        weights = {name: torch.from_numpy(self._graph.constants[name]).to(device) for name in layers.weights}
        self.device = device
        self.adapters = Adapters(weights, rank, seed).to(device)
        self.last = last.to(device)
        self._is_of_any_length = self._runs(self._frames // 4)

    def length(self, longest: int) -> int:
        """To how many frames windows are filled up of which the longest has so many."""
        return longest if self._is_of_any_length else self._frames

    def _runs(self, frames: int) -> bool:
        nothing = {name: np.zeros((1, frames, width), np.float32) for name, width in self._frozen.items()}
        try:
            with torch.no_grad():
                self(nothing, np.ones((1, frames), np.float32))
        except RuntimeError:  # a shape is written down in it
            return False
        return True

    def forward(self, frames: Mapping[str, NDArray[np.float32]], there: NDArray[np.float32]) -> Said:
        """Run windows.

        Args:
            frames: Name → float32 [n, t, width], after the layer below.
            there: float32 [n, t], 1 where a frame is.
        """
        given = {name: torch.from_numpy(values).to(self.device) for name, values in frames.items()}
        given[self._mask] = torch.from_numpy(there).to(self.device)
        features, own, *others = self._graph(given | self.adapters(), self._wanted)
        return Said(self.last(features, own), dict(zip(self._wanted[2:], others, strict=True)))

    def weights(self) -> dict[str, NDArray[np.float32]]:
        """The matrices with what was added, by name."""
        with torch.no_grad():
            return {name: weight.cpu().numpy() for name, weight in self.adapters().items()}
