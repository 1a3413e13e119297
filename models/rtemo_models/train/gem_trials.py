"""Scores clips with a trained network: `python -m rtemo_models.train.gem_trials --net average.pt --fold K --out CSV`.

A trial is a clip, lengthened by further clips of the same voice and mood until it holds 4 s of speech where there are
any. Each is scored at 1, 2 and 4 s of speech and at its end, at full band and through a telephone, by every way of
mixing the experts; the columns are those of `bench.quality.spoof`.
"""

import argparse
import csv
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.data.augment import active_frames
from rtemo_models.data.progress import progress
from rtemo_models.data.rooms import telephone
from rtemo_models.data.spoof.cache import BandCache, bands_offline, open_corpus
from rtemo_models.data.spoof.clips import FOLDS, SpoofClip, in_report
from rtemo_models.data.spoof.gates import label_gate, open_gates
from rtemo_models.nets.gem import EXPERTS, Gem, load_gem, mixed, mixed_probability, save_gem
from rtemo_models.train.gem_recipe import read_gem_recipe

COLUMNS = ("clip", "system", "corpus", "speaker", "emotion", "fold", "band", "seconds", "label", "score", "arm")
SECONDS = ("1", "2", "4", "end")
ENOUGH_S = 4.2
MOST_CLIPS = 4

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Calibrated log-odds of each expert, gate and oracle gate, float32 [ends, 4] each → score float32 [ends]."""


@dataclass(slots=True)
class Trial:
    """What is scored: numbers of the clips that follow each other, and the name of the fold."""

    clips: list[int]
    fold: str


def random_gate(like: Tensor) -> Tensor:
    """A gate drawn at random, sharp as a recogniser's."""
    drawn = torch.rand(like.shape[-1]) ** 4
    return (drawn / drawn.sum()).expand_as(like)


def top1(gate: Tensor) -> Tensor:
    """The gate that trusts the likeliest expert only."""
    return torch.nn.functional.one_hot(gate.argmax(-1), gate.shape[-1]).to(gate.dtype)


MIXES: dict[str, Mix] = {
    "gem": lambda said, gate, oracle: mixed(said, gate),
    "posterior-mixing": lambda said, gate, oracle: mixed_probability(said, gate),
    "top1": lambda said, gate, oracle: mixed(said, top1(gate)),
    "uniform": lambda said, gate, oracle: mixed(said, torch.ones_like(gate)),
    "random": lambda said, gate, oracle: mixed(said, random_gate(gate)),
    "oracle": lambda said, gate, oracle: mixed(said, oracle),
}
"""Arm → how the same experts are mixed."""


def trials_of(corpus: BandCache, chosen: Iterable[SpoofClip], fold: str) -> list[Trial]:
    """A trial per clip, each followed by others of the same system, voice and mood while it is short."""
    names = {c.name for c in chosen}
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    seconds = np.diff(corpus.offsets) / 100
    for i, c in enumerate(corpus.clips):
        if c.name in names:
            groups[c.system, c.corpus, c.speaker, c.emotion, c.voice].append(i)
    trials = []
    for members in groups.values():
        for k in range(len(members)):
            order = [*members[k:], *members[:k]][:MOST_CLIPS]
            heard = np.cumsum(seconds[order])
            trials.append(Trial(order[: int(np.searchsorted(heard, ENOUGH_S)) + 1], fold))
    return trials


def heard(corpus: BandCache, trial: Trial, band: str) -> NDArray[np.float32]:
    """Bands of a trial, float32 [hops, band_count]."""
    if band == "full":
        return np.concatenate([corpus.bands(i) for i in trial.clips]).astype(np.float32)
    parts = [bands_offline(telephone(corpus.audio.samples(i))) for i in trial.clips]
    return np.concatenate(parts)


@torch.no_grad()
def said_of(net: Gem, bands: NDArray[np.float32], gates: NDArray[np.float32]) -> Iterator[tuple[str, Tensor, Tensor]]:
    """At each of `SECONDS`: calibrated log-odds of each expert and the gate, float32 [4] each."""
    steps = len(gates)
    x = torch.from_numpy(bands)[None]
    weight = active_frames(x).unflatten(1, (steps, -1))
    spoken_s = 0.01 * weight.sum(2)[0].cumsum(0)
    ends = [int(torch.searchsorted(spoken_s, float(s) - 1e-6)) for s in SECONDS[:-1]]
    ends = [min(e, steps - 1) for e in [*ends, steps - 1]]
    gate = torch.from_numpy(gates[ends])
    _, said = net(x.unflatten(1, (steps, -1)), weight, gate[None], ends)
    yield from zip(SECONDS, said[0], gate, strict=True)


