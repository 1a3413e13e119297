"""Trains the large listener: `python -m rtemo_models.systems.merit_large.run --data DATA --work WORK --out FOLDER`.

`bench.quality.emotion.windows` has written where the engine cuts the clips. Features are cached in WORK, and a run that
was stopped goes on there. With `--left-out` a table is printed in place of a bundle: every corpus in turn is kept from
training and scored, all its speakers. With `--folds` it is every speaker, in one of four folds. With `--calls` calls
are strung together of dev speakers, and what the stream's own mean is worth is printed.
"""

import sys
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api.model import ModelCard
from rtemo_models.kit.command import PATH, config_option, data_option, set_option, task, work_option
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.merit_large.branch import KEPT, Branch
from rtemo_models.systems.merit_large.cached import Cached, open_cached
from rtemo_models.systems.merit_large.calls import MOODS, string, uar_by_turn
from rtemo_models.systems.merit_large.data import WINDOW_SAMPLES, open_sounds
from rtemo_models.systems.merit_large.export import Committee, listener_graph, make_card, read_first
from rtemo_models.systems.merit_large.folds import print_folds
from rtemo_models.systems.merit_large.heads import Heads, restored
from rtemo_models.systems.merit_large.listener import Listener
from rtemo_models.systems.merit_large.low_rank import learnt
from rtemo_models.systems.merit_large.net import Layer, load_encoder
from rtemo_models.systems.merit_large.train import Settings, Table, hear, train, uar
from rtemo_models.systems.merit_large.tune import Tuning, hear_branch, tune
from rtemo_models.systems.merit_large.weights import read_packages, read_variables

RECIPE = Path(__file__).parent / "recipes" / "recipe.toml"
VERSION = "0.2.0"
_FRAME_SAMPLES = 320


def recalls(table: Table, heads: list[Heads], corpus: str) -> float:
    """UAR of a corpus over its own classes."""
    rows = table.corpus == corpus
    return uar(table.label[rows], hear(heads, table)["logits"][rows])


def open_heads(place: Path, cached: Cached, settings: Settings) -> list[Heads]:
    """Heads trained with these settings: those at `place`, if they are, else new ones, which are kept there."""
    told = msgspec.json.encode(settings).decode()
    if place.exists():
        kept = torch.load(place, weights_only=True)
        if kept["settings"] == told:
            return [restored(state) for state in kept["heads"]]
    table = cached.training(settings.layers)
    heads = [train(table, np.arange(len(table.clips)), settings, seed) for seed in range(settings.seeds)]
    torch.save({"settings": told, "heads": [head.state_dict() for head in heads]}, place)
    return heads


def open_branch(place: Path, cached: Cached, heads: Heads, layer: Layer, settings: Settings, tuning: Tuning) -> Branch:
    """The branch tuned with these settings: that at `place`, if it is, else a new one, which is kept there."""
    told = (msgspec.json.encode(settings) + msgspec.json.encode(tuning)).decode()
    if place.exists():
        kept = torch.load(place, weights_only=True)
        if kept["settings"] == told:
            branch = Branch(heads, layer, tuning.rank, tuning.experts)
            branch.load_state_dict({**branch.state_dict(), **kept["branch"]})
            return branch.eval()
    table = cached.training(settings.layers)
    branch = tune(table, np.arange(len(table.clips)), heads, layer, settings, tuning, 0)
    torch.save({"settings": told, "branch": learnt(branch)}, place)
    return branch


def print_left_out(cached: Cached, settings: Settings) -> None:
    """Print the UAR of every corpus that training never heard."""
    table = cached.training(settings.layers)
    scored = [cached.whole(settings.layers, split) for split in ("train", "dev")]
    sys.stdout.write("| corpus kept out | UAR on its training speakers | on its dev speakers |\n|---|---|---|\n")
    for corpus in sorted({c for c in table.corpus.tolist() if table.known[c]}):
        heads = [train(table, np.flatnonzero(table.corpus != corpus), settings, 0)]
        cells = [f"{recalls(t, heads, corpus):.3f}" if (t.corpus == corpus).any() else "" for t in scored]
        sys.stdout.write(f"| {corpus} | {cells[0]} | {cells[1]} |\n")
        sys.stdout.flush()


