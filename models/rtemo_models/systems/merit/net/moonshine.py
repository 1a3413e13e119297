"""The Moonshine tiny encoder in torch, so that it can be trained on; its weights come from the published ONNX file.

Moonshine (Jeffries et al. 2024, arXiv:2410.15608): three strided convolutions on the waveform, then six pre-norm
transformer layers with partial rotary positions (Su et al. 2021, arXiv:2104.09864). The published file holds the
matrices as 8-bit integers; they are taken out as floats, which agree with the running file to a cosine of .999.
"""

import math
import tempfile
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

WIDTH = 288
HEADS = 8
LAYERS = 6
ROTARY = 32
"""Values of each head that are rotated; the other four carry no position."""


class MoonshineLayer(nn.Module):
    """Self-attention and a two-layer network, each behind a layer norm and beside a residual path."""

    def __init__(self, skip_share: float) -> None:
        super().__init__()
        self.skip_share = skip_share
        self.attention_norm = nn.LayerNorm(WIDTH, bias=False)
        self.mlp_norm = nn.LayerNorm(WIDTH, bias=False)
        self.q_proj, self.k_proj, self.v_proj, self.o_proj = (nn.Linear(WIDTH, WIDTH, bias=False) for _ in range(4))
        self.fc1, self.fc2 = nn.Linear(WIDTH, 4 * WIDTH), nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
        """Transform frames, float32 [batch, frames, 288]."""
        if self.training and float(torch.rand(())) < self.skip_share:
            return x
        y = self.attention_norm(x)
        q, k, v = (p(y).unflatten(2, (HEADS, -1)).transpose(1, 2) for p in (self.q_proj, self.k_proj, self.v_proj))
        # Written out: on a CPU the fused attention is slower than its parts for heads of 36 values, backward above all.
        scores = rotated(q, cosine, sine) @ rotated(k, cosine, sine).transpose(2, 3) / math.sqrt(WIDTH / HEADS)
        x = x + self.o_proj((scores.softmax(-1).to(v.dtype) @ v).transpose(1, 2).flatten(2))
        return x + self.fc2(F.gelu(self.fc1(self.mlp_norm(x))))


def rotated(x: Tensor, cosine: Tensor, sine: Tensor) -> Tensor:
    """Rotate the pairs (i, i + ROTARY / 2) of each head by their frame's angles, [frames, ROTARY / 2]."""
    half = ROTARY // 2
    a, b = x[..., :half], x[..., half:ROTARY]
    cosine, sine = cosine.to(x.dtype), sine.to(x.dtype)
    return torch.cat([a * cosine - b * sine, b * cosine + a * sine, x[..., ROTARY:]], -1)


