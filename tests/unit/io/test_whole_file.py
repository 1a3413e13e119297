"""A file is there whole or not at all, and what stood in its place is kept until then."""

import os
import resource
import stat
from pathlib import Path

import pytest

from rtemo.io.whole_file import write_whole

pytestmark = pytest.mark.unit


@pytest.fixture
def no_room():
    """No file may be longer than 1,000 bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_without_room_the_file_before_stays_and_nothing_lies_beside_it(tmp_path, no_room):
    path = tmp_path / "report.html"
    path.write_bytes(b"before")
    with pytest.raises(OSError, match="too large"):
        write_whole(path, bytes(5_000))
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.html", "x" * 250])
def test_it_takes_the_place_of_what_was_there_for_its_owner_alone(tmp_path, name):
    path = tmp_path / name
    path.write_bytes(b"before, and longer")
    path.chmod(0o644)
    write_whole(path, b"after")
    assert path.read_bytes() == b"after"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_one(tmp_path):
    path, link = tmp_path / "a", tmp_path / "link"
    link.symlink_to(path)
    write_whole(link, b"after")
    assert link.is_symlink()
    assert path.read_bytes() == b"after"


def test_what_is_no_file_is_written_to_as_it_is():
    reader, writer = os.pipe()
    write_whole(Path(f"/dev/fd/{writer}"), b"through")
    os.close(writer)
    with open(reader, "rb") as pipe:
        assert pipe.read() == b"through"
