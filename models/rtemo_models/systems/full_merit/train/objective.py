"""What the full-size network is asked to make small, for both tasks at once."""

import torch
from torch import Tensor, nn

from rtemo_models.systems.full_merit.data import PairBatch
from rtemo_models.systems.full_merit.net import TASKS, FullMerit, spectrum_frames
from rtemo_models.systems.full_merit.train.gradients import cosine, without_conflict
from rtemo_models.systems.full_merit.train.losses import emotion_loss, speech_loss
from rtemo_models.systems.full_merit.train.process_group import ProcessGroup
from rtemo_models.systems.full_merit.train.recipe import FullMeritRecipe


class Objective(nn.Module):
    """The network and what it is asked to make small.

    Args:
        net: The network.
        recipe: Weights of the losses and how the tasks are combined.
        class_weight: float32 [classes].
    """

    class_weight: Tensor

    def __init__(self, net: FullMerit, recipe: FullMeritRecipe, class_weight: Tensor) -> None:
        super().__init__()
        self.net, self.recipe = net, recipe
        self.register_buffer("class_weight", class_weight)
        self.log_deviation = nn.ParameterDict(
            {task: nn.Parameter(torch.zeros(())) for task in TASKS} if recipe.combine == "uncertainty" else {}
        )

    def forward(self, batch: PairBatch) -> dict[str, Tensor]:
        """All losses of a batch; `total` is what training makes small, `total_<task>` the share of each task.

        With `uncertainty` a task's loss L becomes L / (2 s²) + log s with a learnt s (Kendall, Gal and Cipolla 2018,
        arXiv:1705.07115).
        """
        r = self.recipe
        with torch.autocast(batch.noisy.device.type, torch.bfloat16, enabled=r.bf16):
            heard = self.net(batch.noisy, batch.lengths)
        clean = self.net.clean_target(batch.clean, batch.lengths)
        losses: dict[str, Tensor] = {
            "emotion": emotion_loss(heard.logits, batch.target, self.class_weight),
            "speech": speech_loss(heard.masked, clean, spectrum_frames(batch.lengths)),
            **heard.losses,
        }
        for task, weight in zip(TASKS, (1.0, r.speech_weight), strict=True):
            loss = weight * losses[task]
            if task in self.log_deviation:
                s = self.log_deviation[task]
                loss = loss * torch.exp(-2 * s) / 2 + s
            aside = r.balance_weight * losses[f"balance_{task}"] + r.z_weight * losses[f"z_{task}"]
            losses[f"total_{task}"] = loss + aside
        losses["total"] = losses["total_emotion"] + losses["total_speech"]
        return losses


class Surgery:
    """Gathers each task's gradients over micro-batches and leaves their sum without conflicts in the parameters."""

    def __init__(self, objective: Objective) -> None:
        self.shared = objective.net.shared()
        inside = {id(p) for p in self.shared}
        self.own = [p for p in objective.parameters() if p.requires_grad and id(p) not in inside]
        self.found = {task: [torch.zeros_like(p) for p in self.shared + self.own] for task in TASKS}

    def add(self, losses: dict[str, Tensor], count: int) -> None:
        """Add the gradients of one of `count` micro-batches."""
        for task in TASKS:
            loss = losses[f"total_{task}"] / count
            again = task != TASKS[-1]
            found = torch.autograd.grad(loss, self.shared + self.own, retain_graph=again, allow_unused=True)
            for total, gradient in zip(self.found[task], found, strict=True):
                if gradient is not None:
                    total += gradient

    def finish(self, group: ProcessGroup, seed: int) -> float:
        """Set the parameters' gradients and return the cosine between the tasks on what they share."""
        for gradients in self.found.values():
            group.average(gradients)
        count = len(self.shared)
        both = [self.found[task][:count] for task in TASKS]
        for parameter, gradient in zip(self.shared, without_conflict(both, seed), strict=True):
            parameter.grad = gradient
        for k, parameter in enumerate(self.own, count):
            parameter.grad = sum((self.found[task][k] for task in TASKS), torch.zeros_like(parameter))
        return float(cosine(*both))
