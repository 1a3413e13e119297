"""A corpus whose turns are chosen and wait for raters."""

from pathlib import Path

import numpy as np
import soundfile

from rtemo.corpus.recordings import Recording
from rtemo.corpus.retrieval import Pick
from rtemo.corpus.selection import SELECTION_FILE, Selection
from rtemo.corpus.settings import CorpusSettings, keep_settings
from rtemo.corpus.stages import Books, Gated, Written, encode
from rtemo.io.whole_file import write_whole


def chosen_corpus(folder: Path, turns: int = 4, seconds: float = 0.4) -> list[str]:
    """Write it, and name its turns."""
    keep_settings(folder, CorpusSettings())
    books = Books(folder)
    books.recordings.add(Recording(unit="0000", path="a.wav", below="a.wav", licence="CC0", source="a talk"))
    units = [f"0000_{number:04d}" for number in range(turns)]
    tone = 0.1 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * 16_000)) / 16_000)
    for number, unit in enumerate(units):
        books.gated.add(Gated(unit=unit, start=number * 64_000, end=number * 64_000 + 48_000, speaker=1))
        books.written.add(Written(unit=unit, text="and so on and on"))
        books.clip_path(unit).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(books.clip_path(unit), tone, 16_000)
    picks = [Pick(unit=unit, speaker=1, gender="Male", split="Train", target="sad") for unit in units]
    write_whole(folder / SELECTION_FILE, encode(Selection(picks=picks, splits={1: "Train"}, wanted=turns)))
    return units
