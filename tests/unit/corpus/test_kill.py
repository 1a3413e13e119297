"""Whatever is being put on disk when the program is killed, the same command ends with the same corpus."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from msgspec.structs import replace

pytest.importorskip("scipy", reason="the extra `corpus` is not installed")

from rtemo.corpus.ratings import ratings_of
from rtemo.corpus.selection import read_selection
from rtemo.corpus.stages import Books
from tests.fakes.corpus_recordings import write_recordings
from tests.unit.corpus.run_pipeline import finish, run

pytestmark = [
    pytest.mark.unit,
    pytest.mark.heavy,
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
    """A corpus that was made in one go: its folder, and what was written of it."""
    folder = tmp_path_factory.mktemp("whole")
    finish(run(recordings, folder / "work"), folder / "out")
    return folder


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
    books = Books(whole / "work")
    for name in LEDGERS:
        assert list(getattr(again, name)) == list(getattr(books, name)), name
    assert list(again.opinions_of("merit")) == list(books.opinions_of("merit"))
    assert read_selection(again.folder) == read_selection(books.folder)
    mine, theirs = ([replace(one, at="") for one in ratings_of(folder.folder)] for folder in (again, books))
    assert mine == theirs
    for name in ("clips", "audio"):
        assert files_of(again.folder / name) == files_of(books.folder / name)
    assert files_of(tmp_path / "out") == files_of(whole / "out")
    assert not list(tmp_path.rglob("*.part"))
