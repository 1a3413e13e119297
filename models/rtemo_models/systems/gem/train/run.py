"""Trains GEM: `python -m rtemo_models.systems.gem.train.run --config recipe.toml --data DIR --work DIR [--fold K]`.

With `--fold` the systems, sites and voices of that fold stay unseen. A run writes `checkpoint.pt` (to resume: run the
same command again), `average.pt` (the averaged weights, what is scored and exported) and `log.jsonl` into its folder.
The corpus and what is measured of it are made once, under `--work`; a run itself takes seconds.
"""

import argparse
import copy
import csv
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo_models.kit.audio.cache import open_audio
from rtemo_models.kit.progress import progress
from rtemo_models.kit.recipe import changes_of
from rtemo_models.kit.run_folder import decayed_groups, follow, keep, log, resume
from rtemo_models.systems.gem.data.batches import SpoofBatch, SpoofBatches
from rtemo_models.systems.gem.data.cache import TraceCache, open_corpus
from rtemo_models.systems.gem.data.channel import Channel
from rtemo_models.systems.gem.data.clips import FOLDS, SpoofClip, in_report, in_training, refuse_shared
from rtemo_models.systems.gem.data.gates import open_gates
from rtemo_models.systems.gem.data.views import Views, open_views
from rtemo_models.systems.gem.net import Gem, GemConfig, mixed, save_gem
from rtemo_models.systems.gem.train.losses import expert_loss, mixed_loss, one_class_loss, pair_loss, training_gate
from rtemo_models.systems.gem.train.recipe import GemRecipe, read_gem_recipe

CHECKPOINT_EVERY_STEPS = 500


@dataclass(frozen=True, slots=True)
class Prepared:
    """What runs of one recipe share."""

    corpus: TraceCache
    gates: list[NDArray[np.float32]]
    views: Views


def prepare(recipe: GemRecipe, data_dir: Path, work: Path) -> Prepared:
    """Make the corpus, the gates and the views, or open what is there."""
    corpus = open_corpus(data_dir, work / "cache", recipe.corpus)
    gates = open_gates(corpus)
    stem = work / "cache" / "views"
    is_made = all(stem.with_name(f"views-{k}.npz").exists() for k in range(recipe.views))
    channel = Channel([] if is_made else read_noises(data_dir, work / "cache"), recipe.channel_strength)
    measures = Gem(GemConfig(**recipe.net)).measures
    views = open_views(stem, corpus, gates, channel, measures, recipe.views, recipe.crop_steps, recipe.corpus.seed)
    return Prepared(corpus, gates, views)


def read_noises(data_dir: Path, folder: Path) -> list[NDArray[np.float32]]:
    """The training noises, 15 s of each."""
    with (data_dir / "noise" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        paths = [r["path"] for r in csv.DictReader(file) if r.get("split", "train") == "train"]
    audio = open_audio(folder / "noise", data_dir, paths)
    return [audio.samples(i)[: 15 * 16_000] for i in range(len(audio))]


def chosen_clips(clips: Sequence[SpoofClip], fold: int | None, is_strict: bool = False) -> list[int]:
    """Numbers of the clips to train on, once it is sure that nothing reported is among them."""
    train = in_training(clips, fold, is_strict)
    if fold is not None:
        refuse_shared(train, in_report(clips, fold))
    names = {c.name for c in train}
    return [i for i, c in enumerate(clips) if c.name in names]


def losses_of(net: Gem, batch: SpoofBatch, recipe: GemRecipe) -> dict[str, Tensor]:
    """All losses of a batch."""
    gate = training_gate(batch.gate, recipe.gate)
    said = net.experts(batch.statistics, gate)
    score = mixed(said, gate)
    return {
        "mixed": mixed_loss(said, gate, batch.label, recipe.smoothing),
        "one_class": one_class_loss(score, batch.label),
        "expert": expert_loss(said, gate, batch.label, recipe.replay, recipe.smoothing),
        "pair": pair_loss(score, batch.pairs),
    }


def total_of(losses: dict[str, Tensor], recipe: GemRecipe) -> Tensor:
    """Weighted sum of the losses."""
    share = recipe.one_class_share
    whole = (1 - share) * losses["mixed"] + share * losses["one_class"]
    return whole + recipe.expert_weight * losses["expert"] + recipe.pair_weight * losses["pair"]


def rate_at(step: int, recipe: GemRecipe) -> float:
    """Learning rate: half a cosine down to a fiftieth."""
    return recipe.rate_peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * step / recipe.steps)))


