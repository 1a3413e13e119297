"""The programs in docs/embedding.md run, the event of docs/plugins.md travels, docs/bundles.md names every field."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

import rtemo
from rtemo.api import Block, Emit, ModelCard
from rtemo.api.model import TensorSpec
from rtemo.client import decode_event
from rtemo.io.publishers.jsonl import JsonlPublisher
from tests.engine.plugins import FakeProcessor, listener
from tests.engine.rig import HOP, ramp

pytestmark = pytest.mark.engine

DOCS = Path(__file__).parents[2] / "docs"


def programs(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(), re.DOTALL)


def test_every_program_of_the_embedding_guide_runs(capsys: pytest.CaptureFixture[str]) -> None:
    said = []
    for code in programs("embedding.md"):
        exec(compile(code, "embedding.md", "exec"), {"__name__": "guide"})
        said.append(capsys.readouterr().out)
    assert len(said) == 5
    assert "0.00 to 1.00 s stream_end" in said[0]
    assert said[3] == "call-1 0  0.25\n"


def test_the_event_of_the_plugin_guide_travels(
    session_of: Callable[..., rtemo.Session], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names: dict[str, Any] = {}
    exec(programs("plugins.md")[1], names)

    class Laughing(FakeProcessor):
        def process(self, block: Block, emit: Emit) -> None:
            if block.start_sample[0] == 0:
                emit(0, names["Laughter"](intensity=0.7), 0, HOP)

    path = tmp_path / "events.jsonl"
    with session_of(listener("laugh", Laughing()), mode="freewheel", publishers=[JsonlPublisher(path)]) as session:
        stream = session.stream("call-1")
        stream.push(ramp(3 * HOP))
        stream.end()
        [event] = [event for event in stream.events() if event.kind == "laughter"]
    assert event.data == names["Laughter"](intensity=0.7)
    [line] = [line for line in path.read_text().splitlines() if json.loads(line)["kind"] == "laughter"]
    assert decode_event(line.encode()).data == {"kind": "laughter", "intensity": 0.7}


def test_the_guide_to_bundles_names_every_field_and_no_other() -> None:
    text = (DOCS / "bundles.md").read_text()
    card, tensor = text.partition("## card.json")[2].split("A tensor:")
    for table, kind in ((card, ModelCard), (tensor, TensorSpec)):
        rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", table, re.MULTILINE)
        fields = {field.name: field for field in msgspec.structs.fields(kind)}
        assert {name for name, _ in rows} == set(fields)
        for name, type_ in rows:
            assert ("default" in type_) == (not fields[name].required), name
