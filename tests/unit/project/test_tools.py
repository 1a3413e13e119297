"""What the makefile's own tools say when what they ask, or what they install, is not as it should be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[3]
CLEAN = {"name": "click", "version": "8", "vulns": []}
VULNERABLE = {"name": "click", "version": "8", "vulns": [{"id": "PYSEC-1", "fix_versions": ["9"]}]}
UNKNOWN = {"name": "other", "skip_reason": "not found"}


def says(*answers: object) -> str:
    return f"echo '{json.dumps({'dependencies': answers})}'"


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        (says(CLEAN, UNKNOWN), 0, "1 packages audited, 0 known vulnerabilities"),
        (says(VULNERABLE) + "; exit 1", 1, "click 8: PYSEC-1 (9)"),
        (says(UNKNOWN), 3, "nothing was audited"),
        ("echo ConnectionError: no route >&2; exit 1", 3, "nothing was audited (ConnectionError: no route)"),
    ],
    ids=["clean", "vulnerable", "mirror without advisories", "no network"],
)
def test_audit_that_could_not_ask_has_not_passed(tmp_path: Path, answer: str, code: int, said: str) -> None:
    seen = tmp_path / "seen.txt"
    asked = program(tmp_path / "pip-audit", f'for last; do :; done; cp "$last" {seen}; {answer}')
    command = [sys.executable, str(ROOT / "tools" / "audit.py"), "--pip-audit", str(asked)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    assert said in done.stdout + done.stderr
    lines = seen.read_text().splitlines()
    assert {"torch", "numpy", "hatchling", "uv"} <= {line.partition("==")[0] for line in lines}
    assert not any("--hash" in line or line.endswith("\\") for line in lines)


@pytest.mark.parametrize("is_importable", [True, False])
def test_gpu_libraries_come_only_where_torch_cannot_do_without(tmp_path: Path, is_importable: bool) -> None:
    log = tmp_path / "log.txt"
    python = program(tmp_path / "python", f'echo "$@" >>{log}; [ "$1" = -m ] || exit {0 if is_importable else 1}')
    script = ROOT / "tools" / "install_torch.sh"
    environment = {**os.environ, "TORCH_INDEX": "somewhere"}
    done = subprocess.run([script, python], env=environment, capture_output=True, text=True, check=True)
    calls = log.read_text().splitlines()
    assert "--no-deps --index-url somewhere" in calls[0]
    assert "torch.txt" in calls[0]
    assert any("--require-hashes" in call and "torch-gpu.txt" in call for call in calls) is not is_importable
    assert ("TORCH_INDEX" in done.stderr) is not is_importable
