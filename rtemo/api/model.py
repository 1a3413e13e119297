"""ModelHandle: shared weights with explicit per-stream state, as plugins see them."""

from collections.abc import Mapping
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api.rows import StateTable


class TensorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shape of one row of a tensor (the batch axis is left out), its type, and what a fresh state holds."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    fill: float = 0.0


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """The card of a bundle: everything that must be known to run a model and to trust it.

    Kept as `card.json` beside the weights. `sha256` is that of the weights file and is checked before loading.
    """

    name: str
    version: str
    task: str
    weights: str
    sha256: str
    licence: str
    sample_rate_hz: int
    hop_samples: int
    hops_per_step: int
    lookahead_samples: int
    latency_samples: int
    parameters: int
    macs_per_s: int
    inputs: dict[str, TensorSpec]
    states: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]
    labels: tuple[str, ...] = ()
    front_end: dict[str, float | int | str | bool] = {}
    calibration: dict[str, float] = {}
    training_data: tuple[str, ...] = ()
    scores: dict[str, dict[str, float]] = {}
    limits: tuple[str, ...] = ()
    recipe: str = ""


class ModelHandle(Protocol):
    """Weights loaded once and shared by all streams; state stays with the caller.

    State inputs of a graph are named as in `card.states`; the matching output is `next_<name>`.
    """

    @property
    def card(self) -> ModelCard:
        """The card the weights came with."""

    def new_state(self, capacity: int) -> StateTable:
        """Make the state tables of `card.states` for up to `capacity` rows."""

    def run(
        self, inputs: Mapping[str, NDArray[np.generic]], state: StateTable, rows: NDArray[np.int64] | int
    ) -> dict[str, NDArray[np.generic]]:
        """Run one step for some rows and write their next state in place.

        Args:
            inputs: name → array [k, ...] in the order of `rows`.
            state: Table made by `new_state`.
            rows: Either the count k of leading rows 0..k-1 (no copy), or int64 [k] row numbers.

        Returns:
            name → array [k, ...] of the non-state outputs; valid until the next call.
        """
