"""The encoder of Whisper (Radford et al. 2022, arXiv:2212.04356), as many layers of it as are wanted."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

WIDTH = 512
HEADS = 8
MEL_COUNT = 80


class Layer(nn.Module):
    """One pre-norm layer: self-attention over the positions that are there, then two linear maps."""

    def __init__(self, width: int = WIDTH, heads: int = HEADS) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(width)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.attention_out = nn.Linear(width, width)
        self.feed_norm = nn.LayerNorm(width)
        self.feed_in = nn.Linear(width, 4 * width)
        self.feed_out = nn.Linear(4 * width, width)

    def forward(self, x: Tensor, t: int, bias: Tensor | None) -> Tensor:
        """Frames [n, t, width]; `bias` [n, 1, 1, t] is added to the scores, very negative where nothing is."""
        width = self.attention_out.in_features
        each = width // self.heads
        qkv = self.query_key_value(self.attention_norm(x))
        q, k, v = (part.reshape(-1, t, self.heads, each).transpose(1, 2) for part in qkv.split(width, 2))
        scores = (q * each**-0.5) @ k.transpose(2, 3)
        if bias is not None:
            scores = scores + bias
        mixed = (scores.softmax(-1) @ v).transpose(1, 2).reshape(-1, t, width)
        x = x + self.attention_out(mixed)
        return x + self.feed_out(nn.functional.gelu(self.feed_in(self.feed_norm(x))))


class Encoder(nn.Module):
    """Convolutional stem and the first layers of the encoder.

    Args:
        layers: How many of the six layers; all six are followed by the final norm.
        frames: Frames of every window, if that is settled; an exported graph is plainer then.
        width: Of a frame.
        heads: Of attention.
    """

    def __init__(self, layers: int, frames: int | None = None, width: int = WIDTH, heads: int = HEADS) -> None:
        super().__init__()
        self.frames = frames
        self.conv1 = nn.Conv1d(MEL_COUNT, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.zeros(1500, width), requires_grad=False)
        self.layers = nn.ModuleList([Layer(width, heads) for _ in range(layers)])
        self.last_norm = nn.LayerNorm(width) if layers == 6 else None

    def forward(self, mel: Tensor, there: Tensor | None = None) -> list[Tensor]:
        """Run the stem and the layers.

        Args:
            mel: [n, 2·t, 80] log-mel bands of Whisper, 100 per second.
            there: float [n, t]; 0 for frames of padding at the end, which then change nothing that is there, else 1.

        Returns:
            Frames [n, t, width] after the stem and after every layer, 50 per second; the sixth is normed.
        """
        t = self.frames or mel.shape[1] // 2
        x = mel.transpose(1, 2)
        bias = None
        if there is not None:
            twice = torch.stack([there, there], 2).reshape(-1, 1, 2 * t)
            x = x * twice
            bias = ((there - 1) * 1e4)[:, None, None]
        x = nn.functional.gelu(self.conv1(x))
        if there is not None:
            x = x * twice  # what lies around the second convolution is zeros, too
        x = nn.functional.gelu(self.conv2(x)).transpose(1, 2)
        x = x + self.positions[:t]
        outputs = [x]
        for layer in self.layers:
            x = layer(x, t, bias)
            outputs.append(x)
        if self.last_norm is not None:
            outputs[-1] = self.last_norm(x)
        return outputs


def load_encoder(variables: dict[str, NDArray[np.generic]], layers: int, frames: int | None = None) -> Encoder:
    """An encoder with the weights of a CTranslate2 model of Whisper base, see `weights.read_variables`."""
    encoder = Encoder(layers, frames)

    def put(target: Tensor, name: str) -> None:
        with torch.no_grad():
            target.copy_(torch.from_numpy(np.asarray(variables[f"encoder/{name}"], np.float32)))

    def put_linear(target: nn.Linear, name: str) -> None:
        put(target.weight, f"{name}/weight")
        put(target.bias, f"{name}/bias")

    def put_norm(target: nn.LayerNorm, name: str) -> None:
        put(target.weight, f"{name}/gamma")
        put(target.bias, f"{name}/beta")

    for conv in ("conv1", "conv2"):
        put(getattr(encoder, conv).weight, f"{conv}/weight")
        put(getattr(encoder, conv).bias, f"{conv}/bias")
    put(encoder.positions, "position_encodings/encodings")
    for number, layer in enumerate(encoder.layers):
        stem = f"layer_{number}"
        put_norm(layer.attention_norm, f"{stem}/self_attention/layer_norm")
        put_linear(layer.query_key_value, f"{stem}/self_attention/linear_0")
        put_linear(layer.attention_out, f"{stem}/self_attention/linear_1")
        put_norm(layer.feed_norm, f"{stem}/ffn/layer_norm")
        put_linear(layer.feed_in, f"{stem}/ffn/linear_0")
        put_linear(layer.feed_out, f"{stem}/ffn/linear_1")
    if encoder.last_norm is not None:
        put_norm(encoder.last_norm, "layer_norm")
    return encoder.eval()
