"""SpeechLM: a decoder whose positions are tokens, values, or both; a sequence whole, or one position at a time."""

from typing import Any

import msgspec
import torch
from torch import Tensor, nn
from torch.nn import functional


class SpeechLMConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes of the network."""

    vocabulary: tuple[str, ...]
    values: int
    """Numbers that a position may bring with it."""
    width: int = 384
    layers: int = 6
    heads: int = 6
    positions: int = 96
    """Longest sequence, prefix included."""
    dropout: float = 0.1


class Layer(nn.Module):
    """Causal self-attention and a feed-forward network, each after a norm and around a residual."""

    def __init__(self, config: SpeechLMConfig) -> None:
        super().__init__()
        width = config.width
        self.heads = config.heads
        self.dropout = config.dropout
        self.norm = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """[n, t, width] -> [n, t, width]."""
        n, t, width = x.shape
        q, k, v = (part.view(n, t, self.heads, -1).transpose(1, 2) for part in self.qkv(self.norm(x)).chunk(3, -1))
        seen = functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + functional.dropout(self.out(seen.transpose(1, 2).reshape(n, t, width)), self.dropout, self.training)
        return x + functional.dropout(self.down(functional.gelu(self.up(self.norm2(x)))), self.dropout, self.training)

    def step(self, x: Tensor, keys: Tensor, values: Tensor, here: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One position: x [n, width], what was kept [n, positions, width], here [n, positions] with 1 at the place.

        Returns:
            x, and what is kept from now on.
        """
        width = x.shape[1]
        q, k, v = self.qkv(self.norm(x)).chunk(3, -1)
        keys = keys * (1 - here[..., None]) + k[:, None] * here[..., None]
        values = values * (1 - here[..., None]) + v[:, None] * here[..., None]
        deep = width // self.heads
        positions = keys.shape[1]
        scores = (
            torch.einsum(
                "nhd,nphd->nhp",
                q.view(-1, self.heads, deep),
                keys.view(-1, positions, self.heads, deep),
            )
            / deep**0.5
        )
        past = here.flip(1).cumsum(1).flip(1)  # 1 up to the place, 0 beyond
        scores = scores - 1e4 * (1 - past[:, None])
        seen = torch.einsum("nhp,nphd->nhd", scores.softmax(-1), values.view(-1, positions, self.heads, deep))
        x = x + self.out(seen.reshape(-1, width))
        return x + self.down(functional.gelu(self.up(self.norm2(x)))), keys, values


class SpeechLM(nn.Module):
    """The decoder; input and output tokens share their vectors."""

    def __init__(self, config: SpeechLMConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(len(config.vocabulary), config.width)
        self.places = nn.Parameter(0.02 * torch.randn(config.positions, config.width))
        self.bring = nn.Linear(config.values, config.width)
        self.layers = nn.ModuleList(Layer(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        nn.init.normal_(self.tokens.weight, std=0.02)

    def forward(self, ids: Tensor, values: Tensor) -> Tensor:
        """Logits of the next token.

        Args:
            ids: int64 [n, t].
            values: float32 [n, p, values], of the first p positions.
        """
        brought = functional.pad(self.bring(values), (0, 0, 0, ids.shape[1] - values.shape[1]))
        x = self.tokens(ids) + brought + self.places[: ids.shape[1]]
        x = functional.dropout(x, self.config.dropout, self.training)
        for layer in self.layers:
            x = layer(x)
        return functional.linear(self.norm(x), self.tokens.weight)

    def step(
        self, token: Tensor, values: Tensor, is_given: Tensor, here: Tensor, kept: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One position, with what is kept of those before.

        Args:
            token: float32 [n], the id; floats, since graphs carry nothing else from step to step.
            values: float32 [n, values].
            is_given: float32 [n], 1 where values are brought.
            here: float32 [n, positions], 1 at the place of the last position, 0 elsewhere; all 0 before the first.
            kept: float32 [n, layers, 2, positions, width].

        Returns:
            Logits of the next token, `here` and `kept` from now on.
        """
        first = (here.sum(1, keepdim=True) == 0).to(here.dtype)
        moved = torch.cat([first, here[:, :-1]], 1)
        x = self.tokens(token.long()) + is_given[:, None] * self.bring(values) + moved @ self.places
        keep = []
        for number, layer in enumerate(self.layers):
            x, keys, its = layer.step(x, kept[:, number, 0], kept[:, number, 1], moved)  # type: ignore[operator]
            keep.append(torch.stack([keys, its], 1))
        return functional.linear(self.norm(x), self.tokens.weight), moved, torch.stack(keep, 1)

    def fresh(self, n: int) -> tuple[Tensor, Tensor]:
        """`here` and `kept` before the first position."""
        c = self.config
        return torch.zeros(n, c.positions), torch.zeros(n, c.layers, 2, c.positions, c.width)


def load(path: Any) -> SpeechLM:
    """A network from what a run wrote."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    net = SpeechLM(msgspec.convert(saved["config"], SpeechLMConfig))
    net.load_state_dict(saved["net"])
    return net.eval()
