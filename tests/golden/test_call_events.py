"""What the engine says about the example call stays the same, event for event, whatever is built around it."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from rtemo.cli.main import main

pytestmark = pytest.mark.golden

ROOT = Path(__file__).parents[2]
STORED = Path(__file__).with_name("call_events.json.gz")
CLOSE = 0.02
"""Two processors round a network of bytes differently; a change of what is said is larger."""
SCALES = {"anchor_percentile": 25.0, "percentile": 25.0, "trend_per_min": 5.0}
"""Fields that are no shares of one: of a hundred, and a slope over little time."""


def told(path: Path) -> dict[str, list[list[Any]]]:
    """Channel → its events as kind, start_sample, end_sample and payload; the state of the engine left out."""
    channels: dict[str, list[list[Any]]] = {}
    for line in path.read_text().splitlines():
        event = json.loads(line)
        if event["call"] and event["kind"] not in ("stream_start", "stream_end"):
            channels.setdefault(event["channel"], []).append(
                [event["kind"], event["start_sample"], event["end_sample"], event["data"]]
            )
    return channels


def farthest(found: Any, wanted: Any) -> float:
    """The largest difference of two numbers of the same place, by their scale; texts and shapes must be equal."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        return max((farthest(found[name], wanted[name]) / SCALES.get(name, 1.0) for name in wanted), default=0.0)
    if isinstance(wanted, list):
        assert len(found) == len(wanted)
        return max((farthest(*pair) for pair in zip(found, wanted, strict=True)), default=0.0)
    if isinstance(wanted, int | float) and not isinstance(wanted, bool):
        return abs(found - wanted)
    assert found == wanted
    return 0.0


def test_what_is_said_about_the_example_call_is_what_was_said_before(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    words = ["analyze", str(ROOT / "examples/call.flac"), "--roles", "caller,user,speaker", "--quiet"]
    with pytest.raises(SystemExit) as end:
        main([*words, "--events", str(path), "--out", str(tmp_path / "out.jsonl")])
    assert end.value.code == 0
    found, wanted = told(path), json.loads(gzip.decompress(STORED.read_bytes()))
    assert found.keys() == wanted.keys()
    for channel, events in wanted.items():
        assert [event[:3] for event in found[channel]] == [event[:3] for event in events]
        for ours, theirs in zip(found[channel], events, strict=True):
            # Levels are in dB, pitch in Hz: of those a share of their size.
            scale = 1.0 if theirs[0] in ("emotion", "spoof", "rank") else 50.0
            assert farthest(ours[3], theirs[3]) < CLOSE * scale, theirs
