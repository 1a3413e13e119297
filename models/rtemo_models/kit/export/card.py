"""The card of a bundle whose graph is one step of a network with its states, for n streams per call."""

import hashlib
from typing import Any

from torch import nn

from rtemo.api.model import ModelCard, TensorSpec

RATE_HZ, HOP_SAMPLES = 16_000, 160


def states_of(net: Any) -> dict[str, TensorSpec]:
    """The states of a network, by what its `state_shapes` and `state_fills` say."""
    fills = net.state_fills()
    return {name: TensorSpec(shape, "float32", fills.get(name, 0.0)) for name, shape in net.state_shapes().items()}


def card_of(
    net: nn.Module, name: str, graph: bytes, hops_per_step: int, macs_per_step: float, **said: Any
) -> ModelCard:
    """Describe a graph: its hash and size, the network's states and parameters, its cost and its delay.

    Args:
        net: The network, with `state_shapes` and `state_fills`.
        name: Of the bundle; its file is called so too.
        graph: The file.
        hops_per_step: Hops of 10 ms that a step takes.
        macs_per_step: Multiply-accumulates of one step of one stream.
        said: All other fields of the card; what is said of latency or parameters counts.
    """
    step_samples = hops_per_step * HOP_SAMPLES
    measured = {
        "weights": f"{name}.onnx",
        "sha256": hashlib.sha256(graph).hexdigest(),
        "weights_bytes": len(graph),
        "sample_rate_hz": RATE_HZ,
        "hop_samples": HOP_SAMPLES,
        "hops_per_step": hops_per_step,
        "lookahead_samples": 0,
        "latency_samples": step_samples,
        "parameters": sum(p.numel() for p in net.parameters()),
        "macs_per_s": round(macs_per_step * RATE_HZ / step_samples),
        "states": states_of(net),
    }
    return ModelCard(name=name, **{**measured, **said})


def summary_of(card: ModelCard) -> str:
    """What a command says of a bundle that it wrote."""
    return f"{card.name}: {card.parameters} parameters, {card.macs_per_s / 1e6:.2f} million MAC/s, {card.sha256}"
