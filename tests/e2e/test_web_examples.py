"""Consumers of the web in Node, Java and Go, run as a stranger would run them, on the events of the golden file."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

for needed in ("starlette", "uvicorn", "websockets", "prometheus_client"):
    pytest.importorskip(needed, reason="the extra `web` is not installed")

from rtemo.io.wire import decode_event  # noqa: E402
from tests.fakes.web_events import Served, event  # noqa: E402

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples" / "web"
GOLDEN = [decode_event(line) for line in (ROOT / "tests/golden/wire/events.jsonl").read_bytes().splitlines()]
CONSUMERS = {
    "node": (["node", "events.mjs"], "http"),
    "java": (["java", "Events.java"], "ws"),
    "go": (["go", "run", "events.go"], "http"),
}


@pytest.mark.parametrize("name", CONSUMERS)
def test_a_consumer_reads_every_golden_event_and_loses_none(name: str) -> None:
    words, protocol = CONSUMERS[name]
    if shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    served = Served()
    golden = [event("call 1", one.data) for one in GOLDEN]
    process = subprocess.Popen(
        [*words, served.url.replace("http", protocol), str(len(golden))],
        cwd=EXAMPLES,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("snapshot")
        served.say(*golden)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        served.close()
    lines = out.splitlines()
    assert err == ""
    assert lines[-1] == f"received {len(golden)}, lost 0"
    assert [line.split()[2] for line in lines[:-1]] == [f"{one.kind}" for one in GOLDEN]
    (emotion,) = (one for one in GOLDEN if one.kind == "emotion")
    assert f"call 1/0 emotion {emotion.data.label} {json.dumps(emotion.data.arousal)}" in lines
