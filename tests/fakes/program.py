"""The command line under test: in this process where that is enough, as a process of its own where it is not."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from rtemo.cli.main import main

ROOT = Path(__file__).parents[2]


class Outcome(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def complaint(self) -> str:
        """The one line on standard error."""
        assert self.err.count("\n") == 1, self.err
        assert self.err.startswith("rtemo: ")
        assert "Traceback" not in self.err
        return self.err.strip()


def call(capsys: pytest.CaptureFixture[str], *arguments: object) -> Outcome:
    """Run a command in this process."""
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    # What a first start says while it compiles depends on which tests ran before.
    said = [line for line in captured.err.splitlines(keepends=True) if " kernels" not in line]
    return Outcome(int(ended.value.code or 0), captured.out, "".join(said))


def command(*arguments: object) -> list[str]:
    """The words that run a command as a process."""
    return [sys.executable, "-u", "-m", "rtemo.cli.main", *map(str, arguments)]


def start(*arguments: object, environment: Mapping[str, str] | None = None) -> "subprocess.Popen[str]":
    """Start a command as a process with pipes."""
    return subprocess.Popen(
        command(*arguments),
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def child_of(process: int, module: str) -> int:
    """The number of the one process that a program has started to run a module."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    children = {int(word) for task in tasks for word in (task / "children").read_text().split()}
    words = {child: Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in children}
    (number,) = (child for child, said in words.items() if module.encode() in said)
    return number
