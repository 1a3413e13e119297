"""Fit: what of a bundle is new, from windows of known class, and how sure it may be."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ConfigError
from rtemo.cli.evaluation.clips import Clip
from rtemo.cli.tuning.head import (
    Array,
    Choice,
    Head,
    choose,
    fit_head,
    start_of,
    temperature_of,
    turn_weights,
    unsure_below,
)
from rtemo.cli.tuning.parts import folds_of, group_of
from rtemo.cli.tuning.windows import Network, Table
from rtemo.scoring.classes import calibration_error, softmax

if TYPE_CHECKING:
    from rtemo.cli.tuning.lora import Tuned

_FOLDS = 5


class Fitted(NamedTuple):
    """What was learnt."""

    head: Head
    weights: dict[str, NDArray[np.float32]]
    """Matrices of the layers below that were tuned, by name; none where the last layer alone was."""
    calibration: dict[str, float]
    turns: int
    """How many its calibration rests on, none of which was fitted to for it."""
    what: str
    """What was fitted, for the card."""
    limit: str
    """What is to be known of the rest that the bundle tells."""


class Examples(NamedTuple):
    """Clips of known class, and their windows."""

    table: Table
    clips: Sequence[Clip]
    classes: tuple[str, ...]
    is_by_speaker: bool
    """Whether their speakers are known."""
    labels: NDArray[np.int64]
    """Class of every clip."""
    start: Array
    """See `fit_head`."""


def examples_of(
    network: Network, table: Table, clips: Sequence[Clip], classes: tuple[str, ...], is_by_speaker: bool
) -> Examples:
    """Put windows and classes together.

    Raises:
        ConfigError: The chain hears nothing of a class.
    """
    heard = {clips[clip].label for clip in table.clip.tolist()}
    lost = [name for name in classes if name not in heard]
    if lost:
        raise ConfigError(
            f"the chain hears no speech in any clip of {', '.join(lost)} that is to be fitted to",
            "check these clips, or leave the class out with --label NAME=",
        )
    labels = np.array([classes.index(clip.label) for clip in clips], np.int64)
    start = start_of(network.card.labels, classes, network.card.calibration.get("temperature", 1.0))
    return Examples(table, clips, classes, is_by_speaker, labels, start)


def choose_head(examples: Examples, on_step: Callable[[int, int], None]) -> Choice:
    """Choose how strongly a last layer is fitted, by leaving a fifth of the speakers out in turn."""
    fold = folds_of([group_of(clip, examples.is_by_speaker) for clip in examples.clips], _FOLDS)
    return choose(examples.table, examples.labels, examples.start, fold, on_step)


def fitted_head(examples: Examples, choice: Choice) -> Fitted:
    """The last layer, fitted to all windows."""
    table, labels = examples.table, examples.labels
    head = fit_head(table, labels, examples.start, choice.strength, np.ones(len(table.turn), np.bool_))
    calibration = calibration_of(choice.logits, labels[table.clip], choice.temperature)
    return Fitted(
        head,
        {},
        calibration,
        len(table.clip),
        "the last layer alone",
        "Arousal and valence are those of the bundle that it was fitted from.",
    )


def fitted_layers(examples: Examples, tuned: "Tuned", numbers: tuple[int, ...], rank: int) -> Fitted:
    """The last layer and those below it that were tuned."""
    truth = examples.labels[examples.table.clip[tuned.turns]]
    calibration = calibration_of(tuned.logits, truth, temperature_of(tuned.logits, truth, turn_weights(truth)))
    layers = " and ".join(str(number + 1) for number in numbers)
    moved = ", ".join(f"{name} by {far:.3f}" for name, far in sorted(tuned.moved.items()))
    return Fitted(
        tuned.head,
        tuned.weights,
        calibration,
        len(truth),
        f"the last layer and, by products of rank {rank} that are added to their matrices, the encoder's layers "
        f"{layers} ({tuned.passes} passes)",
        "What else it tells was held to what the bundle told that it was fitted from, and has moved (root mean square "
        f"over voices that were not fitted to): {moved}.",
    )


def calibration_of(logits: Array, truth: NDArray[np.int64], temperature: float) -> dict[str, float]:
    """How sure a result may be, from logits of turns that were not fitted to for it."""
    logits = logits / temperature
    posterior = softmax(logits)
    right = posterior.argmax(1) == truth
    order = np.argsort(-posterior.max(1))
    calibration = {
        "temperature": temperature,
        "unsure_below": unsure_below(logits, truth),
        "ece_after": calibration_error(posterior.max(1), right, np.ones(len(right))),
    }
    for share in (1.0, 0.8, 0.6, 0.4):
        kept = order[: max(1, round(share * len(order)))]
        calibration[f"accuracy_at_{share:g}"] = float(right[kept].mean())
    return calibration
