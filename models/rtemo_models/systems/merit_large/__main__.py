"""Trains the large listener: `python -m rtemo_models.systems.merit_large --data DATA --work WORK --out FOLDER`.

Features are cached in WORK, and a run that was stopped goes on there. With `--left-out` a table is printed in place of
a bundle: every corpus in turn is kept from training and scored, all its speakers. With `--folds` it is every speaker,
in one of four folds. With `--calls` calls are strung together of dev speakers, and what the stream's own mean is worth
is printed.
"""

import argparse
import dataclasses
import sys
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from rtemo.api.model import ModelCard
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.systems.merit_large.calls import MOODS, string, uar_by_turn
from rtemo_models.systems.merit_large.data import (
    WINDOW_SAMPLES,
    Chunk,
    Sounds,
    chunks_of,
    degraded,
    open_sounds,
    tightened,
)
from rtemo_models.systems.merit_large.export import Committee, listener_graph, make_card
from rtemo_models.systems.merit_large.features import BlockCache, export_encoder, open_blocks, open_encoder
from rtemo_models.systems.merit_large.folds import print_folds
from rtemo_models.systems.merit_large.heads import Heads
from rtemo_models.systems.merit_large.listener import Listener
from rtemo_models.systems.merit_large.net import load_encoder
from rtemo_models.systems.merit_large.train import Settings, Table, hear, train, uar
from rtemo_models.systems.merit_large.weights import WeightsError, read_packages, read_variables

VERSION = "0.1.0"
_FRAME_SAMPLES = 320


@dataclasses.dataclass(frozen=True, slots=True)
class Cached:
    """Chunks of all clips whose emotion is known, and their blocks."""

    clips: list[Clip]
    chunks: list[Chunk]
    clean: BlockCache
    degraded: list[BlockCache]
    """Of the training chunks in their order."""

    def rows(self, split: str) -> list[int]:
        """Chunks of a split."""
        return [k for k, chunk in enumerate(self.chunks) if self.clips[chunk.clip].split == split]

    def clip(self, chunk: int) -> Clip:
        """The clip of a chunk."""
        return self.clips[self.chunks[chunk].clip]

    def training(self, layers: tuple[int, ...]) -> Table:
        """All training chunks in all copies."""
        rows = self.rows("train")
        copies = [(self.clean, rows)] + [(copy, list(range(len(rows)))) for copy in self.degraded]
        return Table([self.clip(k) for k in rows], copies, layers)

    def everybody(self, layers: tuple[int, ...]) -> Table:
        """All chunks of all speakers; of those who are not trained on the undegraded copy alone."""
        place = {k: i for i, k in enumerate(self.rows("train"))}
        rows = list(range(len(self.chunks)))
        copies = [(self.clean, rows)] + [(copy, [place.get(k, -1) for k in rows]) for copy in self.degraded]
        return Table([self.clip(k) for k in rows], copies, layers)

    def whole(self, layers: tuple[int, ...], split: str) -> Table:
        """The last chunk of every clip with an emotion: what is said at its end."""
        last = {self.chunks[k].clip: k for k in self.rows(split)}
        rows = list(last.values())
        return Table([self.clip(k) for k in rows], [(self.clean, rows)], layers)


def cache(sounds: Sounds, work: Path, variables: dict[str, NDArray[Any]], copies: int) -> Cached:
    """Cut all clips whose emotion is known, and encode what has not been encoded yet."""
    encode = open_encoder(export_encoder(work / "encoder.onnx", variables))
    chunks = chunks_of(sounds, [i for i, clip in enumerate(sounds.clips) if clip.emotion])
    train_rows = [k for k, chunk in enumerate(chunks) if sounds.clips[chunk.clip].split == "train"]

    def cut(k: int) -> NDArray[np.float32]:
        return sounds.audio.samples(chunks[k].clip)[chunks[k].start_sample : chunks[k].end_sample]

    def spoilt(seed: int, k: int) -> NDArray[np.float32]:
        random = np.random.default_rng((seed, train_rows[k]))
        if seed % 2 == 0:
            return tightened(cut(train_rows[k]), random)
        return degraded(cut(train_rows[k]), random, sounds.noises["train"], sounds.rooms)

    clean = open_blocks(work / "clean", encode, len(chunks), cut)
    others = [
        open_blocks(work / f"degraded-{seed}", encode, len(train_rows), lambda k, seed=seed: spoilt(seed, k))
        for seed in range(1, copies + 1)
    ]
    return Cached(sounds.clips, chunks, clean, others)


