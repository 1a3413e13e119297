"""Trains the emotion network: `python -m rtemo_models.systems.merit.train.pretrain`.

Distillation from a large speech encoder and the emotion targets are learnt together. A run writes `checkpoint.pt` (to
resume: run the same command again), `average.pt` (the averaged weights, what is evaluated and exported) and `log.jsonl`
into its folder, and keeps the shared caches beside it.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from rtemo_models.kit.audio.augment import Augment, active_frames
from rtemo_models.kit.command import Training, training
from rtemo_models.kit.loop import Run, decayed_groups, prefetch
from rtemo_models.kit.metrics import dev_rows, dev_scores
from rtemo_models.kit.run_folder import write
from rtemo_models.kit.schedule import cosine_share
from rtemo_models.systems.merit.data.batches import Batch, BatchMaker, Sampler, crop_of, frame_statistics
from rtemo_models.systems.merit.data.taught import Taught
from rtemo_models.systems.merit.net.emotion import EmotionNet, EmotionNetConfig
from rtemo_models.systems.merit.train.command import taught_by, teacher_option
from rtemo_models.systems.merit.train.losses import emotion_losses, weighted
from rtemo_models.systems.merit.train.opinions import open_opinions
from rtemo_models.systems.merit.train.pretrain_recipe import EmotionRecipe

CHECKPOINT_EVERY_STEPS = 250


def make_batches(caches: Taught, recipe: EmotionRecipe, hops_per_step: int) -> BatchMaker:
    """Set up the batches of a run: training speakers and training noises only."""
    chosen = [i for i, c in enumerate(caches.clips) if c.split == "train" and c.corpus not in recipe.hold_out]
    mean, deviation = frame_statistics(caches.teachers["normal"], chosen)
    return BatchMaker(
        caches.clips,
        Sampler(caches.clips, chosen, recipe.shares),
        caches.frames,
        caches.teachers,
        mean,
        deviation,
        Augment(caches.noises("train"), recipe.augment_strength),
        recipe.delay_samples,
        recipe.variants,
        hops_per_step,
        recipe.seed,
    )


def losses_of(
    net: EmotionNet, batch: Batch, recipe: EmotionRecipe, opinions: Tensor, heads_only: bool = False
) -> dict[str, Tensor]:
    """All losses of a batch; emotions are asked at the end of the crop and at one earlier moment.

    Matrix products run in bfloat16, which doubles the pace on CPUs that have it; the sums of the pooling do not.
    """
    with torch.autocast("cpu", torch.bfloat16):
        with torch.set_grad_enabled(not heads_only):
            encoded = net.encode(batch.logmel)
        student = net.distil(encoded)
        steps = encoded.shape[1]
        early = int(torch.randint(steps // 3, steps - 1, ()))
        statistics = net.statistics(encoded, batch.weight, [early, steps - 1])
    return emotion_losses(student, net.heads(statistics), batch, opinions, recipe.smoothing)


def total_of(losses: dict[str, Tensor], recipe: EmotionRecipe, heads_only: bool = False) -> Tensor:
    """Weighted sum of the losses; the last steps, which train the heads only, ask for one answer among all eight."""
    if heads_only:
        emotions = losses["masked"] + recipe.head_accepted_weight * losses["accepted"]
        return emotions + recipe.dimensional_weight * (losses["arousal"] + losses["valence"])
    return weighted(losses, recipe)


@torch.no_grad()
def recall_on_dev(net: EmotionNet, caches: Taught) -> dict[str, float]:
    """Recall per corpus at the end of clean dev clips, and of BAVED how arousal goes with the level."""
    hops = net.config.hops_per_step
    dev = dev_rows(caches.clips)
    dev.sort(key=lambda i: len(caches.frames["dry"].frames(i)))
    said, levels = [], []
    for begin in range(0, len(dev), 64):
        group = dev[begin : begin + 64]
        sources = [caches.frames["dry"].frames(i) for i in group]
        steps = [len(s) // hops for s in sources]
        x = torch.full((len(group), max(steps) * hops, net.config.mel_count), -23.0)
        for b, source in enumerate(sources):
            x[b, : steps[b] * hops] = torch.from_numpy(source[: steps[b] * hops].astype(np.float32))
        weight = active_frames(x).unflatten(1, (-1, hops))
        statistics = net.statistics(net.encode(x.unflatten(1, (-1, hops))), weight)
        logits, arousal, _ = net.heads(statistics[torch.arange(len(group)), torch.tensor(steps) - 1])
        said.append(logits.numpy())
        levels.append(arousal.numpy().reshape(-1))
    return dev_scores(caches.clips, dev, np.concatenate(said), np.concatenate(levels))


class EmotionRun(Run[EmotionNet]):
    """One training run in its folder: all of the network, then its heads alone."""

    def __init__(self, recipe: EmotionRecipe, caches: Taught, folder: Path) -> None:
        super().__init__(
            folder,
            seed=recipe.seed,
            steps=recipe.steps + recipe.head_steps,
            report_every_steps=CHECKPOINT_EVERY_STEPS,
            average_decay=recipe.average_decay,
        )
        self.recipe, self.caches = recipe, caches
        net = EmotionNet(EmotionNetConfig(**recipe.net))
        optimiser = torch.optim.AdamW(
            decayed_groups(net), recipe.rate_peak, (0.9, 0.98), weight_decay=recipe.weight_decay
        )
        self.begin(net, optimiser)

    def rate_at(self, step: int) -> float:
        """Linear warm-up, then half a cosine down to a hundredth; half a cosine again for the heads."""
        recipe = self.recipe
        if step >= recipe.steps:
            return recipe.head_rate * cosine_share(step - recipe.steps, recipe.head_steps)
        return recipe.rate_peak * cosine_share(step, recipe.steps, recipe.warmup_steps, floor=0.01)

    def start(self, first: int, last: int) -> None:
        """Make batches ahead."""
        maker = make_batches(self.caches, self.recipe, self.net.config.hops_per_step)
        self._opinions = torch.from_numpy(open_opinions(self.folder / "opinions.npy", self.caches, self.recipe))
        self._batches = prefetch(lambda step: maker.make(step, *crop_of(self.recipe, step)), first, last)

    def update(self, step: int) -> dict[str, Tensor]:
        """Learn a batch."""
        heads_only = step >= self.recipe.steps
        if step == self.recipe.steps:
            self.net.load_state_dict(self.average.state_dict())
        losses = losses_of(self.net, next(self._batches), self.recipe, self._opinions, heads_only)
        self.learn(total_of(losses, self.recipe, heads_only))
        return losses

    def write(self) -> None:
        """Write the averaged weights."""
        write(self.folder / "average.pt", {"net": self.recipe.net, "weights": self.average.state_dict()})

    def report(self) -> dict[str, Any]:
        """Recall on dev clips."""
        return {"dev": recall_on_dev(self.average, self.caches)}


@training(__doc__, Path(__file__).parents[1] / "recipes" / "pretrain.toml", "emotion-causal", teacher_option, threads=2)
def main(job: Training, teacher_path: Path | None) -> None:
    """Command line."""
    recipe = job.recipe(EmotionRecipe)
    EmotionRun(recipe, taught_by(job, teacher_path, recipe.variants), job.folder).train(job.until)


if __name__ == "__main__":
    main()
