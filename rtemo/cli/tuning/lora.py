"""LoRA: upper layers and last layer fitted together, as long as voices not fitted to are told better for it."""

import hashlib
import io
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.cli.tuning.adapters import LastLayer, Upper
from rtemo.cli.tuning.head import (
    Array,
    Head,
    fit_head,
    log_loss,
    spread_of,
    temperature_of,
    turn_logits,
    turn_weights,
    window_weights,
)
from rtemo.cli.tuning.kept import Windows, Workplace
from rtemo.cli.tuning.layers import Layers
from rtemo.cli.tuning.recipe import Recipe
from rtemo.cli.tuning.windows import Network, Table
from rtemo.dsp.holes import with_holes
from rtemo.processors import count_processors

_GROUP = 16
"""Windows of about one length that are run together."""
_HOLES = 0.5
"""Share of windows of which stretches are left out; see `with_holes`."""
_SEED = 1


class Problem(NamedTuple):
    """What is to be fitted."""

    network: Network
    layers: Layers
    mask: str
    windows: Windows
    labels: NDArray[np.int64]
    """Class of every clip."""
    start: Array
    """See `fit_head`."""
    strength: float
    """Of the last layer's penalty."""


class Tuned(NamedTuple):
    """What was found."""

    passes: int
    """How many gained something; none, and the rest is of the last layer alone."""
    head: Head
    weights: dict[str, NDArray[np.float32]]
    """Matrices of the layers, by name."""
    turns: NDArray[np.bool_]
    """Turns that were not fitted to while it was found how long to go on, bool [turns]."""
    logits: Array
    """What was told of these then, float64 [turns of them, classes]."""
    moved: dict[str, float]
    """How far what else is told has moved on them: its name → root mean square."""