def recalls(table: Table, heads: list[Heads], corpus: str) -> float:
    """UAR of a corpus over its own classes."""
    rows = table.corpus == corpus
    return uar(table.label[rows], hear(heads, table, None)["logits"][rows])


def left_out(cached: Cached, settings: Settings) -> None:
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
        word: [train(table, everyone, dataclasses.replace(settings, adapts=adapts), seed) for seed in (0, 1)]
        for word, adapts in (("left", False), ("taken off", True))
    }
    for moods in MOODS:
        turns = string(dev, moods, np.random.default_rng(5))
        for word, heads in arms.items():
            for corpus, entry in uar_by_turn(heads, dev, turns).items():
                cells = " | ".join(f"{value:.3f}" for value in entry.values())
                sys.stdout.write(f"| {moods} | {word} | {corpus} | {cells} |\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with emotion, clean, noise and rir")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is cached, about 2 GB")
    parser.add_argument("--out", type=Path, help="folder of the bundle")
    parser.add_argument("--recipe", type=Path, default=Path(__file__).with_name("recipe.toml"))
    parser.add_argument("--weights", type=Path, help="Whisper base as a model.bin; default: from its packages")
    parser.add_argument(
        "--scores", type=Path, help="what bench.quality.emotion.through_engine --out wrote, for the card"
    )
    parser.add_argument("--left-out", action="store_true", help="print the table of corpora left out")
    parser.add_argument("--folds", action="store_true", help="print the table of speakers held out, dev and others")
    parser.add_argument("--calls", action="store_true", help="print the table of strung-together calls")
    options = parser.parse_args()
    recipe = tomllib.loads(options.recipe.read_text(encoding="utf-8"))
    copies, seeds = int(recipe.pop("copies")), int(recipe.pop("seeds"))
    settings = Settings(**{**recipe, "layers": tuple(recipe["layers"])})
    torch.set_num_threads(1)
    try:
        data = options.weights.read_bytes() if options.weights else read_packages()
        variables = read_variables(data)
    except (WeightsError, OSError) as error:
        raise SystemExit(str(error)) from error
    cached = cache(open_sounds(options.data, options.work), options.work, variables, copies)
    if options.left_out:
        left_out(cached, settings)
    elif options.folds:
        print_folds(cached.everybody(settings.layers), settings)
    elif options.calls:
        compare_calls(cached, settings)
    else:
        table = cached.training(settings.layers)
        heads = [train(table, np.arange(len(table.clips)), settings, seed) for seed in range(seeds)]
        torch.save([h.state_dict() for h in heads], options.work / "heads.pt")
        dev = cached.whole(settings.layers, "dev")
        for corpus in sorted(set(dev.corpus.tolist())):
            sys.stdout.write(f"{corpus}: UAR of dev speakers, offline, {recalls(dev, heads, corpus):.3f}\n")
        if options.out:
            write(options.out, heads, variables, settings.layers, options.scores)


def write(
    out: Path, heads: list[Heads], variables: dict[str, NDArray[Any]], layers: tuple[int, ...], scores: Path | None
) -> ModelCard:
    """Write the bundle; calibration and scores come from a file of the bench."""
    frames = WINDOW_SAMPLES // _FRAME_SAMPLES
    encoder = load_encoder(variables, max(layers), frames)
    listener = Listener(encoder, layers, Committee(heads))
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
