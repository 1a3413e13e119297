"""Scores clips with a trained network: `python -m rtemo_models.systems.gem.train.trials`.

First slope and offset are fitted on dev voices of systems that the run was trained on, and written to
`calibrated.pt` beside the network. Then what was unseen is scored by every way of mixing the experts; the columns are
those of `bench.quality.spoof`.
"""

import csv
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo.api import GATE_POWER
from rtemo_models.kit.command import PATH, config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.kit.run_folder import save_net
from rtemo_models.systems.gem.data.clips import FOLDS, SpoofClip, in_report, in_strict_report
from rtemo_models.systems.gem.data.gates import label_gate
from rtemo_models.systems.gem.data.trial_cache import SECONDS, Trials, open_trials
from rtemo_models.systems.gem.net import Gem, load_gem, mixed, mixed_probability
from rtemo_models.systems.gem.train.recipe import GemRecipe
from rtemo_models.systems.gem.train.run import prepare

COLUMNS = ("clip", "system", "corpus", "speaker", "emotion", "fold", "band", "seconds", "label", "score", "arm")

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Calibrated log-odds of each expert, gate and oracle gate, float32 [..., 4] each → score float32 [...]."""


def random_gate(like: Tensor) -> Tensor:
    """A gate drawn at random for a whole trial, sharp as a recogniser's."""
    drawn = torch.rand(like.shape[-1]) ** 4
    return (drawn / drawn.sum()).expand_as(like)


def sharp(gate: Tensor) -> Tensor:
    """The gate as the plugin mixes by it: its shares to the power `GATE_POWER`, scaled to sum to 1."""
    raised = gate**GATE_POWER
    return raised / raised.sum(-1, keepdim=True)


def top1(gate: Tensor) -> Tensor:
    """The gate that trusts the likeliest expert only."""
    return torch.nn.functional.one_hot(gate.argmax(-1), gate.shape[-1]).to(gate.dtype)


MIXES: dict[str, Mix] = {
    "gem": lambda said, gate, oracle: mixed(said, sharp(gate)),
    "not-sharpened": lambda said, gate, oracle: mixed(said, gate),
    "posterior-mixing": lambda said, gate, oracle: mixed_probability(said, sharp(gate)),
    "top1": lambda said, gate, oracle: mixed(said, top1(gate)),
    "uniform": lambda said, gate, oracle: mixed(said, torch.ones_like(gate)),
    "random": lambda said, gate, oracle: mixed(said, random_gate(gate)),
    "oracle": lambda said, gate, oracle: mixed(said, oracle),
}
"""Arm → how the same experts are mixed."""


def mixes_of(arm: str | None, net: Gem) -> dict[str, Mix]:
    """The ways of mixing that a network is scored by: all, or one under the name of an arm that is trained apart."""
    if arm is None and net.config.kind == "ensemble":
        return MIXES
    arm = arm or "single"
    kind = next((kind for kind in ("uniform", "random") if kind in arm), "gem")
    return {arm: MIXES[kind]}


@torch.no_grad()
def score(net: Gem, trials: Trials, places: Sequence[int], fold: str, mixes: dict[str, Mix]) -> list[dict[str, object]]:
    """Score trials; rows with the keys of `COLUMNS`."""
    rows: list[dict[str, object]] = []
    for k in places:
        clip = trials.clips[k]
        gate = torch.from_numpy(trials.gate[k])
        known = label_gate(clip.emotion)
        oracle = gate if known is None else torch.from_numpy(known).expand_as(gate)
        statistics = torch.from_numpy(trials.statistics[k].astype(np.float32))
        about = {
            "clip": clip.name,
            "system": clip.system,
            "corpus": clip.corpus,
            "speaker": clip.speaker,
            "emotion": clip.emotion,
            "fold": fold,
            "label": int(clip.is_synthetic),
        }
        for arm, mix in mixes.items():
            torch.manual_seed(zlib.crc32(clip.name.encode()))
            told = oracle if arm == "oracle" else gate
            said = net.calibrated(net.experts(statistics, told.expand(len(statistics), -1, -1)))
            for band, values in zip(trials.bands, said, strict=True):
                for seconds, value in zip(SECONDS, mix(values, gate, oracle), strict=True):
                    rows.append(
                        {**about, "band": band, "seconds": seconds, "score": round(float(value), 4), "arm": arm}
                    )
    return rows


@dataclass(frozen=True, slots=True)
class Said:
    """What experts say of trials, for calibration.

    Attributes:
        experts: float32 [rows, experts], not calibrated.
        gate: float32 [rows, 4], sharpened.
        is_synthetic: bool [rows].
    """

    experts: NDArray[np.float32]
    gate: NDArray[np.float32]
    is_synthetic: NDArray[np.bool_]


