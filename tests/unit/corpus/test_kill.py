"""Whatever is being put on disk when the program is killed, the same command ends with the same corpus."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

pytest.importorskip("scipy", reason="the extra `corpus` is not installed")

from rtemo.corpus.ratings import ratings_of
from rtemo.corpus.selection import SELECTION_FILE, read_selection
from rtemo.corpus.stages import Books
from tests.fakes.corpus_recordings import write_recordings
from tests.unit.corpus.run_pipeline import finish, run

pytestmark = [
    pytest.mark.unit,
    pytest.mark.long,  # one kill, of the command, is among the usual tests
    pytest.mark.timeout(300),
    pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL"),
]

ROOT = Path(__file__).parents[3]
PROGRAM = Path(__file__).with_name("run_pipeline.py")
LEDGERS = ("recordings", "diarised", "linked", "cut", "gated", "written")
KILLS = {
    "recordings": (10, 1),
    "diarise": (2,),
    "link": (3,),
    "cut": (1,),
    "gate": (9, 1, 2),
    "words": (1,),
    "recognise": (1,),
    "select": (0, 1),
    "rate": (5, 0),
    "export": (2, 9, 14, 17),
}
"""Stage → how many things it puts on disk before it is killed, each time anew."""


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    return write_recordings(tmp_path_factory.mktemp("in") / "recordings")


@pytest.fixture(scope="module")
def whole(recordings, tmp_path_factory):
    """A corpus that was made in one go."""
    books = run(recordings, tmp_path_factory.mktemp("whole") / "work")
    finish(books, tmp_path_factory.mktemp("out"))
    return books


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_program_that_is_killed_in_each_stage_ends_with_the_same_as_one_that_was_not(whole, recordings, tmp_path):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    for stage, places in KILLS.items():
        for after in places:
            words = [sys.executable, PROGRAM, recordings, tmp_path / "work", tmp_path / "out", stage, str(after)]
            killed = subprocess.run(words, env=environment, capture_output=True, timeout=100)
            assert killed.returncode == -signal.SIGKILL, f"{stage}: {killed.stderr.decode()}"
    again = run(recordings, tmp_path / "work")
    finish(again, tmp_path / "out")
    for name in LEDGERS:
        assert list(getattr(again, name)) == list(getattr(whole, name)), name
    for name in ("clips", "audio"):
        assert files_of(again.folder / name) == files_of(whole.folder / name)
    said, theirs = list(again.opinions_of("merit")), list(whole.opinions_of("merit"))
    assert [one.unit for one in said] == [one.unit for one in theirs]
    for mine, other in zip(said, theirs, strict=True):  # the last digits of a network hang on the load of the machine
        assert mine.probabilities == pytest.approx(other.probabilities, abs=1e-3)
    # So what comes after is held against what comes of the same opinions without a kill.
    shutil.copytree(again.folder, tmp_path / "twin")
    for name in (SELECTION_FILE, "ratings.jsonl"):
        (tmp_path / "twin" / name).unlink()
    twin = Books(tmp_path / "twin")
    finish(twin, tmp_path / "twin_out")
    assert read_selection(again.folder) == read_selection(twin.folder)
    rated = [[replace(one, at="") for one in ratings_of(books.folder)] for books in (again, twin)]
    assert rated[0] == rated[1]
    assert files_of(tmp_path / "out") == files_of(tmp_path / "twin_out")
    assert not list(tmp_path.rglob("*.part"))
