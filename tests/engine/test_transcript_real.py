"""The transcript plugin on the example call, with the real detector and the real model."""

import json
from pathlib import Path

import pytest
import soundfile

from rtemo.runtime.places import FOLDERS_VARIABLE, MissingFileError
from rtemo.runtime.store import find
from tests.fakes.program import ROOT, call

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> str:
    pytest.importorskip("faster_whisper", reason="needs the extra rtemo[words]")
    folder = str(tmp_path_factory.mktemp("cache"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", folder)
        patch.delenv(FOLDERS_VARIABLE, raising=False)
        try:
            find("whisper-base").read_files()
        except MissingFileError as error:
            pytest.skip(str(error))
    return folder


def test_a_file_is_written_down_with_what_each_party_says_and_nothing_of_who_may_not_be_analysed(
    cache: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", cache)
    sound, rate_hz = soundfile.read(ROOT / "examples/call.flac", dtype="float32", always_2d=True, stop=9 * 8000)
    soundfile.write(tmp_path / "call.wav", sound[:, [0, 0]], rate_hz)
    events = tmp_path / "events.jsonl"
    arguments = ("--chain", "vad", "--words", "--roles", "caller,agent", "--quiet", "--events", str(events))
    done = call(capsys, "analyze", tmp_path / "call.wav", *arguments)
    assert done.code == 0, done.err
    caller, agent = map(json.loads, done.out.splitlines())
    text = " ".join(turn["text"] for turn in caller["words"]).lower()
    assert "kids are talking by the door" in text
    assert {turn["language"] for turn in caller["words"]} == {"en"}
    assert agent["analysis"] == "timing"
    assert agent["speech_s"] == caller["speech_s"]
    assert "words" not in agent
    told = [line["data"] for line in map(json.loads, events.read_text().splitlines()) if line["kind"] == "transcript"]
    assert told
    assert told[-1]["is_final"]
    for word in told[-1]["words"]:
        assert 4.5 * 16_000 < word["start_sample"] <= word["end_sample"] < 9 * 16_000
