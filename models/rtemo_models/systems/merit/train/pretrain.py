"""Trains the emotion network: `python -m rtemo_models.systems.merit.train.pretrain`.

Distillation from a large speech encoder and the emotion targets are learnt together. A run writes `checkpoint.pt` (to
resume: run the same command again), `average.pt` (the averaged weights, what is evaluated and exported) and `log.jsonl`
into its folder, and keeps the shared caches beside it.
"""

import argparse
import copy
import math
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo_models.kit.audio.augment import Augment, active_frames
from rtemo_models.kit.corpora.clip import classes_of
from rtemo_models.kit.progress import progress
from rtemo_models.kit.run_folder import decayed_groups, follow, keep, log, resume, write
from rtemo_models.systems.merit.data.batches import Batch, BatchMaker, Sampler
from rtemo_models.systems.merit.data.taught import Taught, open_taught
from rtemo_models.systems.merit.net.emotion import EmotionNet, EmotionNetConfig
from rtemo_models.systems.merit.train.losses import (
    accepted_cross_entropy,
    dimensional,
    distillation,
    masked_cross_entropy,
    opinion_cross_entropy,
)
from rtemo_models.systems.merit.train.opinions import open_opinions
from rtemo_models.systems.merit.train.pretrain_recipe import EmotionRecipe, read_recipe

CHECKPOINT_EVERY_STEPS = 250


