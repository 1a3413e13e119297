"""Sparse MERIT, small and causal: one listener and one enhancer that are trained together."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo_models.systems.merit.net.enhancer import Enhancer, EnhancerConfig
from rtemo_models.systems.merit.net.listener import Heard, Listener, ListenerConfig

CONTEXT_LAG_STEPS = 2
"""The enhancer hears about step j while step j + 2 plays: a running engine may be up to a step late with a step."""


@dataclass(frozen=True, slots=True)
class MeritConfig:
    """Sizes of both parts."""

    listener: ListenerConfig = field(default_factory=ListenerConfig)
    enhancer: EnhancerConfig = field(default_factory=EnhancerConfig)


class Merit(nn.Module):
    """The listener at the step rate and the enhancer at the hop rate, joined by the context."""

    def __init__(self, config: MeritConfig = MeritConfig()) -> None:
        super().__init__()
        self.config = config
        self.listener = Listener(config.listener)
        self.enhancer = Enhancer(config.enhancer)

    def listen(self, bands: Tensor) -> tuple[Tensor, Heard]:
        """Encoded steps and what the experts say of them; bands float32 [batch, hops, mel_count]."""
        encoded = self.listener.encode(bands.unflatten(1, (-1, self.config.listener.hops_per_step)))
        return encoded, self.listener.consult(encoded)

    def enhance(self, bands: Tensor, bins: Tensor, context: Tensor) -> Tensor:
        """Compressed gains [batch, hops, bins]; context float32 [batch, steps, context] as the listener gave it."""
        late = F.pad(context, (0, 0, CONTEXT_LAG_STEPS, 0))[:, : context.shape[1]]
        late = late.repeat_interleave(self.config.listener.hops_per_step, 1)
        return self.enhancer(bands, bins, late)


def merit_config(values: dict[str, Any]) -> MeritConfig:
    """A configuration from the tables of a recipe, `listener` and `enhancer`."""
    return MeritConfig(ListenerConfig(**values.get("listener", {})), EnhancerConfig(**values.get("enhancer", {})))


def load_merit(path: Any) -> Merit:
    """Load the averaged weights that training wrote, ready to run."""
    saved = torch.load(path, weights_only=True, map_location="cpu")
    net = Merit(merit_config(saved["net"]))
    net.load_state_dict(saved["weights"])
    return net.eval()
