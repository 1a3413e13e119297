"""Transfer between languages, arm by arm: `python -m rtemo_models.systems.sapa.compare`.

For every direction and seed the network first learns the source alone; from there each arm goes on. Values are
standardised within each corpus, labels of the target are used for nothing but the score.
"""

import copy
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import click
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo_models.kit.command import config_option, data_option, set_option, task, work_option
from rtemo_models.kit.loop import descend
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.sapa.communities import communities
from rtemo_models.systems.sapa.data import chosen, language_of, read_heard
from rtemo_models.systems.sapa.net import MOST_TOKENS, Anchors, Batch, Net, Said, anchors_of, phone_loss, style_loss
from rtemo_models.systems.sapa.settings import CLASSES, RECIPE, Settings
from rtemo_models.systems.sapa.tokens import TOKENS


class Arm(msgspec.Struct, frozen=True):
    """What an arm does without, or otherwise."""

    speaker: bool = True
    phone: bool = True
    graph: str = "louvain"
    pseudo: bool = True
    """Whether clips of the target take part by labels that the network gives them, and are to be told surely."""
    merged: bool = False
    """Whether all phones count as one."""


ARMS = {
    "anchors off": Arm(speaker=False, phone=False),
    "both anchors": Arm(),
    "speaker only": Arm(phone=False),
    "phone only": Arm(speaker=False),
    "k-means": Arm(graph="kmeans"),
    "one community": Arm(graph="one"),
    "no pseudo-labels": Arm(pseudo=False),
    "source alone": Arm(speaker=False, phone=False, pseudo=False),
    "phones merged": Arm(merged=True),
}


class Table(NamedTuple):
    """All clips."""

    batch: Batch
    label: Tensor
    language: NDArray[np.str_]
    speaker: list[str]
    phones: int


def read_table(data: Path, work: Path, settings: Settings) -> Table:
    """Read what the steps before wrote; values are standardised within each corpus, no label used."""
    clips = chosen(data, settings)
    heard, _ = read_heard(work)
    corpus = np.array([clip.corpus for clip in clips])
    with np.load(work / TOKENS) as kept:
        kinds, vectors, offsets, phones = kept["kinds"], kept["vectors"], kept["offsets"], len(kept["signs"])
    of = np.repeat(corpus, np.diff(offsets))
    styles = heard.styles.copy()
    for name in set(corpus.tolist()):
        for values, rows in ((vectors, of == name), (styles, corpus == name)):
            part = values[rows]
            values[rows] = (part - part.mean(0)) / (part.std(0) + 1e-4)
    n = len(clips)
    tokens = np.zeros((n, MOST_TOKENS, vectors.shape[1]), np.float32)
    which = np.zeros((n, MOST_TOKENS), np.int64)
    for row in range(n):
        begin, count = offsets[row], min(MOST_TOKENS, int(offsets[row + 1] - offsets[row]))
        tokens[row, :count], which[row, :count] = vectors[begin : begin + count], kinds[begin : begin + count]
    return Table(
        Batch(torch.from_numpy(tokens), torch.from_numpy(which), torch.from_numpy(styles.astype(np.float32))),
        torch.tensor([CLASSES.index(clip.emotion) for clip in clips]),
        language_of(clips, settings),
        [f"{clip.corpus}/{clip.speaker}" for clip in clips],
        phones,
    )


