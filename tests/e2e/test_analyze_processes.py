"""`rtemo analyze --processes`: several processes say what one says, whatever befalls one of them."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes.program import ROOT, call, start
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.e2e

CHAIN = ("--chain", "level,vad,prosody")
TIMES = ("epoch", "pub_seq", "t_pub_ms", "age_ms", "t_capture_ms")

POISON = """
import os, signal
import msgspec
from rtemo.api import PluginSpec

class Nothing(msgspec.Struct, frozen=True):
    pass

class Poison:
    options_type = Nothing
    spec = PluginSpec(name="poison", summary="Kills its process at a call of that name.")

    def __init__(self, options=None):
        pass

    def open(self, context, capacity):
        return self

    def process(self, block, emit):
        if any(stream.call == "poison" for stream in block.streams) and block.start_sample.max() > 16_000:
            os.kill(os.getpid(), signal.SIGKILL)

    def admit(self, row):
        pass

    def reset(self, row):
        pass

    def retire(self, row, last):
        pass
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sounds of different lengths, two of one name, one with two channels, and one that is none."""
    root = tmp_path_factory.mktemp("calls")
    (root / "deeper").mkdir()
    for number in range(4):
        write_sound(root / f"call{number}.wav", voice(3.0 + number, seed=number), RATE_HZ)
    write_sound(root / "deeper" / "call0.flac", np.stack([voice(4.0, seed=8), voice(4.0, seed=9)], axis=1), RATE_HZ)
    (root / "bad.wav").write_bytes(b"RIFF nonsense")
    return root


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sounds that take a while."""
    root = tmp_path_factory.mktemp("long")
    for number in range(2):
        write_sound(root / f"long{number}.wav", np.tile(voice(20.0, seed=number), 5), RATE_HZ)
    return root


