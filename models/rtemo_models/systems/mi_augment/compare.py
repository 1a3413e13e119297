"""All arms on speakers and corpora kept apart: `python -m rtemo_models.systems.mi_augment.compare`.

For every seed and fold: stage 1, generators, and the last layer of each arm; what they say of clips that none of it
was trained on is kept in one file for each seed, and a run that was stopped goes on with the next.
"""

import sys
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.kit.command import config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.mi_augment.align import Aligned, align
from rtemo_models.systems.mi_augment.augment import pairs, train_last
from rtemo_models.systems.mi_augment.data import Table, folds_of, read_table
from rtemo_models.systems.mi_augment.features import save
from rtemo_models.systems.mi_augment.generate import (
    Features,
    Made,
    fits,
    gated,
    make,
    told,
    train_critic,
    train_generator,
)
from rtemo_models.systems.mi_augment.mi import Critic, info_nce, pointwise
from rtemo_models.systems.mi_augment.settings import RECIPE, Settings

PLAIN = ("none", "mixup", "noise", "smote")
MADE = {
    "made, lam_I = 0": (0.0, True),
    "made, emotion": (1.0, False),
    "made, emotion and words": (1.0, True),
}
"""Arm → weight of the information, relative to the recipe's, and whether words are told."""
GATED = "made, emotion and words, gated"
PAIRED = ("pairs, none", "pairs, made")
ARMS = (*PLAIN, *MADE, GATED, *PAIRED)
LEFT_OUT_ARMS = ("none", "mixup", "made, lam_I = 0", "made, emotion and words", GATED)
_MANY = 4096
_HELD = 4
"""One in so many of the clips that are trained on is kept from generators: the critic learns from these."""