def halves_first(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Reorder the outputs of each head from neighbouring pairs, as published, to pairs half a rotary width apart.

    Queries and keys are reordered alike, so that their products stay the same, and rotation needs no strided access.
    """
    order = np.r_[0:ROTARY:2, 1:ROTARY:2, ROTARY : WIDTH // HEADS]
    return weight.reshape(HEADS, WIDTH // HEADS, WIDTH)[:, order].reshape(WIDTH, WIDTH)


class Moonshine(nn.Module):
    """The encoder: samples in, 288 values per 384 samples out."""

    def __init__(self, skip_share: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(1, WIDTH, 127, 64, bias=False)
        self.norm1 = nn.GroupNorm(1, WIDTH)
        self.conv2 = nn.Conv1d(WIDTH, 2 * WIDTH, 7, 3)
        self.conv3 = nn.Conv1d(2 * WIDTH, WIDTH, 3, 2)
        self.layers = nn.ModuleList(MoonshineLayer(skip_share) for _ in range(LAYERS))
        self.norm = nn.LayerNorm(WIDTH, bias=False)
        rates = 10_000.0 ** (-torch.arange(0, ROTARY, 2) / ROTARY)
        self.register_buffer("rates", rates, persistent=False)

    def front(self, samples: Tensor) -> Tensor:
        """The convolutions alone: float32 [batch, samples] → [batch, frames, 288]."""
        x = self.norm1(torch.tanh(self.conv1(samples[:, None])))
        return F.gelu(self.conv3(F.gelu(self.conv2(x)))).transpose(1, 2)

    def contexts(self, x: Tensor) -> list[Tensor]:
        """What each transformer layer makes of the convolutions' frames; the last one through the final norm."""
        angles = torch.arange(x.shape[1], device=x.device)[:, None] * self.rates
        cosine, sine = angles.cos(), angles.sin()
        hidden = []
        for layer in self.layers:
            x = layer(x, cosine, sine)
            hidden.append(x)
        return [*hidden[:-1], self.norm(x)]

    def forward(self, samples: Tensor) -> Tensor:
        """Encode whole clips of one length, float32 [batch, samples] → [batch, frames, 288]."""
        return self.contexts(self.front(samples))[-1]


def load_moonshine(encoder: Path, skip_share: float = 0.0) -> Moonshine:
    """Read the weights out of the published `encoder_model.ort`.

    Args:
        encoder: The file; see `rtemo_models.systems.merit.data.teacher.find_encoder`.
        skip_share: How often a layer is left out in training (stochastic depth).

    Raises:
        ValueError: If the file does not hold every weight of this network.
    """
    net = Moonshine(skip_share)
    found = weights_of(encoder)
    missing = sorted(set(net.state_dict()) - set(found))
    if missing:
        raise ValueError(
            f"{encoder} lacks {len(missing)} weights, {missing[0]} first; take it from moonshine-voice==0.0.48"
        )
    net.load_state_dict({name: torch.from_numpy(found[name].copy()) for name in net.state_dict()})
    return net


def weights_of(encoder: Path) -> dict[str, NDArray[np.float32]]:
    """Name in `Moonshine` → weights in the published file, 8-bit matrices as floats."""
    import onnx
    import onnxruntime
    from onnx import numpy_helper

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.save_model_format", "ONNX")
    with tempfile.TemporaryDirectory() as folder:
        options.optimized_model_filepath = str(Path(folder) / "encoder.onnx")
        onnxruntime.InferenceSession(str(encoder), options, providers=["CPUExecutionProvider"])
        graph = onnx.load(options.optimized_model_filepath).graph
    held = {i.name: np.asarray(numpy_helper.to_array(i)) for i in graph.initializer}
    found: dict[str, NDArray[np.float32]] = {}
    for name, values in held.items():
        known = name.removesuffix("_add_tensor").replace("mlp.fc", "fc")
        known = known.replace("input_layernorm", "attention_norm").replace("post_attention_layernorm", "mlp_norm")
        found[known.replace("layer_norm.weight", "norm.weight")] = values
    for node in graph.node:
        if node.op_type in ("MatMulIntegerToFloat", "DynamicQuantizeMatMul"):
            scale, zero = (3, 5) if node.op_type == "MatMulIntegerToFloat" else (2, 3)
            whole = held[node.input[1]].astype(np.float32) - held[node.input[zero]].astype(np.float32)
            _, layer, *_, matrix, _ = node.name.split("/")
            weight = (whole * held[node.input[scale]]).T
            found[f"{layer}.{matrix}.weight"] = halves_first(weight) if matrix in ("q_proj", "k_proj") else weight
            if node.op_type == "DynamicQuantizeMatMul" and node.input[4:5] not in ([], [""]):
                found[f"{layer}.{matrix}.bias"] = held[node.input[4]]
        elif node.name in ("/groupnorm/Mul", "/groupnorm/Add"):
            kind = "weight" if node.name.endswith("Mul") else "bias"
            found[f"norm1.{kind}"] = held[node.input[1]].reshape(-1)
        elif node.name == "/conv3/Conv":
            found["conv3.bias"] = held[node.input[2]]
    return found