def score(
    net: Gem,
    corpus: BandCache,
    gates: Sequence[NDArray[np.float32]],
    trials: Sequence[Trial],
    bands: Sequence[str] = ("full", "telephone"),
    mixes: dict[str, Mix] | None = None,
) -> list[dict[str, object]]:
    """Score trials; rows with the keys of `COLUMNS`."""
    rows: list[dict[str, object]] = []
    single = net.config.kind == "single"
    for trial in progress(trials, "trials"):
        clip = corpus.clips[trial.clips[0]]
        gate_of_trial = np.concatenate([gates[i] for i in trial.clips])
        known = label_gate(clip.emotion)
        about = {
            "clip": clip.name,
            "system": clip.system,
            "corpus": clip.corpus,
            "speaker": clip.speaker,
            "emotion": clip.emotion,
            "fold": trial.fold,
            "label": int(clip.is_synthetic),
        }
        for band in bands:
            for seconds, said, gate in said_of(net, heard(corpus, trial, band), gate_of_trial):
                oracle = gate if known is None else torch.from_numpy(known)
                torch.manual_seed(zlib.crc32(clip.name.encode()))
                arms = {"single": MIXES["gem"]} if single else (mixes or MIXES)
                for arm, mix in arms.items():
                    value = float(mix(said[None], gate[None], oracle[None])[0])
                    rows.append({**about, "band": band, "seconds": seconds, "score": round(value, 4), "arm": arm})
    return rows


def calibrate(
    net: Gem, corpus: BandCache, gates: Sequence[NDArray[np.float32]], trials: Sequence[Trial]
) -> dict[str, float]:
    """Fit each expert's slope and offset by logistic regression on what its gate gives it, classes weighed alike.

    The network's calibration is overwritten. Returns the slopes and offsets by name.
    """
    from sklearn.linear_model import LogisticRegression

    net.calibration[:] = torch.tensor([1.0, 0.0])
    said, share, label = [], [], []
    for trial in progress(trials, "calibration"):
        clip = corpus.clips[trial.clips[0]]
        gate_of_trial = np.concatenate([gates[i] for i in trial.clips])
        for band in ("full", "telephone"):
            for seconds, values, gate in said_of(net, heard(corpus, trial, band), gate_of_trial):
                if seconds in ("2", "4"):
                    said.append(values.numpy())
                    share.append(gate.numpy() + 0.02)
                    label.append(clip.is_synthetic)
    x, g, y = np.array(said), np.array(share), np.array(label)
    found: dict[str, float] = {}
    for k in range(len(net.out)):
        weight = g[:, k] if len(net.out) > 1 else np.ones(len(y))
        weight = weight / np.where(y, weight[y].sum(), weight[~y].sum())
        fit = LogisticRegression(C=1e3).fit(x[:, k : k + 1], y, weight * len(y))
        net.calibration[k] = torch.tensor([fit.coef_[0, 0], fit.intercept_[0]])
        found |= {f"{EXPERTS[k]}_slope": float(fit.coef_[0, 0]), f"{EXPERTS[k]}_offset": float(fit.intercept_[0])}
    return found


def seen_dev(clips: Sequence[SpoofClip], fold: int | None) -> list[SpoofClip]:
    """Dev clips of systems that were trained on: other voices, known systems."""
    return [c for c in clips if c.split == "dev" and (fold is None or c.fold != fold)]


def write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write trials as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", type=Path, required=True, help="average.pt of a run")
    parser.add_argument("--config", type=Path, required=True, help="recipe.toml")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--fold", type=int, choices=range(FOLDS), required=True, help="fold that the run did not see")
    parser.add_argument("--arm", help="name of the only arm, for a network that was trained another way")
    parser.add_argument("--out", type=Path, required=True, help="CSV of trials")
    options = parser.parse_args()
    torch.set_num_threads(1)
    corpus = open_corpus(options.data, options.work / "cache", read_gem_recipe(options.config).corpus)
    gates, net = open_gates(corpus), load_gem(options.net)
    seen = trials_of(corpus, seen_dev(corpus.clips, options.fold), f"seen-{options.fold}")
    print(calibrate(net, corpus, gates, seen))
    save_gem(net, options.net.with_name("calibrated.pt"))
    unseen = trials_of(corpus, in_report(corpus.clips, options.fold), str(options.fold))
    # Genuine dev speakers stand in both lists; their trials count as unseen, which they are.
    synthetic = [t for t in seen if corpus.clips[t.clips[0]].is_synthetic]
    mixes = {options.arm: MIXES["uniform" if options.arm == "trained-uniform" else "gem"]} if options.arm else None
    write(options.out, score(net, corpus, gates, [*unseen, *synthetic], mixes=mixes))
    print(f"{options.out}: {len(unseen)} trials unseen, {len(synthetic)} of systems that were seen")


if __name__ == "__main__":
    main()
