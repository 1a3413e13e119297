"""Every example runs as its first line says."""

import json
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

pytestmark = pytest.mark.e2e

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(*arguments: str) -> str:
    done = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_embedding_example_prints_the_moods_of_the_call():
    lines = run(str(EXAMPLES / "embed.py")).splitlines()
    assert len(lines) >= 3
    assert all("arousal" in line for line in lines)


def test_assistant_example_hears_speech_begin_and_end_while_it_pushes():
    said = run(str(EXAMPLES / "assistant.py"))
    assert "speech_start" in said
    assert "speech_end" in said
    assert "emotion" in said


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_example_call_is_made_of_recordings_wherever_they_lie_under_a_folder(tmp_path):
    script = runpy.run_path(str(EXAMPLES / "make_call.py"))
    rng = np.random.default_rng(1)
    for who, parts in script["SCRIPT"]:
        actor = script["PARTIES"][who].voice
        for part in parts if actor.isdigit() else ():
            path = tmp_path / f"Actor_{actor}" / f"03-01-{part}-{actor}.wav"
            path.parent.mkdir(exist_ok=True)
            soundfile.write(path, np.pad(rng.normal(0.0, 0.01, 24_000), 24_000), 48_000)
    run(str(EXAMPLES / "make_call.py"), "--data", str(tmp_path), "--out", str(tmp_path / "call.flac"))
    made, kept = soundfile.info(tmp_path / "call.flac"), soundfile.info(EXAMPLES / "call.flac")
    assert (made.samplerate, made.channels) == (kept.samplerate, kept.channels) == (8_000, 3)
    assert 20 < made.duration < kept.duration  # half a second each instead of a sentence
    assert (EXAMPLES / "call.flac").stat().st_size < 1_000_000
    assert "CC BY-NC-SA 4.0" in (EXAMPLES / "call.LICENSE.md").read_text()


def test_recordings_that_are_missing_are_named_in_one_line(tmp_path):
    command = [sys.executable, str(EXAMPLES / "make_call.py"), "--data", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    assert done.returncode == 1
    assert ("espeak-ng is needed" in done.stderr) or ("RAVDESS" in done.stderr)
    assert done.stderr.count("\n") == 1


def test_example_call_shows_moods_that_move_a_rank_that_climbs_and_one_synthetic_voice():
    lines = run("-m", "rtemo.cli.main", "listen", str(EXAMPLES / "call.flac"), "--fast", "--jsonl", "-").splitlines()
    events = [json.loads(line) for line in lines]
    moods: dict[str, list[str]] = {"0": [], "1": [], "2": []}
    ranks, alarmed = [], set()
    for event in events:
        data = event["data"]
        if event["kind"] == "emotion" and data["is_final"]:
            moods[event["channel"]].append(data["label"])
        elif event["kind"] == "rank" and data["attribute"] == "arousal" and event["channel"] == "0":
            ranks.append(data["score"])
        elif event["kind"] == "spoof" and data["is_alarmed"]:
            alarmed.add(event["channel"])
    assert alarmed == {"2"}
    caller = [mood for mood in moods["0"] if mood != "unsure"]
    assert list(dict.fromkeys(caller)) == ["neutral", "surprise", "fear", "angry", "sad"]
    assert caller[-1] == "neutral"
    assert {"neutral", "surprise", "angry", "sad"} <= set(moods["1"])
    climb = ranks[: ranks.index(max(ranks)) + 1]
    assert climb == sorted(climb)
    assert climb[-1] - climb[0] > 1.0
    assert ranks[-1] < climb[-1] - 1.0
