"""The tables of all clips in all views: `python -m rtemo_models.systems.gem_large.tables --data DATA --work WORK`."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from rtemo_models.kit.audio.cache import open_audio
from rtemo_models.kit.command import data_option, task, work_option
from rtemo_models.systems.gem_large.clips import SpoofClip, copies, corpus_clips, page_clips, said_clips
from rtemo_models.systems.gem_large.features import Encoder, Samples, Table, open_table
from rtemo_models.systems.gem_large.sounds import View, read

_ALL = ("plain", "telephone", "drawn-1", "drawn-2")
SAID = "said"
"""Set of what synthesisers at hand have said, and its folder under the work folder."""
SETS = {"pages": _ALL, SAID: _ALL, "copies": ("drawn-1",), "corpora": ("drawn-1",)}
"""Set of clips → the views they are heard in."""
TAUGHT = ("pages", SAID)


@dataclass(frozen=True, slots=True)
class Heard:
    """A set of clips and its tables."""

    clips: list[SpoofClip]
    views: dict[str, Table]


def listed(data: Path, work: Path) -> dict[str, list[SpoofClip]]:
    """The clips of every set: of pages; said; copies of pages' genuine ones; of corpora, with a copy each."""
    pages, corpora = page_clips(data), corpus_clips(data)
    return {
        "pages": pages,
        SAID: said_clips(work / SAID),
        "copies": copies(pages, 1),
        "corpora": corpora + copies(corpora, 1),
    }


def read_noises(data: Path, work: Path, split: str = "train") -> list[Samples]:
    """Noise recordings of a split."""
    with (data / "noise" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        paths = [row["path"] for row in csv.DictReader(file) if row["split"] == split]
    audio = open_audio(work / "noise", data, paths)
    return [audio.samples(k) for k in range(len(paths))]


def open_tables(data: Path, work: Path, sets: Sequence[str] = TAUGHT) -> dict[str, Heard]:
    """Some sets in all their views, made first where they are not there.

    Raises:
        ValueError: There is no such set.
    """
    if unknown := set(sets) - SETS.keys():
        raise ValueError(f"there is no set of clips {unknown.pop()!r}: choose of {', '.join(SETS)}")
    noises = read_noises(data, work)
    heard = {}
    for name, clips in listed(data, work).items():
        if name not in sets or not clips:
            continue
        folder = work / SAID if name == SAID else data
        views = {}
        for view in SETS[name]:
            hear = View(view, noises)

            def sound(k: int, hear: View = hear, clips: list[SpoofClip] = clips, folder: Path = folder) -> Samples:
                return np.asarray(hear(read(folder, clips[k]), clips[k]), np.float32)

            views[view] = open_table(work / f"{name}-{view}", Encoder, [c.key for c in clips], sound)
        heard[name] = Heard(clips, views)
    return heard


@task(__doc__, data_option, work_option, click.option("--sets", multiple=True, default=TAUGHT, help="Sets of clips."))
def main(data: Path, work: Path, sets: tuple[str, ...]) -> None:
    """Hear every clip in every view, where that was not done yet."""
    open_tables(data, work, sets)


if __name__ == "__main__":
    main()