def teacher_statistics(caches: Taught, chosen: list[int]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of the teacher's frames over up to 1500 training clips."""
    some = np.random.default_rng(0).permutation(chosen)[:1500]
    frames = np.concatenate([caches.teachers["normal"].frames(int(i)) for i in some]).astype(np.float64)
    return frames.mean(0).astype(np.float32), (frames.std(0) + 1e-3).astype(np.float32)


def make_batches(caches: Taught, recipe: EmotionRecipe, hops_per_step: int) -> BatchMaker:
    """Set up the batches of a run: training speakers and training noises only."""
    chosen = [i for i, c in enumerate(caches.clips) if c.split == "train" and c.corpus not in recipe.hold_out]
    mean, deviation = teacher_statistics(caches, chosen)
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


def prefetch(maker: BatchMaker, recipe: EmotionRecipe, first: int, last: int) -> Iterator[Batch]:
    """Make the batches of steps `first` to `last - 1` in a thread, two ahead."""
    ready: queue.Queue[Batch] = queue.Queue(2)

    def work() -> None:
        for step in range(first, last):
            steps = recipe.crop_steps[np.random.default_rng((recipe.seed, 1, step)).integers(len(recipe.crop_steps))]
            ready.put(maker.make(step, recipe.batch_steps // steps, steps))

    threading.Thread(target=work, daemon=True).start()
    for _ in range(first, last):
        yield ready.get()


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
    distil, cosine = distillation(student.float(), batch.teacher, batch.teacher_valid)
    logits, arousal, valence = net.heads(statistics)
    return {
        "distil": distil,
        "cosine": cosine,
        "masked": masked_cross_entropy(logits, batch.label, batch.allowed, recipe.smoothing),
        "accepted": accepted_cross_entropy(logits, batch.accepted),
        "opinion": opinion_cross_entropy(logits, opinions[batch.clip], batch.allowed),
        "arousal": dimensional(arousal, batch.arousal),
        "valence": dimensional(valence, batch.valence),
    }


def total_of(losses: dict[str, Tensor], recipe: EmotionRecipe, heads_only: bool = False) -> Tensor:
    """Weighted sum of the losses; the last steps, which train the heads only, ask for one answer among all eight."""
    if heads_only:
        emotions = losses["masked"] + recipe.head_accepted_weight * losses["accepted"]
        return emotions + recipe.dimensional_weight * (losses["arousal"] + losses["valence"])
    return (
        recipe.distil_weight * losses["distil"]
        + recipe.masked_weight * losses["masked"]
        + recipe.accepted_weight * losses["accepted"]
        + recipe.opinion_weight * losses["opinion"]
        + recipe.dimensional_weight * (losses["arousal"] + losses["valence"])
    )


def rate_at(step: int, recipe: EmotionRecipe) -> float:
    """Learning rate: linear warm-up, then half a cosine down to a hundredth; half a cosine again for the heads."""
    if step >= recipe.steps:
        done = (step - recipe.steps) / recipe.head_steps
        return recipe.head_rate * 0.5 * (1 + math.cos(math.pi * done))
    if step < recipe.warmup_steps:
        return recipe.rate_peak * (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return recipe.rate_peak * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))


@torch.no_grad()
def recall_on_dev(net: EmotionNet, caches: Taught) -> dict[str, float]:
    """Unweighted average recall per corpus at the end of clean dev clips, over the corpus' own classes.

    For BAVED, which has levels and no emotions, Spearman's correlation of arousal with the level.
    """
    from scipy.stats import spearmanr

    net.eval()
    known = classes_of(caches.clips)
    right: dict[str, dict[int, list[bool]]] = {}
    levels: list[tuple[float, float]] = []
    dev = [i for i, c in enumerate(caches.clips) if c.split == "dev" and (c.label >= 0 or c.corpus == "baved")]
    dev.sort(key=lambda i: len(caches.frames["dry"].frames(i)))
    for begin in range(0, len(dev), 64):
        group = dev[begin : begin + 64]
        sources = [caches.frames["dry"].frames(i) for i in group]
        steps = [len(s) // net.config.hops_per_step for s in sources]
        x = torch.full((len(group), max(steps) * net.config.hops_per_step, net.config.mel_count), -23.0)
        for b, source in enumerate(sources):
            frames = steps[b] * net.config.hops_per_step
            x[b, :frames] = torch.from_numpy(source[:frames].astype(np.float32))
        weight = active_frames(x).unflatten(1, (-1, net.config.hops_per_step))
        statistics = net.statistics(net.encode(x.unflatten(1, (-1, net.config.hops_per_step))), weight)
        logits, arousal, _ = net.heads(statistics[torch.arange(len(group)), torch.tensor(steps) - 1])
        for b, i in enumerate(group):
            clip = caches.clips[i]
            if clip.corpus == "baved":
                levels.append((float(clip.level), float(arousal[b])))
                continue
            classes = known[clip.corpus]
            best = classes[int(logits[b, list(classes)].argmax())]
            right.setdefault(clip.corpus, {}).setdefault(clip.label, []).append(best == clip.label)
    net.train()
    scores = {corpus: float(np.mean([np.mean(hits) for hits in by.values()])) for corpus, by in right.items()}
    scores["mean"] = float(np.mean(list(scores.values())))
    scores["baved_rho"] = float(spearmanr(*np.array(levels).T).statistic)
    return scores


class Run:
    """One training run in its folder."""

    def __init__(self, recipe: EmotionRecipe, caches: Taught, folder: Path) -> None:
        self.recipe, self.caches, self.folder = recipe, caches, folder
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        self.net = EmotionNet(EmotionNetConfig(**recipe.net))
        self.average = copy.deepcopy(self.net)
        self.optimiser = torch.optim.AdamW(
            decayed_groups(self.net), recipe.rate_peak, (0.9, 0.98), weight_decay=recipe.weight_decay
        )
        self.step = resume(folder, self.net, self.average, self.optimiser)

    def save(self) -> None:
        """Write the checkpoint and the averaged weights."""
        keep(self.folder, self.step, self.net, self.average, self.optimiser)
        write(self.folder / "average.pt", {"net": self.recipe.net, "weights": self.average.state_dict()})

    def train(self, until: int | None = None) -> None:
        """Train to the recipe's last step, or to step `until` at most."""
        last = self.recipe.steps + self.recipe.head_steps
        last = min(last, until or last)
        maker = make_batches(self.caches, self.recipe, self.net.config.hops_per_step)
        opinions = torch.from_numpy(open_opinions(self.folder / "opinions.npy", self.caches, self.recipe))
        batches = prefetch(maker, self.recipe, self.step, last)
        sums: dict[str, float] = {}
        started_s = time.monotonic()
        for step in progress(range(self.step, last), "train"):
            torch.manual_seed(self.recipe.seed * 1_000_003 + step)
            heads_only = step >= self.recipe.steps
            if step == self.recipe.steps:
                self.net.load_state_dict(self.average.state_dict())
            for group in self.optimiser.param_groups:
                group["lr"] = rate_at(step, self.recipe)
            losses = losses_of(self.net, next(batches), self.recipe, opinions, heads_only)
            self.optimiser.zero_grad(set_to_none=True)
            total_of(losses, self.recipe, heads_only).backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
            self.optimiser.step()
            follow(self.average, self.net, step, self.recipe.average_decay)
            self.step = step + 1
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            if self.step % CHECKPOINT_EVERY_STEPS == 0 or self.step == last:
                self._report(sums, time.monotonic() - started_s)
                sums = {}
                self.save()

    def _report(self, sums: dict[str, float], elapsed_s: float) -> None:
        count = self.step % CHECKPOINT_EVERY_STEPS or CHECKPOINT_EVERY_STEPS
        line: dict[str, Any] = {"step": self.step, "elapsed_s": round(elapsed_s)}
        line |= {name: round(value / count, 4) for name, value in sums.items()}
        line["dev"] = {name: round(value, 4) for name, value in recall_on_dev(self.average, self.caches).items()}
        log(self.folder, line)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="recipe.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder with emotion, clean, noise and rir")
    parser.add_argument("--work", type=Path, required=True, help="folder for caches and runs")
    parser.add_argument("--run", default="run", help="name of the run's folder under --work")
    parser.add_argument("--teacher", type=Path, help="encoder_model.ort; default: from moonshine-voice")
    parser.add_argument("--until", type=int, help="stop at this step; run again to go on")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = read_recipe(options.config)
    caches = open_taught(options.data, options.work / "cache", options.teacher, recipe.variants)
    Run(recipe, caches, options.work / options.run).train(options.until)


if __name__ == "__main__":
    main()
