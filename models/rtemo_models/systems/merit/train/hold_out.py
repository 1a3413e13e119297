"""What generalises: `python -m rtemo_models.systems.merit.train.hold_out --data DIR --work DIR`.

Small heads on the frozen speech encoder's statistics (the opinions' input) are trained in seconds, so choices that a
network would need an hour each to judge are judged on them: every corpus is left out in turn and heard after. Prints
the unweighted average recall on the dev speakers of the corpus that was left out, over its own classes, mean of the
seeds; and, for the question whether one model over all corpora loses against one per corpus, both on unseen speakers.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo.api import EMOTIONS
from rtemo_models.kit.command import PATH, data_option, task, work_option
from rtemo_models.kit.metrics import recalls
from rtemo_models.systems.merit.data.batches import Sampler, Targets
from rtemo_models.systems.merit.data.taught import Taught, open_taught
from rtemo_models.systems.merit.train.losses import accepted_cross_entropy, masked_cross_entropy
from rtemo_models.systems.merit.train.opinions import statistics

CORPORA = ("ravdess", "nemo", "ased", "rakshak")
SHARES = {"ravdess": 0.2, "nemo": 0.2, "ased": 0.15, "rakshak": 0.13, "tess": 0.09, "clean": 0.13}
STEPS, BATCH = 1200, 128


@dataclass(frozen=True)
class Choice:
    """One way to train a head."""

    masked: bool = True
    """The loss knows which classes a corpus has; otherwise all eight compete."""
    balanced: bool = True
    """Corpora and classes in balance; otherwise clips as they come."""
    smoothing: float = 0.1
    speeds: bool = True
    """Slower and faster playback as further voices."""
    adversary: float = 0.0
    """Weight of a classifier of corpora behind a reversed gradient (Ganin et al. 2016, arXiv:1505.07818)."""
    contrast: float = 0.0
    """Weight of the supervised contrastive loss (Khosla et al. 2020, arXiv:2004.11362) over corpora."""
    standardise: bool = False
    """Statistics standardised within each corpus (without labels)."""


CHOICES = {
    "base": Choice(),
    "no class mask": Choice(masked=False),
    "as they come": Choice(balanced=False),
    "no smoothing": Choice(smoothing=0.0),
    "no other speeds": Choice(speeds=False),
    "adversary": Choice(adversary=0.3),
    "contrast": Choice(contrast=0.3),
    "standardised per corpus": Choice(standardise=True),
}


class Reversed(torch.autograd.Function):
    """The identity, with the gradient reversed."""

    @staticmethod
    def forward(ctx: object, x: Tensor) -> Tensor:
        """Pass on."""
        return x.view_as(x)

    @staticmethod
    def backward(ctx: object, grad: Tensor) -> Tensor:
        """Turn round."""
        return -grad


def contrastive(hidden: Tensor, label: Tensor, temperature: float = 0.2) -> Tensor:
    """Clips of one emotion together, of others apart, whatever their corpus."""
    rows = label >= 0
    if rows.sum() < 4:
        return hidden.sum() * 0
    z = F.normalize(hidden[rows], dim=1)
    same = (label[rows][:, None] == label[rows][None]).float().fill_diagonal_(0)
    logits = (z @ z.T / temperature).fill_diagonal_(-1e4)
    log_p = F.log_softmax(logits, 1)
    return -((log_p * same).sum(1) / same.sum(1).clamp_min(1)).mean()


def train(
    caches: Taught, x: dict[str, Tensor], rows: list[int], choice: Choice, seed: int
) -> Callable[[Tensor], Tensor]:
    """Train a head on the clips in `rows`; returns statistics → logits."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    width = x["normal"].shape[1]
    body = nn.Sequential(nn.Dropout(0.2), nn.Linear(width, 256), nn.ReLU(), nn.Dropout(0.5))
    head, judge = nn.Linear(256, len(EMOTIONS)), nn.Linear(256, len(SHARES))
    parameters = [*body.parameters(), *head.parameters(), *judge.parameters()]
    optimiser = torch.optim.AdamW(parameters, 1e-3, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS, 1e-5)
    sampler, targets = Sampler(caches.clips, rows, SHARES), Targets(caches.clips)
    corpora = list(SHARES)
    home = np.array([corpora.index(c.corpus) if c.corpus in corpora else corpora.index("clean") for c in caches.clips])
    speeds = list(x) if choice.speeds else ["normal"]
    for _ in range(STEPS):
        drawn = sampler.draw(BATCH, random) if choice.balanced else random.choice(rows, BATCH)
        hidden = body(x[speeds[random.integers(len(speeds))]][drawn])
        logits = head(hidden)[:, None]
        label, allowed = torch.from_numpy(targets.label[drawn]), torch.from_numpy(targets.allowed[drawn])
        if not choice.masked:
            allowed = allowed | (label >= 0)[:, None]
        loss = masked_cross_entropy(logits, label, allowed, choice.smoothing)
        loss = loss + 0.15 * accepted_cross_entropy(logits, torch.from_numpy(targets.accepted[drawn]))
        if choice.adversary:
            said = judge(Reversed.apply(hidden))
            loss = loss + choice.adversary * F.cross_entropy(said, torch.from_numpy(home[drawn]))
        if choice.contrast:
            loss = loss + choice.contrast * contrastive(hidden, label)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
    body.eval()
    return lambda values: head(body(values))


