"""Print what the corpus pipeline does with recordings whose speakers, moods and cuts are known, and what it costs.

    python -m bench.quality.corpus --data D --work W [--minutes 30] [--split dev]

The recordings are those of `bench.quality.corpus.record`. Nothing is chosen here: the thresholds stand in
`rtemo.corpus.settings`. W is emptied first. From there to a finished corpus by the commands that everybody has:
`python -m rtemo_models run corpus --data D --work W`.
"""

import argparse
import shutil
import time
from collections.abc import Callable
from functools import partial

import rtemo  # noqa: F401 - what it switches off must be off before models are loaded
from bench.quality.corpus.record import add_arguments, folder_of, record
from bench.quality.corpus.report import report
from rtemo.cli.corpus.recognise import ask_all, recognisers
from rtemo.config import load_config
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.pipeline import Pipeline
from rtemo.corpus.recordings import take_in
from rtemo.corpus.selection import select
from rtemo.corpus.settings import CorpusSettings
from rtemo.corpus.stages import Books
from rtemo.io.sources.files import find_sound_files

_EVERY = 10_000


def main() -> None:
    """String recordings, run the pipeline, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_arguments(parser)
    parser.add_argument("--no-words", action="store_true", help="leave out the transcript")
    told = parser.parse_args()
    shutil.rmtree(told.work, ignore_errors=True)
    record(told.data, told.work, told.split, told.minutes, told.seed)
    books = Books(told.work / "work")
    settings = CorpusSettings(least_words=0)
    files = find_sound_files([folder_of(told.work)])
    times: dict[str, tuple[float, float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        wall_s, busy_s = time.perf_counter(), time.process_time()
        work()
        times[name] = time.perf_counter() - wall_s, time.process_time() - busy_s

    models = CorpusModels()
    pipeline = Pipeline(books, settings, models, say=print)
    timed("recordings", lambda: take_in(books.folder, files, books.recordings, {}, may_analyse=lambda role: ""))
    timed("models", lambda: (models.finder, models.embedder))
    timed("diarise", pipeline.diarise)
    timed("link, cut", lambda: (pipeline.link(), pipeline.cut()))
    timed("gate", pipeline.gate)
    if not told.no_words:
        timed("words", pipeline.write_down)
    for name, config in recognisers(load_config(None), ()).items():
        timed(f"recognise: {name}", partial(ask_all, books, {name: config}, lambda stage, done, total: None, print))
    select(books, settings, _EVERY)
    for line in (*_times(times, books), "", *report(told.work, told.seed).lines):
        print(line)


def _times(times: dict[str, tuple[float, float]], books: Books) -> list[str]:
    hours = sum(entry.duration_s for entry in books.recordings.kept) / 3600
    rows = [f"| {name} | {wall_s / hours:.0f} | {busy_s / hours:.0f} |" for name, (wall_s, busy_s) in times.items()]
    wall_s, busy_s = (sum(column) / hours for column in zip(*times.values(), strict=True))
    return [
        f"{hours * 60:.1f} minutes of recordings; seconds for an hour of them, on the clock and of processors:",
        "",
        "| stage | clock | processors |",
        "|---|---|---|",
        *rows,
        f"| all | {wall_s:.0f} | {busy_s:.0f} |",
    ]


if __name__ == "__main__":
    main()
