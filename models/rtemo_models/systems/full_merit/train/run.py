"""Trains Sparse MERIT at full size: `torchrun --nproc-per-node N -m rtemo_models.systems.full_merit.train.run`.

With `python -m` instead of `torchrun` it runs in one process; without a GPU on the CPU. A run writes `checkpoint.pt`
(to go on: run the same command again), `best.pt` (the weights that did best on all dev clips) and `log.jsonl`.
"""

import contextlib
import dataclasses
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader

from rtemo.api.errors import ConfigError, ModelError
from rtemo_models.kit.command import config_option, data_option, run_option, set_option, task, until_option, work_option
from rtemo_models.kit.corpora.clip import Clip, read_manifest, refuse_leaks
from rtemo_models.kit.loop import Run
from rtemo_models.kit.run_folder import write
from rtemo_models.systems.full_merit.data import NoisyPairs, PairBatch, class_weights, collated, read_noises
from rtemo_models.systems.full_merit.net import FullMerit, FullMeritConfig, spectrum_frames
from rtemo_models.systems.full_merit.train.losses import detection_scores, emotion_loss, speech_loss
from rtemo_models.systems.full_merit.train.objective import Objective, Surgery
from rtemo_models.systems.full_merit.train.process_group import ProcessGroup, join
from rtemo_models.systems.full_merit.train.recipe import FullMeritRecipe, read_full_recipe


def load_encoder(name: str) -> nn.Module:
    """An encoder by its name or folder.

    Raises:
        ModelError: If `transformers` is missing or knows no such encoder.
    """
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise ModelError("the package transformers is not installed", "pip install 'rtemo[full]'") from error
    try:
        return AutoModel.from_pretrained(name)
    except (OSError, ValueError) as error:
        raise ModelError(f"no encoder {name}: {error}", "give --encoder the folder of a downloaded one") from error


