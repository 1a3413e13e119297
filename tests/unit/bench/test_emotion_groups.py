"""Who is heard worse: two groups of one corpus, over the classes that both have."""

import csv
import json
import sys
from pathlib import Path

import pytest

from bench.quality.emotion import groups
from tests.unit.bench.test_emotion_paired import MOODS, said

pytestmark = pytest.mark.unit


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Sixty-four clips of a woman and a man, four moods, normal and strong, but neutral only normal."""
    columns = ("path", "corpus", "speaker", "gender", "split", "emotion", "level", "duration_s")
    for folder in ("emotion", "clean"):
        (tmp_path / folder).mkdir()
        with (tmp_path / folder / "manifest.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for k in range(64 if folder == "emotion" else 0):
                gender, mood = "FM"[k % 2], MOODS[k // 2 % 4]
                level = "strong" if k >= 32 and mood != "neutral" else "normal"
                writer.writerow((f"{k}.wav", "ravdess", f"r-{gender}", gender, "dev", mood, level, "2.0"))
    return tmp_path


def table(data: Path, wrong: set[int], monkeypatch, capsys) -> tuple[list[str], dict[str, dict[str, float]]]:
    events = {f"{k}.wav": [] if k in wrong else said(MOODS[k // 2 % 4]) for k in range(64)}
    (data / "events.telephone.json").write_text(json.dumps(events))
    command = ["groups", "--data", str(data), "--events", str(data / "events.json"), "--draws", "50"]
    monkeypatch.setattr(sys, "argv", [*command, "--out", str(data / "out.json")])
    groups.main()
    return capsys.readouterr().out.splitlines(), json.loads((data / "out.json").read_text())


def test_a_group_whose_clips_are_missed_is_shown_to_be_heard_worse(data: Path, monkeypatch, capsys) -> None:
    men_missed = {k for k in range(64) if k % 2 and k % 16 < 8}
    lines, told = table(data, men_missed, monkeypatch, capsys)
    gender = next(line for line in lines if "gender: F, M" in line)
    assert "| telephone | gender: F, M | ravdess | 32 (1), 32 (1) | 1.000, 0.500 | -0.500 (" in gender
    assert told["telephone, by gender"] == {"ravdess_f_uar": 1.0, "ravdess_m_uar": 0.5}


def test_a_class_that_one_group_lacks_is_left_out_of_both(data: Path, monkeypatch, capsys) -> None:
    neutral_missed = {k for k in range(64) if MOODS[k // 2 % 4] == "neutral"}
    lines, _ = table(data, neutral_missed, monkeypatch, capsys)
    assert "| ravdess | 24 (2), 24 (2) | 1.000, 1.000 | +0.000" in next(x for x in lines if "intensity" in x)


def test_events_that_are_not_there_are_told_in_one_line(data: Path, monkeypatch) -> None:
    monkeypatch.setattr(sys, "argv", ["groups", "--data", str(data), "--events", str(data / "none.json")])
    with pytest.raises(SystemExit, match="names no files"):
        groups.main()
