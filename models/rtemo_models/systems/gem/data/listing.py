"""Writes the corpus out as audio: `python -m rtemo_models.systems.gem.data.listing --work ... --out DIR`.

DIR gets a FLAC file per clip, `after.csv` that lists them and `before.csv` that lists the recordings they are from:
what `bench.quality.spoof.nuisance` compares. `after.csv` also does as a manifest of `bench.quality.spoof`; its column
`fold` says in which fold a clip is unseen, or, with `--fold K`, `seen` for what a run of that fold was trained on.
"""

import argparse
import csv
from pathlib import Path

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
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


def main() -> None:
    """Command line."""
    from rtemo_models.systems.gem.train.recipe import read_gem_recipe

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="recipe.toml")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--fold", type=int, choices=range(FOLDS), help="list for a run of this fold")
    parser.add_argument("--every", type=int, default=1, help="one clip of so many")
    options = parser.parse_args()
    corpus = open_corpus(options.data, options.work / "cache", read_gem_recipe(options.config).corpus)
    count = write_listing(corpus, options.data, options.out, options.fold, options.every)
    print(f"{options.out}: {count} clips")


if __name__ == "__main__":
    main()