class GemRun:
    """One training run in its folder."""

    def __init__(self, recipe: GemRecipe, batches: SpoofBatches, folder: Path) -> None:
        self.recipe, self.batches, self.folder = recipe, batches, folder
        folder.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(recipe.seed)
        self.net = Gem(GemConfig(**recipe.net))
        mean, deviation = batches.moments()
        self.net.shift.copy_(mean)
        self.net.scale.copy_(1 / deviation)
        self.average = copy.deepcopy(self.net).eval()
        self.optimiser = torch.optim.AdamW(
            decayed_groups(self.net), recipe.rate_peak, (0.9, 0.98), weight_decay=recipe.weight_decay
        )
        self.step = resume(folder, self.net, self.average, self.optimiser)

    def save(self) -> None:
        """Write the checkpoint and the averaged weights."""
        keep(self.folder, self.step, self.net, self.average, self.optimiser)
        save_gem(self.average, self.folder / "average.pt")

    def train(self, until: int | None = None) -> None:
        """Train to the recipe's last step, or to step `until` at most."""
        last = min(self.recipe.steps, until or self.recipe.steps)
        sums: dict[str, float] = {}
        count = 0
        self.net.train()
        for step in progress(range(self.step, last), "train"):
            torch.manual_seed(self.recipe.seed * 1_000_003 + step)
            batch = self.batches.make(step, self.recipe.batch)
            for group in self.optimiser.param_groups:
                group["lr"] = rate_at(step, self.recipe)
            losses = losses_of(self.net, batch, self.recipe)
            self.optimiser.zero_grad(set_to_none=True)
            total_of(losses, self.recipe).backward()
            nn.utils.clip_grad_norm_(self.net.parameters(), 2.0)
            self.optimiser.step()
            follow(self.average, self.net, step, self.recipe.average_decay)
            self.step, count = step + 1, count + 1
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            if self.step % CHECKPOINT_EVERY_STEPS == 0 or self.step == last:
                self._report({name: value / count for name, value in sums.items()})
                sums, count = {}, 0
                self.save()

    def _report(self, means: dict[str, float]) -> None:
        line: dict[str, Any] = {"step": self.step} | {name: round(value, 4) for name, value in means.items()}
        log(self.folder, line)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="recipe.toml")
    parser.add_argument("--data", type=Path, required=True, help="folder with emotion, clean, spoof and noise")
    parser.add_argument("--work", type=Path, required=True, help="folder for the corpus and runs")
    parser.add_argument("--run", default="run", help="name of the run's folder under --work")
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="fold that stays unseen; none by default")
    parser.add_argument("--strict", action="store_true", help="leave the fold's corpora of genuine speech out too")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=JSON", help="settings that differ")
    parser.add_argument("--until", type=int, help="stop at this step; run again to go on")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = read_gem_recipe(options.config, changes_of(options.set))
    made = prepare(recipe, options.data, options.work)
    chosen = chosen_clips(made.corpus.clips, options.fold, options.strict)
    batches = SpoofBatches(made.corpus.clips, made.views, chosen, recipe.seed, recipe.label_share, recipe.corpus_noise)
    GemRun(recipe, batches, options.work / options.run).train(options.until)


if __name__ == "__main__":
    main()
