import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import soundfile

import rtemo
from rtemo.dsp import kernel_cache
from rtemo.io.sources.file import FileSource
from rtemo.side_compiler import processors
from tests.e2e.test_cli_serve import free_port
from tests.fakes.program import ROOT, start

pytestmark = pytest.mark.e2e

LEVEL = ("--chain", "level")


def warm(cache: Path | str, *arguments: str) -> tuple[int, str, str]:
    process = start("warm", *LEVEL, *arguments, environment={"NUMBA_CACHE_DIR": str(cache)})
    out, err = process.communicate(timeout=100)
    return process.returncode, out, err


def test_what_was_warmed_is_read_from_the_folder_that_was_copied_along(tmp_path):
    code, first, err = warm(tmp_path / "built")
    assert code == 0
    compiled = int(re.search(r"(\d+) compiled, 0 from the cache", first)[1])
    assert compiled > 10
    assert f"kept in {tmp_path / 'built' / 'rtemo-kernels'}" in first
    assert err.splitlines()[0].startswith("rtemo: compiling kernels, once: 0 of ")
    assert re.fullmatch(rf"rtemo: {compiled} kernels ready in \d+ s", err.splitlines()[-1])
    (tmp_path / "built").rename(tmp_path / "copied")
    code, second, err = warm(tmp_path / "copied")
    assert code == 0
    assert second.startswith(f"{compiled} kernels ready in ")
    assert " 0 compiled" in second
    assert err == ""


def test_a_folder_that_cannot_be_written_is_said_and_fails():
    code, out, err = warm("/dev/null/kernels", "--quiet")
    assert code == 1
    assert "0 from the cache; no cache: /dev/null/kernels/rtemo-kernels cannot be written" in out
    assert err.splitlines()[-1] == (
        "rtemo: ! kernels are not kept; set NUMBA_CACHE_DIR to a folder that this user can write"
    )


@pytest.mark.skipif(processors() < 2, reason="there is nobody to compile beside")
def test_side_compilers_leave_nothing_of_the_chain_to_compile(tmp_path):
    code = """
import sys
from rtemo.config import Config
from rtemo.side_compiler import SideCompilers
names = set()
beside = SideCompilers(Config(chain=("level",)), names.update)
for process in beside._processes:
    process.wait()
print(len(names))
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 5
    watched = """
import rtemo
from rtemo.dsp import kernel_cache
seen = []
kernel_cache.watchers.append(lambda names, step: seen.append((step, sorted(names))))
told = []
with rtemo.Session(rtemo.Config(chain=("level",)), on_progress=told.append):
    pass
print([names for step, names in seen if step == "compiled"], told)
"""
    done = subprocess.run([sys.executable, "-c", watched], env=environment, capture_output=True, text=True, timeout=100)
    assert done.stdout == "[] []\n", done.stderr


def test_nothing_is_compiled_or_loaded_after_the_session_has_begun(tmp_path):
    steps = []
    audio, rate_hz = soundfile.read(ROOT / "examples" / "call.flac", stop=15 * 8_000)  # some turns of all three
    soundfile.write(tmp_path / "call.wav", audio, rate_hz)
    session = rtemo.Session(sources=[FileSource(tmp_path / "call.wav")], mode="freewheel")
    session.start()
    try:
        kernel_cache.watchers.append(lambda names, step: steps.append((step, sorted(names))))
        assert session.wait(60)
    finally:
        kernel_cache.watchers.pop()
        session.stop()
    assert steps == []


def demo(tmp_path: Path, listen: str) -> "subprocess.CompletedProcess[str]":
    """Run the demo at full speed, with `listen` as the words after `rtemo listen FILE`."""
    rtemo_command = tmp_path / "rtemo"
    run = f'"{sys.executable}" -m rtemo.cli.main'
    rtemo_command.write_text(
        f'#!/bin/sh\nif [ "$1" = listen ]; then exec {run} listen "$2" --fast --plain {listen}; fi\nexec {run} "$@"\n'
    )
    rtemo_command.chmod(0o755)
    endpoint = f"tcp://127.0.0.1:{free_port()}"
    return subprocess.run(
        [ROOT / "tools" / "demo.sh", rtemo_command, endpoint],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_the_demo_shows_what_its_subscriber_received(tmp_path):
    done = demo(tmp_path, '--publish "$6"')
    assert done.returncode == 0, done.stderr
    assert int(re.search(r"received (\d+) events", done.stdout)[1]) > 100
    assert re.fullmatch(r"  call/[012] at \d+ ms: [a-z]+", done.stdout.splitlines()[-1])
    assert '"kind"' not in done.stdout


def test_the_demo_fails_when_its_subscriber_received_nothing(tmp_path):
    done = demo(tmp_path, "--chain level")
    assert done.returncode == 1
    assert "received nothing" in done.stderr


def test_a_program_warms_up_ahead_in_a_thread_and_is_told_how_far_it_is(tmp_path):
    code = """
import threading
import rtemo
config, told, done = rtemo.Config(chain=("level",)), [], []
thread = threading.Thread(target=lambda: done.append(rtemo.warm(config, told.append)))
thread.start()
thread.join()
assert told[0].ready == 0 and told[-1].is_over and done[0].compiled == told[-1].ready > 10, (told, done)
assert all(report.ready <= report.total for report in told)
late = []
with rtemo.Session(config, on_progress=late.append):
    assert late == []
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
