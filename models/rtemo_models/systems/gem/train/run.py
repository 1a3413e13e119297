"""Trains GEM: `python -m rtemo_models.systems.gem.train.run --config recipe.toml --data DIR --work DIR [--fold K]`.

With `--fold` the systems, sites and voices of that fold stay unseen. A run writes `checkpoint.pt` (to resume: run the
same command again), `average.pt` (the averaged weights, what is scored and exported) and `log.jsonl` into its folder.
The corpus and what is measured of it are made once, under `--work`; a run itself takes seconds.
"""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.kit.audio.cache import open_audio
from rtemo_models.kit.audio.channel import Channel
from rtemo_models.kit.command import Training, training
from rtemo_models.kit.loop import Run, decayed_groups
from rtemo_models.kit.run_folder import save_net
from rtemo_models.kit.schedule import cosine_share
from rtemo_models.systems.gem.data.batches import SpoofBatch, SpoofBatches
from rtemo_models.systems.gem.data.cache import TraceCache, open_corpus
from rtemo_models.systems.gem.data.clips import FOLDS, SpoofClip, in_report, in_training, refuse_shared
from rtemo_models.systems.gem.data.gates import open_gates
from rtemo_models.systems.gem.data.views import Views, open_views
from rtemo_models.systems.gem.net import Gem, GemConfig, mixed
from rtemo_models.systems.gem.train.losses import expert_loss, mixed_loss, one_class_loss, pair_loss, training_gate
from rtemo_models.systems.gem.train.recipe import GemRecipe

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


class GemRun(Run[Gem]):
    """One training run in its folder."""

    def __init__(self, recipe: GemRecipe, batches: SpoofBatches, folder: Path) -> None:
        super().__init__(
            folder,
            seed=recipe.seed,
            steps=recipe.steps,
            report_every_steps=CHECKPOINT_EVERY_STEPS,
            average_decay=recipe.average_decay,
        )
        self.recipe, self.batches = recipe, batches
        net = Gem(GemConfig(**recipe.net))
        mean, deviation = batches.moments()
        net.shift.copy_(mean)
        net.scale.copy_(1 / deviation)
        optimiser = torch.optim.AdamW(
            decayed_groups(net), recipe.rate_peak, (0.9, 0.98), weight_decay=recipe.weight_decay
        )
        self.begin(net, optimiser)

    def rate_at(self, step: int) -> float:
        """Half a cosine down to a fiftieth."""
        return self.recipe.rate_peak * cosine_share(step, self.steps, floor=0.02)

    def update(self, step: int) -> dict[str, Tensor]:
        """Learn a batch."""
        losses = losses_of(self.net, self.batches.make(step, self.recipe.batch), self.recipe)
        self.learn(total_of(losses, self.recipe))
        return losses

    def write(self) -> None:
        """Write the averaged weights."""
        save_net(self.average, self.folder / "average.pt")


@training(
    __doc__,
    Path(__file__).parents[1] / "recipes" / "recipe.toml",
    "run",
    click.option("--fold", type=click.IntRange(0, FOLDS - 1), help="Fold that stays unseen; none by default."),
    click.option("--strict", is_flag=True, help="Leave the fold's corpora of genuine speech out too."),
)
def main(job: Training, fold: int | None, strict: bool) -> None:
    """Command line."""
    recipe = job.recipe(GemRecipe)
    made = prepare(recipe, job.data, job.work)
    chosen = chosen_clips(made.corpus.clips, fold, strict)
    batches = SpoofBatches(made.corpus.clips, made.views, chosen, recipe.seed, recipe.label_share, recipe.corpus_noise)
    GemRun(recipe, batches, job.folder).train(job.until)


if __name__ == "__main__":
    main()