class Trained:
    """Stage 1 and what it makes of all clips.

    Args:
        table: All clips.
        rows: int64, those that are trained on.
        settings: Of the run.
        seed: Of everything that is drawn.
    """

    def __init__(self, table: Table, rows: NDArray[np.int64], settings: Settings, seed: int) -> None:
        self.table = table = table.standardised(rows)
        self.settings, self.seed = settings, seed
        self.rows = torch.from_numpy(rows)
        self.net: Aligned = align(table, self.rows, settings.align, seed)
        with torch.no_grad():
            self.h = self.net.audio(table.audio)
            self.t = self.net.text(table.text) * table.has_text[:, None]
        self.mask = torch.stack([table.mask[table.corpus == k][0] for k in range(len(table.corpora))])
        self.real = self._features(rows)
        is_held = np.random.default_rng(seed).permutation(len(rows)) % _HELD == 0
        self.seen, self.held = self._features(rows[~is_held]), self._features(rows[is_held])
        self.information: dict[str, float] = {}

    def _features(self, rows: NDArray[np.int64]) -> Features:
        table, at = self.table, torch.from_numpy(rows)
        weights = table.draw_weights(rows)
        corpora = len(table.corpora)
        return Features(self.h[at], self.t[at], table.has_text[at], table.label[at], table.corpus[at], weights, corpora)

    def plain(self, arm: str, test: Tensor) -> Tensor:
        """Logits of an arm that makes nothing."""
        last = train_last(self.real.h, self.real, self.mask, arm, self.settings.head, self.seed)
        with torch.no_grad():
            return last(self.h[test])

    def made(self, arms: tuple[str, ...], test: Tensor) -> dict[str, Tensor]:
        """Logits of the arms that make features, and of every kind of them the information that it carries."""
        settings, said = self.settings, {}
        critic = train_critic(self.held, settings.generator.steps, settings.generator.batch, self.seed)
        real_fit = self._fit(critic, self.seen.h, self.seen.label, self.seen.t, self.seen.has_text)
        self.information["real"] = float(real_fit.mean())
        for arm, (weight, uses_words) in MADE.items():
            if arm not in arms and not (arm == "made, emotion and words" and GATED in arms):
                continue
            generator = train_generator(
                self.seen, settings.generator, self.seed, weight * settings.generator.information, uses_words
            )
            made = make(generator, self.seen, _MANY, uses_words)
            fit = self._fit(critic, made.h, made.label, made.words, made.has_words)
            self.information[arm] = float(fit.mean())
            if arm in arms:
                said[arm] = self._last(self.real.h, self.h[test], made.h, made)
            if arm == "made, emotion and words" and GATED in arms:
                more = make(generator, self.seen, 4 * _MANY, uses_words)
                fit = self._fit(critic, more.h, more.label, more.words, more.has_words)
                good = gated(more, fit, float(real_fit.median()))
                self.information[GATED] = float(fit[fit >= real_fit.median()].mean()) if len(good.h) else float("nan")
                self.information["kept by the gate"] = len(good.h) / len(more.h)
                said[GATED] = self._last(self.real.h, self.h[test], good.h, good)
        return said

    def paired(self, test: Tensor) -> dict[str, Tensor]:
        """Logits over voice and words, of the clips with words alone and with made pairs."""
        table = self.table
        x = pairs(self.real.h, self.real.t, self.real.has_text)
        of_test = pairs(self.h[test], self.t[test], table.has_text[test])
        said = {PAIRED[0]: self._last(x, of_test, None, None)}
        has = self.seen.has_text
        if not has.any():
            return said
        worded = Features(*(part[has] for part in self.seen[:5]), self.seen.weights[has], self.seen.corpora)
        generator = train_generator(
            worded, self.settings.generator, self.seed, self.settings.generator.information, True, is_pair=True
        )
        made = make(generator, worded, _MANY, True)
        assert made.t is not None
        said[PAIRED[1]] = self._last(x, of_test, torch.cat([made.h, made.t], 1), made)
        return said

    def match(self, test: Tensor) -> tuple[Tensor, Tensor]:
        """Clips with words among `test`, and how well their voice fits their words by a critic of training clips."""
        table, settings = self.table, self.settings.generator
        has = torch.nonzero(self.real.has_text).squeeze(1)
        at = test[table.has_text[test]]
        if len(has) < settings.batch or not len(at):
            return at[:0], torch.zeros(0)
        torch.manual_seed(self.seed)
        critic = Critic(self.h.shape[1], self.t.shape[1])
        optimiser = torch.optim.Adam(critic.parameters(), 1e-3, weight_decay=1e-3)
        for _ in range(settings.steps):
            rows = has[torch.randint(len(has), (settings.batch,))]
            loss = -info_nce(critic(self.real.h[rows], self.real.t[rows]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        order = at[torch.randperm(len(at))]
        with torch.no_grad():
            return order, torch.cat([pointwise(critic(self.h[part], self.t[part])) for part in order.split(256)])

    def _last(self, x: Tensor, of_test: Tensor, given: Tensor | None, made: Made | None) -> Tensor:
        extra = None if given is None or made is None else (given, made)
        last = train_last(x, self.real, self.mask, "made", self.settings.head, self.seed, extra)
        with torch.no_grad():
            return last(of_test)

    def _fit(self, critic: Critic, h: Tensor, label: Tensor, words: Tensor, has_words: Tensor) -> Tensor:
        return fits(critic, told(label, words, has_words), h)


def by_fold(table: Table, settings: Settings, seed: int) -> dict[str, Any]:
    """What all arms say of every clip when its speaker was kept apart, by one seed."""
    fold = folds_of(table.speaker.tolist(), settings.folds)
    logits = {arm: np.zeros((len(fold), table.mask.shape[1]), np.float32) for arm in ARMS}
    match = np.full(len(fold), np.nan, np.float32)
    information: dict[str, list[float]] = {}
    for held in range(settings.folds):
        test = torch.from_numpy(np.flatnonzero(fold == held))
        trained = Trained(table, np.flatnonzero(fold != held), settings, 100 * seed + held)
        said = {arm: trained.plain(arm, test) for arm in PLAIN}
        said |= trained.made((*MADE, GATED), test) | trained.paired(test)
        for arm, values in said.items():
            logits[arm][test.numpy()] = values.numpy()
        rows, fit = trained.match(test)
        match[rows.numpy()] = fit.numpy()
        for name, value in trained.information.items():
            information.setdefault(name, []).append(value)
        sys.stderr.write(f"seed {seed}, fold {held} done\n")
    names = list(information)
    return {
        **{f"logits|{arm}": values for arm, values in logits.items()},
        "match": match,
        "information names": np.array(names),
        "information": np.array([np.mean(information[name]) for name in names]),
    }


def by_corpus(table: Table, settings: Settings, seed: int) -> dict[str, Any]:
    """What some arms say of every clip when its corpus was kept from training, by one seed."""
    logits = {arm: np.zeros((len(table.label), table.mask.shape[1]), np.float32) for arm in LEFT_OUT_ARMS}
    corpus = table.corpus.numpy()
    for held, name in enumerate(table.corpora):
        test = torch.from_numpy(np.flatnonzero(corpus == held))
        trained = Trained(table, np.flatnonzero(corpus != held), settings, 100 * seed + held)
        said = {arm: trained.plain(arm, test) for arm in PLAIN if arm in LEFT_OUT_ARMS}
        said |= trained.made(LEFT_OUT_ARMS, test)
        for arm, values in said.items():
            logits[arm][test.numpy()] = values.numpy()
        sys.stderr.write(f"seed {seed}, {name} left out: done\n")
    return {f"logits|{arm}": values for arm, values in logits.items()}


@task(
    __doc__,
    data_option,
    work_option,
    config_option(RECIPE),
    set_option,
    click.option("--left-out", is_flag=True, help="Corpora kept from training in place of speakers."),
    click.option("--seed", "only", type=int, multiple=True, help="Only this seed; several processes may share them."),
)
def main(
    data: Path, work: Path, config: tuple[Path, ...], changes: tuple[str, ...], left_out: bool, only: tuple[int, ...]
) -> None:
    """Train and hear what is not done yet."""
    torch.set_num_threads(1)
    settings = read_recipe(config, Settings, changes)
    table = read_table(data, work)
    name, run, seeds = (
        ("left-out", by_corpus, settings.left_out_seeds) if left_out else ("folds", by_fold, settings.seeds)
    )
    for seed in only or range(seeds):
        place = work / "mi_augment" / f"{name}-{seed}.npz"
        if not place.exists():
            save(place, **run(table, settings, seed))
    if not only:
        (work / "mi_augment" / f"{name}.done").write_text(f"{seeds} seeds\n", encoding="utf-8")


if __name__ == "__main__":
    main()
