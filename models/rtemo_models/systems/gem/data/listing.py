"""Writes the corpus out as audio: `python -m rtemo_models.systems.gem.data.listing --work ... --out DIR`.

DIR gets a FLAC file per clip, `after.csv` that lists them and `before.csv` that lists the recordings they are from:
what `bench.quality.spoof.nuisance` compares. `after.csv` also does as a manifest of `bench.quality.spoof`; its column
`fold` says in which fold a clip is unseen, or, with `--fold K`, `seen` for what a run of that fold was trained on.
"""

import csv
from pathlib import Path

import click

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.command import PATH, config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.gem.data.cache import TraceCache, open_corpus
from rtemo_models.systems.gem.data.clips import FOLDS, SpoofClip, in_training

COLUMNS = ("path", "label", "group", "system", "corpus", "speaker", "emotion", "split", "fold")


def row_of(clip: SpoofClip, path: str, fold: str) -> dict[str, str]:
    """A clip as a row."""
    return {
        "path": path,
        "label": str(int(clip.is_synthetic)),
        "group": clip.system or clip.corpus,
        "system": clip.system,
        "corpus": clip.corpus,
        "speaker": clip.speaker,
        "emotion": clip.emotion,
        "split": clip.split,
        "fold": fold,
    }


def write_listing(corpus: TraceCache, data_dir: Path, out: Path, fold: int | None, every: int = 1) -> int:
    """Write every so many clips and both lists; returns how many.

    Args:
        corpus: The corpus.
        data_dir: Folder of the recordings.
        out: Folder that is written.
        fold: Fold of the run that the list is for; None: for none.
        every: Take one clip of so many.
    """
    import soundfile

    out.mkdir(parents=True, exist_ok=True)
    trained = set() if fold is None else {c.name for c in in_training(corpus.clips, fold)}
    before, after = [], []
    for i in range(0, len(corpus), every):
        clip = corpus.clips[i]
        path = f"{i:05d}.flac"
        soundfile.write(out / path, corpus.audio.samples(i), SAMPLE_RATE_HZ, subtype="PCM_16")
        told = "seen" if clip.name in trained else str(clip.fold)
        after.append(row_of(clip, str((out / path).resolve()), told))
        if clip.source and not clip.twin:
            before.append(row_of(clip, str((data_dir / clip.source).resolve()), told))
    for name, rows in (("before", before), ("after", after)):
        with (out / f"{name}.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, COLUMNS)
            writer.writeheader()
            writer.writerows(rows)
    return len(after)


@task(
    __doc__,
    config_option(Path(__file__).parents[1] / "recipes" / "recipe.toml"),
    set_option,
    data_option,
    work_option,
    click.option("--out", type=PATH, required=True),
    click.option("--fold", type=click.IntRange(0, FOLDS - 1), help="List for a run of this fold."),
    click.option("--every", type=int, default=1, show_default=True, help="One clip of so many."),
)
def main(
    config: tuple[Path, ...], changes: tuple[str, ...], data: Path, work: Path, out: Path, fold: int | None, every: int
) -> None:
    """Command line."""
    from rtemo_models.systems.gem.train.recipe import GemRecipe

    corpus = open_corpus(data, work / "cache", read_recipe(config, GemRecipe, changes).corpus)
    count = write_listing(corpus, data, out, fold, every)
    print(f"{out}: {count} clips")


if __name__ == "__main__":
    main()