class FullRun(Run[Objective]):
    """A training run in a folder; construct it again to go on from its checkpoint.

    Args:
        recipe: Settings.
        encoder: The pre-trained encoder.
        clips: Clips of all splits; `train` is learnt from, `dev` selects.
        data_dir: Folder with `noise/manifest.csv`, and that paths are relative to.
        folder: Where the run lives.
        group: The processes of the run.
    """

    def __init__(
        self,
        recipe: FullMeritRecipe,
        encoder: nn.Module,
        clips: list[Clip],
        data_dir: Path,
        folder: Path,
        group: ProcessGroup,
    ) -> None:
        refuse_leaks(clips)
        self.recipe, self.group = recipe, group
        self.pairs = self._pairs(clips, data_dir, "train")
        self.dev_pairs = self._pairs(clips, data_dir, "dev")
        self.steps_per_epoch = len(self.pairs) // recipe.batch
        self._check()
        super().__init__(
            folder,
            seed=recipe.seed,
            steps=recipe.epochs * self.steps_per_epoch,
            report_every_steps=recipe.checkpoint_steps,
            average_decay=None,
            title="train" if group.first else "",
        )
        net = FullMerit(encoder, len(recipe.classes), FullMeritConfig(**recipe.net))
        if recipe.recompute:
            encoder.gradient_checkpointing_enable({"use_reentrant": False})  # type: ignore[operator]
        weights = class_weights(self.pairs.clips, recipe.classes)
        objective = Objective(net, recipe, weights).to(group.device)
        rates = msgspec.to_builtins(recipe.rates)
        groups: list[dict[str, Any]] = [{"params": ps, "lr": rates[name]} for name, ps in net.groups().items() if ps]
        if objective.log_deviation:
            groups.append({"params": list(objective.log_deviation.parameters()), "lr": rates["emotion"]})
        self.best, self._epoch = -float("inf"), -1
        optimiser = torch.optim.AdamW(groups, weight_decay=recipe.weight_decay)
        if not self.begin(objective, optimiser, group.device):
            self._measure_input()

    def _pairs(self, clips: list[Clip], data_dir: Path, split: str) -> NoisyPairs:
        r = self.recipe
        chosen = [c for c in clips if c.split == split]
        if not chosen:
            raise ConfigError(
                f"no {split} clip of {', '.join(r.corpora)}", "enter the corpus into emotion/manifest.csv"
            )
        train = split == "train"
        return NoisyPairs(
            chosen,
            read_noises(data_dir, split),
            data_dir,
            r.classes,
            r.snr_db if train else r.dev_snr_db,
            r.longest_s,
            r.degrade if train else {},
            r.soft_labels and train,
            r.seed,
        )

    def _check(self) -> None:
        r, size = self.recipe, self.group.size
        if r.batch % (size * r.micro_batch):
            raise ConfigError(
                f"batch is {r.batch}, which {size} processes cannot share in micro-batches of {r.micro_batch}",
                "make batch a multiple of processes times micro_batch",
            )
        if not self.steps_per_epoch:
            raise ConfigError(f"{len(self.pairs)} training clips are less than one batch of {r.batch}")

    @property
    def whole(self) -> FullMerit:
        """The network inside the objective."""
        return self.net.net

    def _measure_input(self) -> None:
        """Take mean and deviation of the samples of some noisy training clips: one pair of numbers for all."""
        some = np.random.default_rng(self.recipe.seed).permutation(len(self.pairs))[: self.recipe.normalise_clips]
        sums = torch.zeros(3, dtype=torch.float64)
        for i in some[self.group.rank :: self.group.size]:
            x = self.pairs[int(i)].noisy.astype(np.float64)
            sums += torch.tensor([len(x), x.sum(), (x * x).sum()], dtype=torch.float64)
        # NCCL talks between GPUs only.
        count, total, square = self.group.total(sums.to(self.group.device)).tolist()
        mean = total / count
        self.whole.mean.fill_(mean)
        self.whole.deviation.fill_(max(square / count - mean * mean, 1e-12) ** 0.5)

    def seed_of(self, step: int) -> int:
        """Seed of a step, another in every process."""
        return super().seed_of(step) * self.group.size + self.group.rank

    def update(self, step: int) -> dict[str, float]:
        """Take the step with the epoch's next batches."""
        epoch = step // self.steps_per_epoch
        if epoch != self._epoch:
            self._epoch = epoch
            self.whole.learn_encoder(epoch >= self.recipe.heads_epochs)
            self._model, self._ahead = self._parallel(), self._batches(epoch)
        return self.take_step(self._model, self._ahead)

    def is_due(self) -> bool:
        """After every epoch, and in between as often as the recipe says."""
        return self._is_whole_epoch() or super().is_due()

    def _is_whole_epoch(self) -> bool:
        return self.step % self.steps_per_epoch == 0

    def _parallel(self) -> nn.Module:
        """The objective, wrapped so that processes share gradients; gradient surgery shares them on its own."""
        if self.group.size == 1 or self.recipe.combine == "pcgrad":
            return self.net
        return DistributedDataParallel(self.net)

    def _batches(self, epoch: int) -> Iterator[PairBatch]:
        """This process's micro-batches of the rest of an epoch."""
        r, group = self.recipe, self.group
        self.pairs.epoch = epoch
        order = np.random.default_rng((r.seed, epoch)).permutation(len(self.pairs))
        rows = []
        for b in range(self.step % self.steps_per_epoch, self.steps_per_epoch):
            mine = order[b * r.batch : (b + 1) * r.batch][group.rank :: group.size]
            rows += [mine[k : k + r.micro_batch].tolist() for k in range(0, len(mine), r.micro_batch)]
        return iter(self._loader(self.pairs, rows))

    def _loader(self, pairs: NoisyPairs, rows: list[list[int]]) -> DataLoader[Any]:
        pinned = self.group.device.type == "cuda"
        return DataLoader(
            pairs, batch_sampler=rows, collate_fn=collated, num_workers=self.recipe.workers, pin_memory=pinned
        )

    def take_step(self, model: nn.Module, batches: Iterator[PairBatch]) -> dict[str, float]:
        """One step of the optimiser from the next micro-batches; returns the mean losses of this process."""
        r, size = self.recipe, self.group.size
        torch.manual_seed(self.seed_of(self.step))  # anew: a loader that starts draws a number, too
        self.net.train()
        self.optimiser.zero_grad(set_to_none=True)
        count = r.batch // (size * r.micro_batch)
        sums: dict[str, float] = {}
        surgery = Surgery(self.net) if r.combine == "pcgrad" else None
        for k in range(count):
            batch = next(batches).to(self.group.device)
            waits = k + 1 < count and isinstance(model, DistributedDataParallel)
            with model.no_sync() if waits else contextlib.nullcontext():  # type: ignore[operator]
                losses = model(batch)
                if surgery is None:
                    (losses["total"] / count).backward()
                else:
                    surgery.add(losses, count)
            for name, value in losses.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach()) / count
        if surgery is not None:
            sums["gradient_cosine"] = surgery.finish(self.group, r.seed + self.step)
        if r.gradient_norm > 0:
            nn.utils.clip_grad_norm_(self.net.parameters(), r.gradient_norm)
        self.optimiser.step()
        return sums

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Scores on all dev clips, each counted once, whichever process heard it."""
        self.net.eval()
        mine = list(range(len(self.dev_pairs)))[self.group.rank :: self.group.size]
        rows = [mine[k : k + self.recipe.micro_batch] for k in range(0, len(mine), self.recipe.micro_batch)]
        classes = len(self.recipe.classes)
        confusion, sums = torch.zeros(classes, classes), torch.zeros(3)
        for loaded in self._loader(self.dev_pairs, rows) if rows else ():
            batch = loaded.to(self.group.device)
            with torch.autocast(batch.noisy.device.type, torch.bfloat16, enabled=self.recipe.bf16):
                heard = self.whole(batch.noisy, batch.lengths)
            count = len(batch.lengths)
            clean = self.whole.clean_target(batch.clean, batch.lengths)
            sums[0] += count
            sums[1] += count * emotion_loss(heard.logits, batch.target, self.net.class_weight).cpu()
            sums[2] += count * speech_loss(heard.masked, clean, spectrum_frames(batch.lengths)).cpu()
            labelled = batch.target.sum(1) > 0
            pairs = batch.target.argmax(1) * classes + heard.logits.argmax(1)
            confusion += torch.bincount(pairs[labelled].cpu(), minlength=classes**2).view(classes, classes)
        shared = self.group.total(torch.cat([sums, confusion.flatten()]).to(self.group.device)).cpu()
        total, emotion, speech = shared[:3].tolist()
        scores = {"clips": total, "emotion": emotion / total, "speech": speech / total}
        scores["loss"] = scores["emotion"] + self.recipe.speech_weight * scores["speech"]
        return scores | detection_scores(shared[3:].view(classes, classes))

    def report(self) -> dict[str, Any]:
        """Scores on dev clips after a whole epoch; the best weights so far are written."""
        if not self._is_whole_epoch():
            return {}
        scores = self.evaluate()
        score = scores["f1_macro"] if self.recipe.select == "f1_macro" else -scores["loss"]
        if score > self.best:
            self.best = score
            if self.group.first:
                write(self.folder / "best.pt", self._described())
        return {"dev": {name: round(value, 5) for name, value in scores.items()}}

    def state(self) -> dict[str, Any]:
        """The best score so far."""
        return {"best": self.best}

    def restored(self, saved: Mapping[str, Any]) -> None:
        """Take it back."""
        self.best = saved.get("best", self.best)

    def log(self, line: dict[str, Any]) -> None:
        """Print a line and add it to the log, in the first process."""
        if self.group.first:
            super().log(line)

    def save(self) -> None:
        """Write the checkpoint, in the first process; the others wait for it."""
        if self.group.first:
            super().save()
        self.group.wait()

    def _described(self) -> dict[str, Any]:
        """Weights with all it takes to build the network again without the pre-trained encoder."""
        config: Any = self.whole.encoder.config
        return {
            "weights": self.whole.state_dict(),
            "encoder": config.to_json_string(use_diff=False),
            "classes": list(self.recipe.classes),
            "net": json.dumps(dataclasses.asdict(self.whole.config)),
        }


def load_best(path: Path) -> FullMerit:
    """The network in a `best.pt`, ready to run."""
    from transformers import AutoConfig, AutoModel

    saved = torch.load(path, map_location="cpu", weights_only=True)
    encoder = AutoModel.from_config(AutoConfig.for_model(**json.loads(saved["encoder"])))
    net = FullMerit(encoder, len(saved["classes"]), FullMeritConfig(**json.loads(saved["net"])))
    net.load_state_dict(saved["weights"])
    return net.eval()


@task(
    __doc__,
    config_option(Path(__file__).parents[1] / "recipes" / "recipe.toml"),
    data_option,
    work_option,
    run_option("full-merit"),
    click.option("--encoder", help="Name or folder of the encoder instead of the recipe's."),
    set_option,
    until_option,
)
def main(
    config: tuple[Path, ...],
    data: Path,
    work: Path,
    name: str,
    encoder: str | None,
    changes: tuple[str, ...],
    until: int | None,
) -> None:
    """Command line."""
    group = join()
    try:
        recipe = read_full_recipe(config, changes)
        clips = read_manifest(data / "emotion" / "manifest.csv")
        clips = [c for c in clips if c.corpus in recipe.corpora]
        FullRun(recipe, load_encoder(encoder or recipe.encoder), clips, data, work / name, group).train(until)
    finally:
        group.close()


if __name__ == "__main__":
    main()
