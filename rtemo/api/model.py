"""ModelHandle: shared weights with explicit per-stream state, as plugins see them."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api.weights import BundleFile, WeightsSource


class TensorSpec(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Shape of one row of a tensor (the batch axis is left out), its type, and what a fresh state holds.

    `batch_axis` is where the graph wants the batch axis; callers and state tables always have it first.
    """

    shape: tuple[int, ...]
    dtype: str = "float32"
    fill: float = 0.0
    batch_axis: int = 0


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """The card of a bundle: everything that must be known to run a model and to trust it.

    Kept as `card.json` beside the weights.

    Attributes:
        weights: Name of the weights file; `package:path/inside` is the short form of a source that is a package.
        sha256: Hash of the whole weights file in hexadecimal, checked before loading wherever it comes from.
        weights_bytes: Size of the weights file, to tell a truncated file from a wrong one; 0 when not stated.
        states: Inputs that carry state from step to step; the output with the next state is `next_<name>`.
        runtime: What runs it: `onnx` for a graph that ONNX Runtime or torch runs, `ctranslate2` for a speech model,
            `sentence` for an encoder of sentences.
        sources: Where the weights may come from if they do not lie beside the card, in order.
        files: name → further files that the model needs.
        next_states: Names of those outputs where a graph calls them otherwise.
        constants: Inputs that never change: an array of `shape` filled with `fill`, without a batch axis.
        emotions: Label → one of `EMOTIONS` where it is spelled in no usual way, or empty for one to be left out.
        dimensions: Names of the numbers of the output `vector`, in its order, as `arousal`, `dominance`, `valence`.
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
    next_states: dict[str, str] = {}
    constants: dict[str, TensorSpec] = {}
    weights_bytes: int = 0
    labels: tuple[str, ...] = ()
    emotions: dict[str, str] = {}
    dimensions: tuple[str, ...] = ()
    front_end: dict[str, float | int | str | bool] = {}
    calibration: dict[str, float] = {}
    training_data: tuple[str, ...] = ()
    scores: dict[str, dict[str, float]] = {}
    limits: tuple[str, ...] = ()
    recipe: str = ""
    runtime: Literal["onnx", "ctranslate2", "sentence"] = "onnx"
    sources: tuple[WeightsSource, ...] = ()
    files: dict[str, BundleFile] = {}


class ModelState(Protocol):
    """State of all streams of one model, wherever the model runs; only rows are seen of it."""

    @property
    def capacity(self) -> int:
        """Most streams."""

    def admit(self, row: int) -> None:
        """Give `row` fresh state."""

    def reset(self, row: int, prefix: str = "") -> None:
        """Give `row` fresh state; only of the states whose names begin with `prefix`, if one is given."""

    def copy(self, row: int, other: Any, other_row: int) -> None:
        """Fill `row` with the state of a row of another state of the same handle."""

    def retire(self, row: int, last: int) -> None:
        """Fill `row` with the state of row `last`, and make `last` fresh."""


class ModelPending(Protocol):
    """A step that was begun."""

    def take(self) -> dict[str, NDArray[np.generic]]:
        """Wait for it and give name → array [k, ...] of the outputs; valid until the next step of the same state."""


class ModelHandle(Protocol):
    """Weights loaded once and shared by all streams; state stays with the caller, on the device where the model runs.

    A handle is used by one thread at a time.
    """

    @property
    def card(self) -> ModelCard:
        """The card the weights came with."""

    def new_state(self, capacity: int) -> ModelState:
        """Make the state of `card.states` for up to `capacity` rows."""

    def begin(
        self, inputs: Mapping[str, NDArray[np.generic]], state: Any, rows: NDArray[np.int64] | int
    ) -> ModelPending:
        """Begin what `run` does; a device works on it while the caller goes on. The inputs may be changed at once."""

    def run(
        self, inputs: Mapping[str, NDArray[np.generic]], state: Any, rows: NDArray[np.int64] | int
    ) -> dict[str, NDArray[np.generic]]:
        """Run one step for some rows and write their next state in place.

        Args:
            inputs: name → array [k, ...] in the order of `rows`.
            state: Made by `new_state` of this handle.
            rows: Either the count k of leading rows 0..k-1 (no copy), or int64 [k] row numbers.

        Returns:
            name → array [k, ...] of the non-state outputs; valid until the next call with this state.
        """

    def warm(self, state: Any, counts: Iterable[int]) -> None:
        """Run every count of rows once on zeros, leaving `state` as it is, so that no later call is a first one."""


def carrier_of(model: ModelHandle, states: Collection[str]) -> ModelHandle | None:
    """Give a handle that brings some states of a model on by a step, and computes nothing else.

    For steps whose outputs nobody wants, as while nobody speaks: the states named become what `run` would make of them,
    the others stay. It works on states that `model` has made, wants the inputs that its card names (more may be given)
    and costs what the part of the network costs that leads to these states. To be called before `warm`.

    Args:
        model: A handle.
        states: Names out of `card.states`.

    Returns:
        The handle; None where the runtime of the model has none.
    """
    carrier = getattr(model, "carrier", None)
    found: ModelHandle | None = None if carrier is None else carrier(states)
    return found