class Learner:
    """Layers that are being fitted to some windows; saved after every pass, and gone on with where it was stopped.

    Args:
        problem: Of it.
        recipe: How.
        rows: Windows that are fitted to, bool [n].
        place: Where it is saved.
        name: Under which name.
    """

    def __init__(self, problem: Problem, recipe: Recipe, rows: NDArray[np.bool_], place: Workplace, name: str) -> None:
        table, classes = problem.windows.table, problem.start.shape[1]
        self._problem, self._recipe, self._place = problem, recipe, place
        self._numbers = np.flatnonzero(rows)
        weight = window_weights(table, problem.labels, classes)[rows]
        self._share = np.cumsum(weight) / weight.sum()
        self._truth = problem.labels[table.clip[table.turn]]
        self._spread = {
            other: float(values[rows].var(0).mean()) + 1e-6 for other, values in problem.windows.others.items()
        }
        head = fit_head(table, problem.labels, problem.start, problem.strength, rows)
        mean, scale = spread_of(table.features[rows], (weight / weight.sum()).astype(np.float32))
        last = LastLayer(head, problem.start, problem.strength, mean, scale)
        device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.upper = Upper(problem.network, problem.layers, problem.mask, recipe.rank, last, device, _SEED)
        self._optimiser = torch.optim.AdamW(
            [
                {"params": list(self.upper.adapters.parameters()), "weight_decay": recipe.decay, "peak": recipe.rate},
                {"params": list(self.upper.last.parameters()), "weight_decay": 0.0, "peak": recipe.last_rate},
            ]
        )
        self.passes = 0
        self.found: dict[str, Any] = {}
        """What whoever leads it has found so far; saved with it."""
        self._batch = min(recipe.batch, len(self._numbers))
        self._steps = max(recipe.least_steps, -(-len(self._numbers) // self._batch))
        told = (recipe, problem.layers, problem.strength, self._numbers.tolist(), problem.labels.tolist())
        self._file = f"{name}-{hashlib.sha256(msgspec.json.encode(told)).hexdigest()[:16]}.pt"
        self._restore()

    def go_through(self, on_step: Callable[[int, int], None]) -> None:
        """Fit to as many windows as there are, every class as often as any other."""
        random = np.random.default_rng((_SEED, self.passes))
        for step in range(self._steps):
            share = (self.passes + step / self._steps) / self._recipe.passes
            for group in self._optimiser.param_groups:
                group["lr"] = group["peak"] * min(1.0, 10 * share + 0.1) * 0.5 * (1 + math.cos(math.pi * share))
            drawn = np.searchsorted(self._share, random.random(self._batch))
            self._step(self._numbers[np.minimum(drawn, len(self._numbers) - 1)], random)
            on_step(step + 1, self._steps)
        self.passes += 1

    def _step(self, windows: NDArray[np.int64], random: np.random.Generator) -> None:
        self._optimiser.zero_grad()
        for group in self._groups(windows):
            frames, there = self._frames(group)
            said = self.upper(frames, with_holes(there, _HOLES, random))
            truth = torch.from_numpy(self._truth[group]).to(said.logits.device)
            loss = torch.nn.functional.cross_entropy(said.logits, truth) + self.upper.last.penalty()
            for name, values in said.others.items():
                before = torch.from_numpy(self._problem.windows.others[name][group]).to(values.device)
                moved = (values - before).square().mean() / self._spread[name]
                loss = loss + self._recipe.stay / len(said.others) * moved
            (loss * len(group) / len(windows)).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.upper.parameters(), 2.0)
        self._optimiser.step()

    @torch.no_grad()
    def hear(self, windows: NDArray[np.int64]) -> tuple[Array, dict[str, NDArray[np.float32]]]:
        """Logits of some windows, float64 [k, classes], and what else is told of them."""
        logits = np.zeros((len(windows), self._problem.start.shape[1]))
        others = {
            name: np.zeros((len(windows), *values.shape[1:]), np.float32)
            for name, values in self._problem.windows.others.items()
        }
        place = {int(window): k for k, window in enumerate(windows)}
        for group in self._groups(windows):
            said = self.upper(*self._frames(group))
            at = [place[window] for window in group.tolist()]
            logits[at] = said.logits.cpu().numpy()
            for name, values in said.others.items():
                others[name][at] = values.cpu().numpy()
        return logits, others

    def _groups(self, windows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Windows of about one length together, so that little is filled up."""
        order = windows[np.argsort(self._problem.windows.counts[windows], kind="stable")]
        return [order[begin : begin + _GROUP] for begin in range(0, len(order), _GROUP)]

    def _frames(self, group: NDArray[np.int64]) -> tuple[dict[str, NDArray[np.float32]], NDArray[np.float32]]:
        longest = int(self._problem.windows.counts[group].max())
        return self._problem.windows.frames(group, self.upper.length(longest))

    def save(self) -> None:
        """Save all, so that the same learner goes on from here."""
        file = io.BytesIO()
        kept = {"passes": self.passes, "found": self.found, "upper": self.upper.state_dict()}
        torch.save(kept | {"optimiser": self._optimiser.state_dict()}, file)
        self._place.write(self._file, file.getvalue())

    def _restore(self) -> None:
        path = self._place.folder / self._file
        if path.exists():
            kept = torch.load(path, map_location=self.upper.device, weights_only=True)
            self.upper.load_state_dict(kept["upper"])
            self._optimiser.load_state_dict(kept["optimiser"])
            self.passes, self.found = kept["passes"], kept["found"]


def tune_layers(
    problem: Problem,
    recipe: Recipe,
    held: NDArray[np.bool_],
    place: Workplace,
    tell: Callable[[str], None],
    on_step: Callable[[int, int], None],
) -> Tuned:
    """Find how many passes gain something for clips that are kept from them, and make as many on all clips.

    Args:
        problem: What is fitted.
        recipe: How.
        held: Clips that are kept from fitting meanwhile, bool [clips].
        place: Where it is saved after every pass.
        tell: Told what a pass gained.
        on_step: Told how far a pass is.
    """
    torch.set_num_threads(count_processors())
    table = problem.windows.table
    turns = held[table.clip]
    rows = turns[table.turn]
    truth = problem.labels[table.clip[turns]]
    weight = turn_weights(truth)
    learner = Learner(problem, recipe, ~rows, place, "search")
    while not learner.found or not _is_over(learner, recipe):
        if learner.found:
            learner.go_through(on_step)
        said, others = learner.hear(np.flatnonzero(rows))
        logits = _of_turns(table, rows, said)[turns]
        cost = log_loss(logits / temperature_of(logits, truth, weight), truth, weight)
        tell(f"after {learner.passes} passes: loss {cost:.3f} on voices that are kept from them")
        if not learner.found or cost < learner.found["cost"]:
            moved = {
                name: float(np.sqrt(np.mean((values - problem.windows.others[name][rows]) ** 2)))
                for name, values in others.items()
            }
            learner.found = {"cost": cost, "passes": learner.passes, "moved": moved, "logits": torch.from_numpy(logits)}
        learner.save()
    found = learner.found
    whole = Learner(problem, recipe, np.ones(len(rows), np.bool_), place, "whole")
    while whole.passes < found["passes"]:
        whole.go_through(on_step)
        whole.save()
        tell(f"pass {whole.passes} of {found['passes']} with these voices, too")
    weights = whole.upper.weights() if whole.passes else {}
    return Tuned(whole.passes, whole.upper.last.head(), weights, turns, found["logits"].numpy(), found["moved"])


def _is_over(learner: Learner, recipe: Recipe) -> bool:
    return learner.passes >= recipe.passes or learner.passes - learner.found["passes"] >= recipe.patience


def _of_turns(table: Table, rows: NDArray[np.bool_], said: Array) -> Array:
    every: Array = np.zeros((len(rows), said.shape[1]))
    every[rows] = said
    return turn_logits(table, every)
