"""Two listeners compared on the same clips: alike says alike, better says better, unheard clips count as wrong."""

import csv
import json
import sys
from pathlib import Path

import msgspec
import pytest

from bench.quality.emotion import paired
from rtemo.api import EMOTIONS, Emotion

pytestmark = pytest.mark.unit

MOODS = ("neutral", "happy", "sad", "angry")


def said(mood: str) -> list[dict[str, object]]:
    """One final estimate of two seconds, sure of a mood."""
    probabilities = {name: 0.93 if name == mood else 0.01 for name in EMOTIONS}
    told = Emotion(
        label=mood,
        probabilities=probabilities,
        arousal=0.0,
        valence=0.0,
        confidence=0.93,
        speech_s=2.0,
        trigger="turn_end",
        is_final=True,
    )
    return [msgspec.to_builtins(told)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Forty clips of two corpora, by their manifests."""
    columns = ("path", "corpus", "speaker", "split", "emotion", "level", "duration_s")
    for folder in ("emotion", "clean"):
        (tmp_path / folder).mkdir()
        with (tmp_path / folder / "manifest.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for k in range(40 if folder == "emotion" else 0):
                corpus = ("ravdess", "nemo")[k % 2]
                writer.writerow((f"{k}.wav", corpus, f"{corpus}-1", "dev", MOODS[k // 2 % 4], "", "2.0"))
    return tmp_path


def compare(data: Path, before: list[list[object]], after: list[list[object]], monkeypatch, capsys) -> list[str]:
    for name, of in (("before", before), ("after", after)):
        (data / f"{name}.clean.json").write_text(json.dumps({f"{k}.wav": one for k, one in enumerate(of)}))
    files = ["--before", str(data / "before.json"), "--after", str(data / "after.json"), "--draws", "100"]
    monkeypatch.setattr(sys, "argv", ["paired", "--data", str(data), *files])
    paired.main()
    return capsys.readouterr().out.splitlines()


def test_a_listener_is_no_better_than_itself(data: Path, monkeypatch, capsys) -> None:
    right = [said(MOODS[k // 2 % 4]) for k in range(40)]
    lines = compare(data, right, right, monkeypatch, capsys)
    assert "| clean | end | 1.000 | 1.000 | +0.000 to +0.000 |" in lines
    assert not any(line.startswith("| telephone") for line in lines), "what was not heard is not shown"


def test_one_that_hears_what_the_other_misses_is_better_beyond_chance(data: Path, monkeypatch, capsys) -> None:
    right = [said(MOODS[k // 2 % 4]) for k in range(40)]
    half = [one if k % 5 else [] for k, one in enumerate(right)]
    *_, end, mean = compare(data, half, right, monkeypatch, capsys)
    cells = [cell.strip() for cell in end.split("|")]
    assert cells[3:5] == ["0.800", "1.000"]
    assert float(cells[5].split(" to ")[0]) > 0
    assert mean.startswith("mean difference of all rows: +0.2")


def test_files_of_no_common_condition_are_told_in_one_line(data: Path, monkeypatch) -> None:
    files = ["--before", str(data / "before.json"), "--after", str(data / "after.json")]
    monkeypatch.setattr(sys, "argv", ["paired", "--data", str(data), *files])
    with pytest.raises(SystemExit, match="no condition was heard by both"):
        paired.main()