def on_dev(caches: Taught, said: Tensor) -> dict[str, float]:
    """Recall of each corpus on its dev speakers; said float32 [clips, 8]."""
    dev = [i for i, c in enumerate(caches.clips) if c.split == "dev"]
    return recalls(caches.clips, dev, said[dev].numpy())


@task(
    __doc__,
    data_option,
    work_option,
    click.option("--teacher", "teacher_path", type=PATH),
    click.option("--seeds", type=int, default=3, show_default=True),
    click.option("--out", type=PATH, help="Default: WORK/hold_out.json."),
)
def main(data: Path, work: Path, teacher_path: Path | None, seeds: int, out: Path | None) -> None:
    """Command line."""
    torch.set_num_threads(1)
    caches = open_taught(data, work / "cache", teacher_path)
    plain = {speed: statistics(teacher, len(caches.clips)) for speed, teacher in caches.teachers.items()}
    trained = [i for i, c in enumerate(caches.clips) if c.split == "train" and c.corpus != "baved"]
    mean, deviation = plain["normal"][trained].mean(0), plain["normal"][trained].std(0) + 1e-3
    x = {speed: torch.from_numpy((values - mean) / deviation) for speed, values in plain.items()}
    own = {speed: torch.from_numpy(within_corpora(caches, values)) for speed, values in plain.items()}
    found: dict[str, dict[str, float]] = {}
    for name, choice in CHOICES.items():
        inputs = own if choice.standardise else x
        for corpus in CORPORA:
            rows = [i for i in trained if caches.clips[i].corpus != corpus]
            scores = []
            for seed in range(seeds):
                head = train(caches, inputs, rows, choice, seed)
                with torch.no_grad():
                    said = head(inputs["normal"])
                scores.append(on_dev(caches, said)[corpus])
            found.setdefault(name, {})[corpus] = round(float(np.mean(scores)), 3)
        found[name]["mean"] = round(float(np.mean(list(found[name].values()))), 3)
        print(name, found[name], flush=True)
    sides: dict[str, dict[str, float]] = {"one over all corpora": {}, "one per corpus": {}}
    for corpus in CORPORA:
        alone = [i for i in trained if caches.clips[i].corpus == corpus]
        for side, rows in (("one over all corpora", trained), ("one per corpus", alone)):
            scores = []
            for seed in range(seeds):
                head = train(caches, x, rows, Choice(), seed)
                with torch.no_grad():
                    said = head(x["normal"])
                scores.append(on_dev(caches, said)[corpus])
            sides[side][corpus] = round(float(np.mean(scores)), 3)
    print(json.dumps(sides, indent=1))
    result = {"left out": found, "unseen speakers": sides}
    (out or work / "hold_out.json").write_text(json.dumps(result, indent=1))


def within_corpora(caches: Taught, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Statistics with each corpus' own mean and deviation taken off."""
    out = np.empty_like(values)
    corpora = np.array([c.corpus for c in caches.clips])
    for corpus in np.unique(corpora):
        rows = corpora == corpus
        out[rows] = (values[rows] - values[rows].mean(0)) / (values[rows].std(0) + 1e-3)
    return out


if __name__ == "__main__":
    main()