def compare_calls(cached: Cached, settings: Settings) -> None:
    """Print UAR by turn of strung-together calls, with the stream's mean taken off and without."""
    table, dev = cached.training(settings.layers), cached.whole(settings.layers, "dev")
    everyone = np.arange(len(table.clips))
    sys.stdout.write("| moods | mean | corpus | turn 1 | 2-3 | 4-7 | 8-16 |\n|---|---|---|---|---|---|---|\n")
    arms = {
        word: [train(table, everyone, msgspec.structs.replace(settings, adapts=adapts), seed) for seed in (0, 1)]
        for word, adapts in (("left", False), ("taken off", True))
    }
    for moods in MOODS:
        turns = string(dev, moods, np.random.default_rng(5))
        for word, heads in arms.items():
            for corpus, entry in uar_by_turn(heads, dev, turns).items():
                cells = " | ".join(f"{value:.3f}" for value in entry.values())
                sys.stdout.write(f"| {moods} | {word} | {corpus} | {cells} |\n")


@task(
    __doc__,
    config_option(RECIPE),
    set_option,
    data_option,
    work_option,
    click.option("--out", type=PATH, help="Folder of the bundle."),
    click.option("--weights", type=PATH, help="Whisper base as a model.bin; from its packages by default."),
    click.option("--beside", type=PATH, help="Folder of an older bundle whose first head goes on to speak."),
    click.option("--tune", "tune_recipe", type=PATH, help="Recipe of a layer to tune and of experts beside the heads."),
    click.option("--tune-set", multiple=True, metavar="NAME=VALUE", help="Change one setting of it."),
    click.option("--scores", type=PATH, help="What bench.quality.emotion.through_engine --out wrote, for the card."),
    click.option("--left-out", is_flag=True, help="Print the table of corpora left out."),
    click.option("--folds", is_flag=True, help="Print the table of speakers held out, dev and others."),
    click.option("--calls", is_flag=True, help="Print the table of strung-together calls."),
)
def main(
    config: tuple[Path, ...],
    changes: tuple[str, ...],
    data: Path,
    work: Path,
    out: Path | None,
    weights: Path | None,
    beside: Path | None,
    tune_recipe: Path | None,
    tune_set: tuple[str, ...],
    scores: Path | None,
    left_out: bool,
    folds: bool,
    calls: bool,
) -> None:
    """Train and write the bundle, or print a table."""
    settings = read_recipe(config, Settings, changes)
    torch.set_num_threads(1)
    variables = read_variables(weights.read_bytes() if weights else read_packages())
    tuning = read_recipe(tune_recipe, Tuning, tune_set) if tune_recipe else None
    cached = open_cached(open_sounds(data, work), work, variables, settings.copies, KEPT if tuning else ())
    if left_out:
        print_left_out(cached, settings)
    elif folds:
        print_folds(cached.everybody(settings.layers), settings)
    elif calls:
        compare_calls(cached, settings)
    else:
        heads = open_heads(work / "heads.pt", cached, settings)
        layer = load_encoder(variables, KEPT[-1]).layers[-1]
        branch = open_branch(work / "branch.pt", cached, heads[0], layer, settings, tuning) if tuning else None
        dev = cached.whole(settings.layers, "dev")
        rows = np.arange(len(dev.clips))
        logits = (hear_branch(branch, dev, rows) if branch else hear(heads, dev))["logits"]
        for corpus in sorted(set(dev.corpus.tolist())):
            of = dev.corpus == corpus
            click.echo(f"{corpus}: UAR of dev speakers, offline, {uar(dev.label[of], logits[of]):.3f}")
        if out:
            write(out, heads, variables, settings.layers, scores, beside, branch)


def write(
    out: Path,
    heads: list[Heads],
    variables: dict[str, NDArray[Any]],
    layers: tuple[int, ...],
    scores: Path | None,
    beside: Path | None,
    branch: Branch | None = None,
) -> ModelCard:
    """Write the bundle; calibration and scores come from a file of the bench, one head perhaps from a bundle.

    A branch takes the place of the heads; the one of the other bundle goes on to speak beside it.
    """
    frames = WINDOW_SAMPLES // _FRAME_SAMPLES
    encoder = load_encoder(variables, max(layers), frames)
    first = read_first(beside) if beside else None
    if branch is None:
        listener = Listener(encoder, layers, Committee(heads, first))
    else:
        listener = Listener(encoder, layers, Committee([first], layers=len(layers)) if first else None, branch)
    graph = listener_graph(listener, frames)
    found = msgspec.json.decode(scores.read_bytes()) if scores else {"scores": {}, "calibration": {}}
    flat = {
        condition: {
            f"{corpus}_uar{'' if when == 'end' else '_' + when}": entry[when]
            for corpus, entry in by.items()
            for when in ("2s", "end")
        }
        for condition, by in found["scores"].items()
    }
    card = make_card(listener, graph, frames, VERSION, found["calibration"], flat)
    write_folder(out, card, graph)
    sys.stdout.write(f"{out}: {len(graph) / 1e6:.1f} MB\n")
    return card


if __name__ == "__main__":
    main()
