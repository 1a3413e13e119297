"""A program for the tests: from recordings to a finished corpus; die without a word at a given place."""

import hashlib
import os
import signal
import sys
from pathlib import Path
from unittest import mock

import rtemo  # noqa: F401 - what it switches off must be off before models are loaded
from rtemo.api import SpokenText, Utterance
from rtemo.cli.corpus import recognise
from rtemo.config import load_config
from rtemo.corpus.export import export_corpus
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.page.desk import RatingDesk
from rtemo.corpus.pipeline import Pipeline
from rtemo.corpus.ratings import PRIMARY, Rating, ratings_of
from rtemo.corpus.recordings import take_in
from rtemo.corpus.selection import Selection, select
from rtemo.corpus.settings import CorpusSettings
from rtemo.corpus.stages import Books
from rtemo.io.sources.files import find_sound_files

SETTINGS = CorpusSettings()
TURNS = 12
RATERS = ("anna", "ben", "carla")
_TORN_BYTES = 9


class Doom:
    """Kills the program in a stage when something is about to be on disk for good: a line, or half a file, is torn.

    Args:
        stage: In which; empty for in none.
        after: How often something was put there in that stage before.
    """

    def __init__(self, stage: str = "", after: int = 0) -> None:
        self._stage = stage
        self._left = after
        self._now = ""

    def enter(self, stage: str) -> None:
        """Say which stage begins."""
        self._now = stage

    def arm(self) -> None:
        """Stand between the program and the disk."""
        sync, put = os.fsync, os.replace

        def fsync(number: int) -> None:
            if self._is_due():
                os.ftruncate(number, max(0, os.fstat(number).st_size - _TORN_BYTES))
                os.kill(os.getpid(), signal.SIGKILL)
            sync(number)

        def replace(part: Path, path: Path) -> None:
            if self._is_due():
                os.kill(os.getpid(), signal.SIGKILL)
            put(part, path)

        os.fsync, os.replace = fsync, replace

    def _is_due(self) -> bool:
        if self._now != self._stage:
            return False
        self._left -= 1
        return self._left < 0


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


def run(recordings: Path, work: Path, doom: Doom | None = None) -> Books:
    """Run the stages from recordings to words."""
    doom = doom or Doom()
    books = Books(work)
    doom.enter("recordings")
    take_in(work, find_sound_files([recordings]), books.recordings, {}, may_analyse=lambda role: "")
    pipeline = Pipeline(books, SETTINGS, Models())
    stages = {
        "diarise": pipeline.diarise,
        "link": pipeline.link,
        "cut": pipeline.cut,
        "gate": pipeline.gate,
        "words": pipeline.write_down,
    }
    for name, stage in stages.items():
        doom.enter(name)
        stage()
    return books


def finish(books: Books, out: Path, doom: Doom | None = None) -> Selection:
    """Have a recogniser speak of the turns, choose, have raters rate, and write the corpus."""
    doom = doom or Doom()
    doom.enter("recognise")
    chains = recognise.recognisers(load_config(None), ("merit",))
    with mock.patch.object(recognise, "_BATCH", 4):  # so that what is torn is not all there is
        recognise.ask_all(books, chains, lambda stage, done, total: None, sys.exit)
    doom.enter("select")
    selection = select(books, SETTINGS, TURNS)
    doom.enter("rate")
    desk = RatingDesk([pick.unit for pick in selection.picks], ratings_of(books.folder), 2, RATERS[:1])
    for rater in RATERS:
        while (task := desk.next(rater)).state == "rate":
            assert desk.take(rater, answer(rater, task.clip)) == ""
    doom.enter("export")
    ratings = ratings_of(books.folder)
    export_corpus(books, SETTINGS, selection, ratings, out, trusted=RATERS[:1], least_raters=2)
    return selection


def answer(rater: str, clip: str) -> Rating:
    """What a rater says of a turn, the same every time; all name the same emotion."""
    emotion = PRIMARY[hashlib.sha256(clip.encode()).digest()[0] % len(PRIMARY)]
    value = 1 + hashlib.sha256(f"{rater} {clip}".encode()).digest()[0] % 7
    return Rating(clip=clip, primary=emotion, valence=value, arousal=8 - value, dominance=4)


def main(recordings: str, work: str, out: str, stage: str, after: str) -> None:
    """Do all, and die on the way."""
    doom = Doom(stage, int(after))
    doom.arm()
    finish(run(Path(recordings), Path(work), doom), Path(out), doom)


if __name__ == "__main__":
    main(*sys.argv[1:])