class Direction:
    """One direction by one seed: the network after its first steps, and what each arm makes of it.

    Args:
        table: All clips.
        source: Language that is trained on.
        target: Language that is to be told.
        settings: Of the run.
        seed: Of everything that is drawn.
    """

    def __init__(self, table: Table, source: str, target: str, settings: Settings, seed: int) -> None:
        self.settings, self.seed, self.phones = settings, seed, table.phones
        rows = np.flatnonzero(np.isin(table.language, (source, target)))
        self.batch = table.batch.take(torch.from_numpy(rows))
        self.is_target = torch.from_numpy(table.language[rows] == target)
        self.label = table.label[rows]
        self.speaker = [table.speaker[row] for row in rows.tolist()]
        self.target_rows = rows[table.language[rows] == target]
        self.of_source = torch.nonzero(~self.is_target).squeeze(1)
        self.of_target = torch.nonzero(self.is_target).squeeze(1)
        counts = torch.bincount(self.label[self.of_source], minlength=len(CLASSES)).double()
        self.weights = 1 / counts[self.label[self.of_source]]
        torch.manual_seed(seed)
        self.first = Net(self.batch.tokens.shape[2], table.phones, settings.transfer)
        self._train(self.first, settings.transfer.first_steps, lambda said, drawn: torch.zeros(()))

    def run(self, arm: Arm) -> NDArray[np.float32]:
        """Logits of the clips of the target, by an arm."""
        settings = self.settings.transfer
        torch.manual_seed(1000 + self.seed)
        net = copy.deepcopy(self.first)
        batch = self.batch._replace(kinds=(self.batch.kinds > 0).long()) if arm.merged else self.batch
        label = torch.where(self.is_target, -1, self.label)
        if arm.pseudo:
            sure, guess = self._hear(net, batch).logits.softmax(1).max(1)
            label = torch.where(self.is_target & (sure >= settings.confidence), guess, label)
        community = torch.from_numpy(
            communities(
                self.batch.styles.numpy(), label.numpy(), self.speaker, self.settings.graph, arm.graph, self.seed
            )
        )
        anchors: list[Anchors] = []
        step = 0

        def more(said: Said, drawn: Tensor) -> Tensor:
            nonlocal step
            if (arm.speaker or arm.phone) and step % settings.refresh == 0:
                heard = self._hear(net, batch)
                anchors[:] = [anchors_of(heard, batch.kinds, label, community, self.is_target, self.phones)]
                net.train()
            step += 1
            loss = torch.zeros(())
            near = [(said, drawn)]
            if arm.pseudo:
                also = self.of_target[torch.randint(len(self.of_target), (len(drawn) // 2,))]
                of_target = net(batch.take(also))
                share = of_target.logits.softmax(1)
                loss = loss - settings.entropy_weight * (share * (share + 1e-8).log()).sum(1).mean()
                sure = label[also] >= 0
                near.append((Said(*(part[sure] for part in of_target)), also[sure]))
            if not (arm.speaker or arm.phone):
                return loss
            rows = torch.cat([of for _, of in near])
            if arm.speaker:
                styles = torch.cat([one.styles for one, _ in near])
                loss = loss + settings.speaker_weight * style_loss(
                    styles, label[rows], anchors[0], settings.temperature
                )
            if arm.phone:
                tokens = torch.cat([one.tokens for one, _ in near])
                loss = loss + settings.phone_weight * phone_loss(
                    tokens, batch.kinds[rows], label[rows], anchors[0], settings.temperature
                )
            return loss

        self._train(net, settings.steps, more, batch)
        return self._hear(net, batch).logits[self.of_target].numpy()

    def _train(self, net: Net, steps: int, more: Callable[[Said, Tensor], Tensor], batch: Batch | None = None) -> None:
        settings = self.settings.transfer
        batch = batch or self.batch
        optimiser = torch.optim.AdamW(net.parameters(), settings.rate, weight_decay=0.02)
        net.train()
        for _ in range(steps):
            drawn = self.of_source[torch.multinomial(self.weights, settings.batch, replacement=True)]
            said = net(batch.take(drawn))
            loss = nn.functional.cross_entropy(said.logits, self.label[drawn], label_smoothing=0.1) + more(said, drawn)
            descend(loss, optimiser, [net.parameters()], 5.0)
        net.eval()

    def _hear(self, net: Net, batch: Batch):
        net.eval()
        with torch.no_grad():
            return net(batch)


@task(
    __doc__,
    data_option,
    work_option,
    config_option(RECIPE),
    set_option,
    click.option("--seed", "only", type=int, multiple=True, help="Only this seed; several processes may share them."),
)
def main(data: Path, work: Path, config: tuple[Path, ...], changes: tuple[str, ...], only: tuple[int, ...]) -> None:
    """Train and hear what is not done yet."""
    torch.set_num_threads(1)
    settings = read_recipe(config, Settings, changes)
    table = read_table(data, work, settings)
    for source, target in settings.directions:
        for seed in only or range(settings.seeds):
            place = work / "sapa" / f"{source}-{target}-{seed}.npz"
            if place.exists():
                continue
            direction = Direction(table, source, target, settings, seed)
            said = {arm: direction.run(how) for arm, how in ARMS.items()}
            part = place.with_suffix(".part.npz")
            np.savez(part, rows=direction.target_rows, **said)
            part.replace(place)
            sys.stderr.write(f"{source} to {target}, seed {seed}: done\n")
    if not only:
        (work / "sapa" / "compare.done").write_text(json.dumps(list(ARMS)), encoding="utf-8")


if __name__ == "__main__":
    main()
