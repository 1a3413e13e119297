"""A process watched from within: every file it opens for writing, every host it looks up or connects to."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

_SOURCE = Path(__file__).with_name("net_guard.c")


class Watched(NamedTuple):
    """What a process did and how it ended."""

    code: int
    err: str
    written: list[str]
    network: list[str]
    left: list[str]
    """Files and folders in the home that was empty before."""


class Guard:
    """Runs programs under the guard, each in a home of its own."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._library = library
        self._folder = folder
        self._runs = 0

    def run(self, *arguments: object, timeout_s: float = 110.0) -> Watched:
        """Run `python` with arguments."""
        self._runs += 1
        home, log = self._folder / f"home-{self._runs}", self._folder / f"log-{self._runs}"
        home.mkdir()
        dropped = ("ORT_", "HF_", "TRANSFORMERS_", "DO_NOT_TRACK", "DISABLE_TELEMETRY", "XDG_")
        env = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
        env |= {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "LD_PRELOAD": str(self._library)}
        env["NET_GUARD_LOG"] = str(log)
        done = subprocess.run(
            [sys.executable, *map(str, arguments)],
            env=env,
            cwd=self._folder,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )
        notes = [line.split(" ", 1) for line in log.read_text(errors="replace").splitlines()] if log.exists() else []
        return Watched(
            done.returncode,
            done.stderr,
            [path for what, path in notes if what in ("write", "mkdir")],
            [f"{what} {where}" for what, where in notes if what in ("connect", "send", "lookup")],
            sorted(str(path.relative_to(home)) for path in home.rglob("*")),
        )


def make_guard(folder: Path) -> Guard:
    """Compile the guard, or skip the test with a word."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if sys.platform != "linux" or compiler is None:
        pytest.skip("no C compiler on Linux here: what a process does outside cannot be watched")
    library = folder / "net_guard.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", library, _SOURCE, "-ldl"], check=True)
    return Guard(library, folder)
