"""A program for the tests: take recordings in and run the stages; die without a word at a given place."""

import os
import signal
import sys
from pathlib import Path

import rtemo  # noqa: F401 - what it switches off must be off before models are loaded
from rtemo.api import SpokenText, Utterance
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.pipeline import Pipeline
from rtemo.corpus.recordings import take_in
from rtemo.corpus.settings import CorpusSettings
from rtemo.corpus.stages import Books
from rtemo.io.sources.files import find_sound_files


class Reader:
    """Reads the same into everything."""

    def transcribe(self, windows, **how):
        part = Utterance(
            text="so this is what they said",
            start_s=0.0,
            end_s=1.0,
            words=(),
            no_speech=0.0,
            mean_log_probability=0.0,
            compression=1.0,
        )
        return [SpokenText(language="en", language_probability=1.0, utterances=(part,)) for _ in windows]


class Models(CorpusModels):
    """The real networks, but for the one that reads."""

    writer = Reader()


def run(recordings: Path, work: Path, die_at: str = "", after: int = 0) -> Books:
    """Run all stages; with `die_at`, be killed when that stage has done so many."""

    def watch(stage: str, done: int, total: int) -> None:
        if stage == die_at and done >= after:
            os.kill(os.getpid(), signal.SIGKILL)

    books = Books(work)
    take_in(work, find_sound_files([recordings]), books.recordings, {}, may_analyse=lambda role: "", on_progress=watch)
    Pipeline(books, CorpusSettings(), Models(), watch).run()
    return books


if __name__ == "__main__":
    run(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