@torch.no_grad()
def said_of(net: Gem, trials: Trials, places: Sequence[int]) -> Said:
    """What a network's experts say of trials after 2 and 4 s of speech."""
    at = [SECONDS.index("2"), SECONDS.index("4")]
    statistics = torch.from_numpy(trials.statistics[list(places)][:, :, at].astype(np.float32))
    gate = torch.from_numpy(trials.gate[list(places)][:, None, at]).expand(*statistics.shape[:-1], 4)
    label = np.array([trials.clips[k].is_synthetic for k in places])
    experts = net.experts(statistics, gate).flatten(0, -2).numpy()
    return Said(experts, sharp(gate).flatten(0, -2).numpy(), np.repeat(label, len(experts) // len(label)))


def calibrate(net: Gem, trials: Trials, places: Sequence[int]) -> dict[str, float]:
    """Fit slope and offset on trials; the network's calibration is overwritten. Returns both."""
    return fit(net, [said_of(net, trials, places)])


def fit(net: Gem, told: Sequence[Said]) -> dict[str, float]:
    """Fit one slope and offset for all experts by logistic regression on the mixed log-odds, classes weighed alike.

    One for all: genuine and synthetic clips at hand differ in their emotions, and an offset for each expert would learn
    which emotions are the synthetic ones. The network's calibration is overwritten.

    Args:
        net: The network.
        told: What it says, or what networks say that were trained alike, of systems that they did not see.

    Returns:
        `slope` and `offset`.
    """
    score = np.concatenate([(t.experts * t.gate).sum(1) / t.gate.sum(1) for t in told])
    y = np.concatenate([t.is_synthetic for t in told])
    weight = len(y) / np.where(y, y.sum(), (~y).sum()) / 2
    slope, offset = logistic_fit(score, y, weight)
    net.calibration[:] = torch.tensor([slope, offset])
    return {"slope": slope, "offset": offset}


def logistic_fit(
    x: NDArray[np.float32], y: NDArray[np.bool_], weight: NDArray[np.float64], rounds: int = 30
) -> tuple[float, float]:
    """Slope and offset that turn scores into log-odds: weighed logistic regression by Newton's method."""
    design = np.stack([x.astype(np.float64), np.ones(len(x))], 1)
    found = np.array([1.0, 0.0])
    for _ in range(rounds):
        p = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        slope = design.T @ (weight * (y - p)) - 1e-3 * found
        curve = (design * (weight * p * (1 - p))[:, None]).T @ design + 1e-3 * np.eye(2)
        found = found + np.clip(np.linalg.solve(curve, slope), -1, 1)
    return float(found[0]), float(found[1])


def seen_dev(clips: Iterable[SpoofClip], fold: int | None) -> list[SpoofClip]:
    """Dev clips of systems that were trained on: other voices, known systems."""
    return [c for c in clips if c.split == "dev" and (fold is None or c.fold != fold)]


def write(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write trials as CSV."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


@task(
    __doc__,
    click.option("--net", "net_path", type=PATH, required=True, help="average.pt of a run."),
    config_option(Path(__file__).parents[1] / "recipes" / "recipe.toml"),
    set_option,
    data_option,
    work_option,
    click.option("--fold", type=click.IntRange(0, FOLDS - 1), required=True, help="Fold that the run did not see."),
    click.option("--strict", is_flag=True, help="Of a strict run: only what it did not see in any way."),
    click.option("--arm", help="Name of the only arm, for a network that was trained another way."),
    click.option("--out", type=PATH, required=True, help="CSV of trials."),
)
def main(
    net_path: Path,
    config: tuple[Path, ...],
    changes: tuple[str, ...],
    data: Path,
    work: Path,
    fold: int,
    strict: bool,
    arm: str | None,
    out: Path,
) -> None:
    """Command line."""
    torch.set_num_threads(1)
    made = prepare(read_recipe(config, GemRecipe, changes), data, work)
    net, clips = load_gem(net_path), made.corpus.clips
    trials = open_trials(work / "cache" / f"trials-{fold}.npz", made.corpus, made.gates, net.measures, [fold])
    unseen = trials.places((in_strict_report if strict else in_report)(clips, fold))
    seen = trials.places(seen_dev(clips, fold))
    if strict:  # calibrated on corpora that it knows, too
        seen = sorted(set(seen) - set(unseen))
    print(calibrate(net, trials, seen))
    save_net(net, net_path.with_name("calibrated.pt"))
    mixes = mixes_of(arm, net)
    # Genuine dev voices stand in both lists; their trials count as unseen, which they are.
    synthetic = [k for k in seen if trials.clips[k].is_synthetic]
    rows = score(net, trials, unseen, str(fold), mixes)
    write(out, rows + score(net, trials, synthetic, f"seen-{fold}", mixes))
    print(f"{out}: {len(unseen)} trials unseen, {len(synthetic)} of systems that were seen")


if __name__ == "__main__":
    main()
