"""The consumer in Node, run as a stranger would run it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from rtemo.api import SpeechStart
from rtemo.io.publishers.zmq import ZmqPublisher
from tests.fakes.zmq_ends import Publishing, event, options

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="node and npm are not installed"),
]

EXAMPLE = Path(__file__).parents[2] / "examples" / "node"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example with its dependencies installed."""
    folder = tmp_path_factory.mktemp("node")
    for name in ("package.json", "package-lock.json", "subscriber.mjs"):
        shutil.copy(EXAMPLE / name, folder)
    try:
        command = ["npm", "ci", "--no-audit", "--no-fund", "--silent"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=90)
        subprocess.run(["node", "-e", "require('zeromq')"], cwd=folder, check=True, capture_output=True, timeout=30)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"zeromq.js cannot be installed here: {error}")
    return folder


def node(folder: Path, *arguments: object) -> "subprocess.Popen[str]":
    command = ["node", "subscriber.mjs", *map(str, arguments)]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def feed(publishing: Publishing, process: "subprocess.Popen[str]") -> Iterator[int]:
    """Publish one event after the other until the consumer has ended."""
    number = 0
    while process.poll() is None:
        number += 1
        publishing.send(event("call 1", number, SpeechStart() if number % 5 == 0 else None))
        publishing.flush()
        yield number
        try:
            process.wait(0.01)
        except subprocess.TimeoutExpired:
            continue


def test_node_consumer_prints_events_and_loses_none(folder: Path) -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        process = node(folder, publishing.events, "v1/main/call%201/", 20)
        for number in feed(publishing, process):
            assert number < 3000, "the consumer hears nothing"
        out, err = process.communicate(timeout=10)
    lines = out.splitlines()
    assert err == ""
    assert lines[-1] == "received 20, lost 0"
    assert sum("emotion  happy" in line for line in lines) == 16
    assert sum(line.endswith("call 1/0  speech_start") for line in lines) == 4


def test_node_consumer_counts_what_is_missing(folder: Path) -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        process = node(folder, publishing.events, "v1/main/call%201/", 20)
        numbering = publishing.publisher._numbering
        for number in feed(publishing, process):
            assert number < 3000, "the consumer hears nothing"
            if process.poll() is None and number % 7 == 0:
                numbering.number(event("call 1"))  # uses up a number that is never sent
        out, _ = process.communicate(timeout=10)
    received, lost = (int(part.split()[1]) for part in out.splitlines()[-1].split(", "))
    assert received == 20
    assert 1 <= lost <= 4


def test_node_consumer_notices_a_restart(folder: Path) -> None:
    with Publishing(ZmqPublisher(options(heartbeat_s=0.1))) as publishing:
        endpoint = publishing.events
        process = node(folder, endpoint, "v1/main/call%201/", 160)
        for number in feed(publishing, process):
            assert number < 3000, "the consumer hears nothing"
            if number >= 100:
                break
    again = options(events=endpoint, state="tcp://127.0.0.1:*", query="tcp://127.0.0.1:*")
    with Publishing(ZmqPublisher(again)) as publishing:
        for number in feed(publishing, process):
            assert number < 3000, "the consumer hears nothing"
        out, err = process.communicate(timeout=10)
    assert out.splitlines()[-1].startswith("received 160")
    assert "restarted" in err


def test_manifest_asks_for_zeromq_6() -> None:
    assert json.loads((EXAMPLE / "package.json").read_text())["dependencies"]["zeromq"].startswith("^6.")
