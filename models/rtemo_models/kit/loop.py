"""The training loop: seeded steps, a schedule, averaged weights, checkpoints, a log.

A run that was stopped, or killed, goes on from its last checkpoint and takes the same steps as if it had not been.
"""

import copy
import queue
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from rtemo_models.kit.progress import progress
from rtemo_models.kit.run_folder import keep, log, resume

B = TypeVar("B")
N = TypeVar("N", bound=nn.Module)
Losses = Mapping[str, Tensor | float]


class Run(ABC, Generic[N]):
    """One training run in its folder; construct it again to go on from its checkpoint.

    A system's run builds its network and optimiser, hands them to `begin`, and says in `update` what one step does.

    Args:
        folder: Where the run lives.
        seed: Seed of the run; every step draws from a seed of its own.
        steps: The last step.
        report_every_steps: Steps between two lines of the log, each with a checkpoint.
        average_decay: Of the averaged weights; None for a run that keeps no average.
        title: What the progress line calls it; empty for none.

    Attributes:
        net: What learns.
        average: The averaged network, what is evaluated and exported.
        step: Steps taken.
    """

    net: N
    average: N

    def __init__(
        self,
        folder: Path,
        *,
        seed: int,
        steps: int,
        report_every_steps: int,
        average_decay: float | None,
        title: str = "train",
    ) -> None:
        self.folder, self.seed, self.steps = folder, seed, steps
        self.report_every_steps, self.average_decay, self.title = report_every_steps, average_decay, title
        self.step = 0
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(seed)

    def begin(
        self, net: N, optimiser: torch.optim.Optimizer, device: torch.device | None = None, **others: Any
    ) -> bool:
        """Take what learns, and put the last checkpoint in place.

        Args:
            net: The network.
            optimiser: Its optimiser. A parameter group may name a `pace`, a factor of the schedule's rate.
            device: Where a checkpoint is loaded to.
            others: What else a checkpoint keeps, by name; optimisers among it follow the schedule, too.

        Returns:
            Whether there was a checkpoint.
        """
        self.net, self.optimiser = net, optimiser
        self._parts: dict[str, Any] = {"net": net, "optimiser": optimiser} | others
        if self.average_decay is not None:
            self.average = copy.deepcopy(net).eval().requires_grad_(False)
            self._parts["average"] = self.average
        optimisers = [part for part in self._parts.values() if isinstance(part, torch.optim.Optimizer)]
        self._paced = [(each, [group.get("pace", 1.0) for group in each.param_groups]) for each in optimisers]
        saved = resume(self.folder, self._parts, device)
        self.step = int(saved.get("step", 0))
        self.restored(saved)
        return bool(saved)

    @abstractmethod
    def update(self, step: int) -> Losses:
        """Take one step: losses of a batch, `learn`; returns what the log gives the mean of."""

    def rate_at(self, step: int) -> float | None:
        """Learning rate of a step, times a group's pace; None leaves the rates alone."""
        return None

    def start(self, first: int, last: int) -> None:
        """Prepare for steps `first` to `last - 1`."""

    def report(self) -> dict[str, Any]:
        """What a line of the log says beside the losses, such as scores on dev clips."""
        return {}

    def is_due(self) -> bool:
        """Whether the log and the checkpoint are due after the step that was taken."""
        return self.step % self.report_every_steps == 0

    def state(self) -> dict[str, Any]:
        """Single values that a checkpoint keeps beside the parts and the step."""
        return {}

    def restored(self, saved: Mapping[str, Any]) -> None:
        """Take back what `state` gave; empty without a checkpoint."""

    def write(self) -> None:
        """Write what others read of the run, beside the checkpoint."""

    def seed_of(self, step: int) -> int:
        """Seed that torch draws from in a step."""
        return self.seed * 1_000_003 + step

    def save(self) -> None:
        """Write the checkpoint and what others read."""
        keep(self.folder, self._parts, step=self.step, **self.state())
        self.write()

    def log(self, line: dict[str, Any]) -> None:
        """Print a line and add it to the log."""
        log(self.folder, line)

    def learn(
        self, loss: Tensor, most_norm: float | None = 2.0, apart: Sequence[Sequence[nn.Parameter]] | None = None
    ) -> None:
        """Gradients of a loss, clipped, and a step of the optimiser.

        Args:
            loss: A scalar.
            most_norm: Norm that gradients are clipped to; None for no clipping.
            apart: Parameters that are clipped each by themselves; all together by default.
        """
        descend(loss, self.optimiser, apart or [list(self.net.parameters())], most_norm)

    def train(self, until: int | None = None) -> None:
        """Train to the last step, or to step `until` at most."""
        last = self.steps if until is None else min(self.steps, until)
        self.start(self.step, last)
        sums: dict[str, float] = {}
        count, started_s = 0, time.monotonic()
        steps = range(self.step, last)
        for step in progress(steps, self.title) if self.title else steps:
            torch.manual_seed(self.seed_of(step))
            self._set_rates(step)
            for name, value in self.update(step).items():
                sums[name] = sums.get(name, 0.0) + float(value.detach() if isinstance(value, Tensor) else value)
            if self.average_decay is not None:
                follow(self.average, self.net, step, self.average_decay)
            self.step, count = step + 1, count + 1
            if self.is_due() or self.step == last:
                line = {"step": self.step, "elapsed_s": round(time.monotonic() - started_s, 1)}
                self.log(line | {name: round(value / count, 4) for name, value in sums.items()} | self.report())
                sums, count = {}, 0
                self.save()

    def _set_rates(self, step: int) -> None:
        rate = self.rate_at(step)
        if rate is not None:
            for optimiser, paces in self._paced:
                for group, pace in zip(optimiser.param_groups, paces, strict=True):
                    group["lr"] = pace * rate


def descend(
    loss: Tensor, optimiser: torch.optim.Optimizer, parts: Sequence[Iterable[nn.Parameter]], most_norm: float | None
) -> None:
    """Gradients of a loss, clipped, and a step of the optimiser.

    Args:
        loss: A scalar.
        optimiser: Of the parameters.
        parts: Parameters, each part clipped by itself.
        most_norm: Norm that they are clipped to; None for no clipping.
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    if most_norm is not None:
        for part in parts:
            nn.utils.clip_grad_norm_(part, most_norm)
    optimiser.step()


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, step: int, decay: float) -> None:
    """Move the average of the weights toward those after `step`; at first it is quicker than `decay` says."""
    share = 1 - min(decay, (step + 1) / (step + 10))
    for mine, its in zip(average.parameters(), net.parameters(), strict=True):
        mine.lerp_(its, share)


def decayed_groups(net: nn.Module) -> list[dict[str, Any]]:
    """Parameter groups of an optimiser: matrices decay, biases and scales do not."""
    return [
        {"params": [p for p in net.parameters() if p.ndim >= 2]},
        {"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]


def prefetch(make: Callable[[int], B], first: int, last: int, ahead: int = 2) -> Iterator[B]:
    """Make the batches of steps `first` to `last - 1` in a thread, a few ahead.

    What `make` raises is raised here, in the place of its batch.
    """
    ready: queue.Queue[B | BaseException] = queue.Queue(ahead)

    def work() -> None:
        for step in range(first, last):
            try:
                ready.put(make(step))
            except BaseException as error:
                ready.put(error)
                return

    threading.Thread(target=work, daemon=True).start()
    for _ in range(first, last):
        made = ready.get()
        if isinstance(made, BaseException):
            raise made
        yield made
