"""Tuner: how a plugin's bundle is fitted to clips of the user's own, for `rtemo tune`."""

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from rtemo.api.model import ModelCard


class TunedTurn(NamedTuple):
    """A stretch of speech in a clip, as the chain told it."""

    start_sample: int
    known_sample: int
    """How far the stream had come when its beginning was told."""
    end_sample: int


class TunedWindow(NamedTuple):
    """What the network is given of a turn at one time, and what that counts."""

    inputs: dict[str, NDArray[np.generic]]
    """Input of the bundle → its row, without the batch axis."""
    share: float
    """What its logits count against those of the windows before it: said = share · new + (1 - share) · said."""


class Tuner(Protocol):
    """What `rtemo tune NAME` must know of a plugin, an instance of the class that the entry point `rtemo.tuners` names.

    The bundle tells `logits` of classes; what is fitted is a new linear map to logits of the user's classes, from the
    values that all its estimates rest on and from its own logits. So the plugin takes any class set of a bundle's card.
    """

    plugin: str
    """The plugin that runs the bundle; what it requires comes before it in the chain."""
    option: str
    """Its option that names the bundle."""
    bundle: str
    """What is fitted when nothing else is named."""
    mask: str
    """Input [t] of its bundles that is 1 for frames that are there and 0 for those that fill a window up."""

    def windows(self, card: ModelCard, samples: NDArray[np.float32], turn: TunedTurn) -> list[TunedWindow]:
        """Cut a turn into the windows that the plugin would give the network, the final one last.

        Args:
            card: Of the bundle.
            samples: The channel, float32 [k] at the rate of the card.
            turn: Which turn of it.

        Returns:
            Nothing where the turn is too short for an estimate.
        """
