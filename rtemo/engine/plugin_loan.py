"""PluginLoan: what the engine lends one plugin while it opens."""

from collections.abc import Sequence
from typing import Any, Protocol

from rtemo.api import (
    AudioDemand,
    LaneSpec,
    LaneStatus,
    ModelCard,
    ModelHandle,
    PluginError,
    PluginSpec,
    StreamFormat,
    kind_of,
)
from rtemo.api.lane import OpenLane
from rtemo.engine.lane import Tell
from rtemo.engine.lanes import Lanes


class ChainContext(Protocol):
    """What a chain is lent for all its plugins."""

    @property
    def format(self) -> StreamFormat:
        """Format of all audio."""

    def model(self, name: str) -> ModelHandle:
        """Load a bundle, or lend the one already loaded."""

    def card(self, name: str) -> ModelCard:
        """Read the card of the bundle of that name alone, or raise `ModelError`."""


class PluginLoan:
    """The engine's loan to one plugin, which is known by name to its lanes.

    Args:
        context: What the chain is lent.
        spec: Of the plugin.
        lanes: Where lanes are asked for, if anywhere.
        audio_demand: Whether anybody wants the audio that the plugin hands on.
        earlier: Facts of the plugins before it.
        later: Facts of the plugins after it.
    """

    def __init__(
        self,
        context: ChainContext,
        spec: PluginSpec,
        lanes: Lanes | None,
        audio_demand: AudioDemand,
        earlier: Sequence[PluginSpec],
        later: Sequence[PluginSpec],
    ) -> None:
        self.format = context.format
        self.audio_demand = audio_demand
        self.said_earlier = frozenset(kind_of(cls) for other in earlier for cls in other.emits)
        self.said_later = frozenset(kind_of(cls) for other in later for cls in other.emits)
        self._context = context
        self._plugin = spec
        self._lanes = lanes

    def model(self, name: str) -> ModelHandle:
        """Load a bundle, or lend the one already loaded."""
        return self._context.model(name)

    def card(self, name: str) -> ModelCard:
        """Read the card of a bundle that a lane will run."""
        return self._context.card(name)

    def lane(self, spec: LaneSpec, open_work: OpenLane, tell: Tell, options: Any = None) -> LaneStatus:
        """Ask for a worker lane; see `rtemo.api.PluginContext`."""
        if self._lanes is None:
            raise PluginError(f"plugin {self._plugin.name!r} asks for a lane, but this chain has none")
        if spec.audio == "processed" and not self._plugin.reads_audio:
            raise PluginError(
                f"lane {spec.name!r} of {self._plugin.name!r} hears processed audio, but the plugin says it reads none",
                "its author must set `reads_audio` in its spec",
            )
        return self._lanes.ask(self._plugin.name, self._plugin.analyses == "timing", spec, open_work, options, tell)