def lines_of(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def events_of(path: Path, *, with_engine: bool = True) -> list[str]:
    """Events without their times, and without the engine's own state, in no order."""
    kept = []
    for event in lines_of(path):
        if event["kind"] == "health" or not (with_engine or event["call"]):
            continue
        event = {key: value for key, value in event.items() if key not in TIMES}
        if event["kind"] == "session_end":
            event.pop("stream_seq")  # as many health events as there was time for come before
        kept.append(json.dumps(event, sort_keys=True))
    return sorted(kept)


def workers_of(process_id: int) -> list[int]:
    """The processes that a process has started and that run."""
    tasks = Path(f"/proc/{process_id}/task").glob("*/children")
    return [int(word) for task in tasks for word in task.read_text().split()]


def when_heard(path: Path, count: int = 10) -> None:
    until_s = time.monotonic() + 60
    while time.monotonic() < until_s:
        if path.exists() and path.read_bytes().count(b'"call":"long') > count:
            return
        time.sleep(0.02)
    raise AssertionError("nothing was heard")


def has_ended(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return True
    return Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()[0] == "Z"


def test_two_processes_write_what_one_writes(capsys: Any, tmp_path: Path, folder: Path) -> None:
    found = []
    for count in (1, 2):
        out, events, enhanced = (tmp_path / f"{name}{count}" for name in ("out", "events", "enhanced"))
        where = ("--out", out, "--events", events, "--enhanced", enhanced)
        done = call(capsys, "analyze", folder, "--processes", count, *where, *CHAIN)
        assert done.code == 1
        assert "bad.wav is not audio" in done.complaint
        results = sorted(out.read_text().replace(str(enhanced), "").splitlines())
        audio = {path.relative_to(enhanced): path.read_bytes() for path in enhanced.rglob("*.wav")}
        found.append((results, events_of(events), audio))
        numbers = [event["pub_seq"] for event in lines_of(events)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len({event["epoch"] for event in lines_of(events)}) == 1
    alone, shared = found
    assert len(alone[0]) == 6
    assert shared[0] == alone[0]
    assert shared[1] == alone[1]
    assert len(shared[2]) == 5
    assert shared[2] == alone[2]


def test_files_of_a_process_that_is_killed_are_begun_again_and_nothing_is_lost(tmp_path: Path, long: Path) -> None:
    found = []
    for is_killed in (False, True):
        out, events = tmp_path / f"out{is_killed}", tmp_path / f"events{is_killed}"
        process = start("analyze", long, "--processes", 2, "--out", out, "--events", events, "--chain", "level,vad")
        if is_killed:
            when_heard(events)
            os.kill(workers_of(process.pid)[0], signal.SIGKILL)
        _, err = process.communicate(timeout=100)
        assert process.returncode == 0, err
        assert ("died (signal 9); 1 file is begun again" in err) == is_killed
        found.append((sorted(out.read_text().splitlines()), events_of(events, with_engine=False)))
    assert len(found[0][0]) == 2
    assert found[1] == found[0]
    [fault] = [event for event in lines_of(tmp_path / "eventsTrue") if event["kind"] == "fault"]
    assert fault["data"]["action"] == "retrying"


def test_a_file_that_kills_every_process_is_named_and_the_others_are_done(tmp_path: Path, folder: Path) -> None:
    plugin, sounds, events = tmp_path / "plugin", tmp_path / "sounds", tmp_path / "events"
    (plugin / "poison-1.dist-info").mkdir(parents=True)
    (plugin / "poison.py").write_text(POISON)
    (plugin / "poison-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: poison\nVersion: 1\n")
    (plugin / "poison-1.dist-info" / "entry_points.txt").write_text("[rtemo.plugins]\npoison = poison:Poison\n")
    sounds.mkdir()
    for name in ("fine", "good", "poison"):
        write_sound(sounds / f"{name}.wav", voice(4.0, seed=1), RATE_HZ)
    process = start(
        *("analyze", sounds, "--processes", 2, "--events", events, "--chain", "level,poison", "--quiet"),
        environment={"PYTHONPATH": str(plugin)},
    )
    out, err = process.communicate(timeout=100)
    assert process.returncode == 1, err
    assert sorted(Path(json.loads(line)["file"]).name for line in out.splitlines()) == ["fine.wav", "good.wav"]
    assert "poison.wav could not be analysed: process" in err
    assert "Traceback" not in err
    ends = {event["call"]: event["data"]["reason"] for event in lines_of(events) if event["kind"] == "stream_end"}
    assert ends == {"fine": "end_of_file", "good": "end_of_file", "poison": "process died"}


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_interrupting_ends_all_processes_with_the_status_of_the_signal(
    tmp_path: Path, long: Path, number: int, status: int
) -> None:
    events = tmp_path / "events"
    process = start("analyze", long, "--processes", 2, "--events", events, "--chain", "level,vad", "--quiet")
    when_heard(events)
    workers = workers_of(process.pid)
    process.send_signal(number)
    out, err = process.communicate(timeout=10)
    assert process.returncode == status
    assert err == ""
    assert {json.loads(line)["end"] for line in out.splitlines()} == {"interrupted"}
    assert len(workers) == 2
    assert all(has_ended(worker) for worker in workers)
    last = lines_of(events)[-1]
    assert (last["kind"], last["data"]["reason"]) == ("session_end", "interrupted")


def test_workers_end_when_the_crew_is_killed(tmp_path: Path, long: Path) -> None:
    events = tmp_path / "events"
    process = start("analyze", long, "--processes", 2, "--events", events, "--chain", "level,vad", "--quiet")
    when_heard(events)
    workers = workers_of(process.pid)
    process.kill()
    process.communicate(timeout=10)
    until_s = time.monotonic() + 5
    while time.monotonic() < until_s and not all(has_ended(worker) for worker in workers):
        time.sleep(0.05)
    assert all(has_ended(worker) for worker in workers)


def test_models_are_loaded_by_the_workers_alone(folder: Path) -> None:
    code = (
        "import sys\nfrom rtemo.cli.main import main\n"
        f"words = ['analyze', {str(folder / 'call0.wav')!r}, {str(folder / 'call1.wav')!r}, '--processes', '2']\n"
        "try:\n    main([*words, '--chain', 'level,vad', '--quiet'])\nexcept SystemExit as ended:\n"
        "    assert not ended.code\nassert 'onnxruntime' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2


def test_what_a_worker_cannot_begin_with_is_for_the_user_to_mend(capsys: Any, folder: Path) -> None:
    done = call(capsys, "analyze", folder / "call0.wav", folder / "call1.wav", "--processes", 2, "--chain", "nothing")
    assert done.code == 2
    assert "nothing" in done.complaint


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_results_that_cannot_be_written_end_the_batch(capsys: Any, folder: Path) -> None:
    files = (folder / "call0.wav", folder / "call1.wav")
    done = call(capsys, "analyze", *files, "--processes", 2, "--out", "/dev/full", "--chain", "level,vad")
    assert done.code == 2
    assert "/dev/full" in done.complaint
    assert "No space left" in done.complaint
