"""What one long file costs the corpus pipeline: `python -m bench.quality.corpus.long --work W [--hours 3]`.

Made-up voices, ten minutes over and over. Prints processor time and the most memory held, stage by stage. W is emptied.
"""

import argparse
import resource
import shutil
import time
from pathlib import Path

import numpy as np
import soundfile

import rtemo  # noqa: F401 - what it switches off must be off before models are loaded
from bench.quality.corpus.strung import RATE_HZ
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.pipeline import Pipeline
from rtemo.corpus.recordings import take_in
from rtemo.corpus.settings import CorpusSettings
from rtemo.corpus.stages import Books
from rtemo.io.sources.files import find_sound_files
from rtemo.testing.voice import voice


def main() -> None:
    """Write the file, take it in, find out who speaks when."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=3.0)
    arguments = parser.parse_args()
    shutil.rmtree(arguments.work, ignore_errors=True)
    place = arguments.work / "recordings"
    place.mkdir(parents=True)
    part = np.concatenate([voice(60.0, seed=seed) for seed in range(10)])
    with soundfile.SoundFile(place / "long.flac", "w", RATE_HZ, 1) as file:
        for _ in range(round(arguments.hours * 6)):
            file.write(part)
    del part
    books, models = Books(arguments.work / "corpus"), CorpusModels()
    pipeline = Pipeline(books, CorpusSettings(), models)
    assert models.finder
    assert models.embedder
    found = find_sound_files([place])
    for name, work in (
        ("recordings", lambda: take_in(books.folder, found, books.recordings, {}, may_analyse=lambda role: "")),
        ("diarise", pipeline.diarise),
        ("link, cut", lambda: (pipeline.link(), pipeline.cut())),
    ):
        busy_s = time.process_time()
        work()
        held_mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        print(f"{name:<12} {time.process_time() - busy_s:6.1f} s of processors, at most {held_mib} MiB", flush=True)


if __name__ == "__main__":
    main()
