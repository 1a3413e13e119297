"""Recipe: which layers are tuned, and how."""

import importlib.util

import msgspec

from rtemo.api import ConfigError


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """What of the layers below the last is tuned, and how."""

    layers: int = 2
    """How many, the uppermost."""
    rank: int = 8
    """Of what is added to their matrices."""
    passes: int = 10
    """At most, through all windows that are fitted to."""
    patience: int = 3
    """Passes without a gain after which no further one is made."""
    batch: int = 64
    """Windows of a step."""
    least_steps: int = 8
    """Of a pass, however few windows there are."""
    rate: float = 5e-4
    """Of what is added to the layers."""
    last_rate: float = 1e-4
    """Of the last layer."""
    decay: float = 0.05
    """Of what is added, by AdamW."""
    stay: float = 0.3
    """How strongly what else the network tells is held to what it told before."""


def check_torch() -> None:
    """Refuse to go on where what tunes layers is missing.

    Raises:
        ConfigError: It is not installed.
    """
    missing = [name for name in ("torch", "onnx") if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"the layers of a bundle cannot be tuned without {' and '.join(missing)}",
            "install the extra, as `pip install 'rtemo[lora]'`, or leave out --lora to fit the last layer alone",
        )
