"""A stranger's package, installed outside the tree: its source, publisher, sink, lane plugin and kind of event."""

import json
import os
import shutil
import socket
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from rtemo.client import Subscriber
from tests.e2e.test_zmq_node import folder, node  # noqa: F401 - the Node consumer, installed once

pytestmark = pytest.mark.e2e

PACKAGE = Path(__file__).parents[2] / "examples" / "package"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a process in which the package is installed, built as its author would."""
    out = tmp_path_factory.mktemp("package")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=PACKAGE, check=True, capture_output=True, timeout=60)
    (wheel,) = out.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(out / "site")
    return {**os.environ, "PYTHONPATH": str(out / "site")}


def rtemo(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "rtemo", *arguments], env=environ, capture_output=True, text=True, timeout=90
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_package_is_shorter_than_150_lines_and_needs_the_api_alone() -> None:
    lines = [
        line for name in ("pyproject.toml", "rtemo_claps.py") for line in (PACKAGE / name).read_text().splitlines()
    ]
    assert len(lines) < 150
    assert [line for line in lines if "import" in line and "rtemo" in line] == ["from rtemo import api"]


def test_everything_of_the_package_is_listed_and_can_be_configured(installed: dict[str, str]) -> None:
    listed = [json.loads(line) for line in rtemo(installed, "plugins", "--json").splitlines()]
    mine = {one["group"]: one for one in listed if one["name"] == "claps"}
    assert set(mine) == {"rtemo.plugins", "rtemo.sources", "rtemo.publishers", "rtemo.sinks"}
    assert mine["rtemo.plugins"]["emits"] == ["claps"]
    assert mine["rtemo.sources"]["package"] == "rtemo-claps 0.1.0"
    assert {one["group"] for one in listed} == {*mine, "rtemo.bundles", "rtemo.chains"}
    text = rtemo(installed, "config")
    for words in ("[sources.claps]\n# How long somebody claps, in s. Above 0.\nduration_s = 5.0", "[sinks.claps]"):
        assert words in text


def test_calls_of_the_package_reach_every_end_of_it_and_consumers_in_python_and_node(
    installed: dict[str, str], tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        endpoint = f"tcp://127.0.0.1:{one.getsockname()[1]}"
    consumer = None
    if shutil.which("node") and shutil.which("npm"):
        try:
            home = request.getfixturevalue("folder")
        except pytest.skip.Exception:
            home = None  # zeromq.js cannot be installed here
        consumer = node(home, endpoint, "v1/main/claps/0/claps/", 3) if home else None
    command = [sys.executable, "-m", "rtemo", "serve", "--source", "claps", "--publish", f"{endpoint},claps", "--sink"]
    command += ["claps", "--chain", "claps", "--set", "sources.claps.duration_s=5"]
    command += [
        "--set",
        f"publishers.claps.path={tmp_path / 'claps.jsonl'}",
        "--set",
        f"sinks.claps.path={tmp_path / 'f'}",
    ]
    server = subprocess.Popen(command, env=installed, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        events = []
        with Subscriber(endpoint, kinds=["claps"], connect_timeout_s=60.0) as subscriber:
            for event in subscriber:
                events.append(event)
                if len(events) == 3:
                    break
        out, err = server.communicate(timeout=60)  # it ends with its source
    finally:
        server.kill()
    assert server.returncode == 0, err
    assert "fault" not in out
    assert all(event.data["count"] == 2 for event in events), "known as a dict where the package is not installed"
    written = [json.loads(line) for line in (tmp_path / "claps.jsonl").read_text().splitlines()]
    assert [event["data"]["count"] for event in written] == [2] * 5
    assert [event["start_sample"] for event in written] == [k * 16_000 for k in range(5)]
    audio = np.fromfile(tmp_path / "f", "<f4")
    assert len(audio) == 5 * 16_000
    assert np.abs(audio).max() > 0.5
    if consumer is not None:
        said, _ = consumer.communicate(timeout=20)
        assert said.splitlines()[-1] == "received 3, lost 0"
        assert sum("claps/0  claps" in line for line in said.splitlines()) == 3


def test_schema_and_decoder_of_an_installation_know_its_kinds(installed: dict[str, str], tmp_path: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "rtemo.io.schema", "--out", str(tmp_path)], env=installed, check=True, timeout=90
    )
    schema = json.loads((tmp_path / "event.json").read_text())
    assert schema["$defs"]["Claps"]["properties"]["kind"]["enum"] == ["claps"]
    assert schema["$defs"]["Claps"]["properties"]["count"]["description"] == "Claps within the event's span."
    message: dict[str, Any] = {
        "schema": "rtemo.event/1", "epoch": "e", "seq": 1, "pub_seq": 1, "stream_seq": 1, "call": "c", "channel": "0",
        "kind": "claps", "plugin": "claps", "start_sample": 0, "end_sample": 1, "t0_ms": 0.0, "t1_ms": 0.1,
        "t_pub_ms": 1.0, "data": {"kind": "claps", "count": 2, "peak_dbfs": -2.5},
    }  # fmt: skip
    validator = jsonschema.Draft202012Validator(schema)
    validator.validate(message)
    assert not validator.is_valid({**message, "data": {"kind": "claps", "count": "two"}})
    script = f"from rtemo.client import decode_event; print(type(decode_event({json.dumps(message).encode()!r}).data))"
    done = subprocess.run([sys.executable, "-c", script], env=installed, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "<class 'rtemo_claps.Claps'>", done.stderr


def test_contract_tests_prove_the_package_and_find_what_is_wrong(installed: dict[str, str], tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pytest", "--pyargs", "rtemo.testing", "-q", "--import-mode=importlib", "-p"]
    command += ["no:cacheprovider", "-p", "no:benchmark"]
    done = subprocess.run(
        command, env={**installed, "RTEMO_TEST": "claps"}, cwd=tmp_path, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]
    unknown = subprocess.run(
        command, env={**installed, "RTEMO_TEST": "clasp"}, cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert unknown.returncode == 1
    assert "nothing is installed under the name 'clasp'" in unknown.stdout
