"""`rtemo tune` on voices of classes of the user's own: from files to a bundle that the chain hears with."""

import csv
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import rtemo
from rtemo.api import Emotion
from rtemo.cli.evaluation.clips import Reading, read_clips
from rtemo.cli.options import load
from rtemo.cli.tuning.parts import divide
from rtemo.extensions import TUNERS, installed
from tests.fakes.pace import SPEEDS, paced
from tests.fakes.program import call
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ

pytestmark = pytest.mark.e2e

pytest.importorskip("scipy", reason="SciPy is not installed: nothing can be fitted")
if "merit" not in installed(TUNERS):
    pytest.skip("the installed package has no tuner", allow_module_level=True)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven clips of each of two classes by eleven speakers; a class is how fast and high they speak."""
    root = tmp_path_factory.mktemp("clips")
    rows = []
    for speaker in range(11):
        for label in SPEEDS:
            path = write_sound(root / f"{label}-{speaker}.wav", paced(speaker, label, 1.5), RATE_HZ)
            rows.append({"path": path.name, "label": label, "speaker": f"s{speaker}"})
    with (root / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root / "clips.csv"


@pytest.mark.timeout(120)
def test_classes_of_ones_own_are_learnt_written_and_heard_live(capsys: Any, source: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "pace", tmp_path / "report.json"
    done = call(capsys, "tune", "merit", "--data", source, "--out", out, "--json", report, "--quiet")
    assert done.code == 0, done.err
    assert "after minus before" in done.out
    before, after = json.loads(report.read_text())["systems"]
    assert after["scores"]["speakers"] >= 2
    assert after["scores"]["uar"]["value"] >= 0.75, "speed is easily heard"
    assert before["scores"]["uar"]["value"] == 0.0, "the bundle as it was does not know these classes"
    card = json.loads((out / "card.json").read_text())
    assert card["labels"] == ["brisk", "slow"]
    assert card["scores"]["held_out"]["accuracy_after"] == pytest.approx(after["scores"]["accuracy"]["value"], abs=1e-3)
    assert card["calibration"]["temperature"] > 0
    assert "clips.csv: " in card["training_data"][-1]
    checked = call(capsys, "card", out, "--check")
    assert checked.code == 0, checked.err
    chain = ("--chain", "level,vad,listener", "--set", f"plugins.listener.bundle={out}")
    with rtemo.Session(load(None, chain[3:], chain[1]), mode="freewheel") as session:
        stream = session.stream("call")
        stream.push(soundfile.read(source.parent / "slow-0.wav", dtype="float32")[0])
        stream.end()
        finals = [e.data for e in session.events() if isinstance(e.data, Emotion) and e.data.is_final]
    assert finals
    assert all(set(data.probabilities) == {"brisk", "slow"} for data in finals)
    assert finals[0].label in ("slow", "unsure")
    page = call(capsys, "report", source.parent / "slow-0.wav", *chain, "--out", tmp_path / "page.html")
    assert page.code == 0, page.err
    assert call(capsys, "tune", "merit", "--data", source, "--out", tmp_path).complaint.endswith("name a new folder")
    no_place = call(capsys, "tune", "merit", "--data", source, "--out", "/proc/x")
    assert "--out /proc/x cannot be written" in no_place.complaint, "before anything is heard"


def test_what_cannot_be_tuned_is_said_in_one_line(capsys: Any, source: Path, tmp_path: Path) -> None:
    def told(*words: object) -> str:
        done = call(capsys, "tune", "merit", "--out", tmp_path / "new", *words)
        assert done.code == 2
        return done.complaint

    assert "there is no tuner 'mreit' (installed: merit" in call(capsys, "tune", "mreit", "--data", source).complaint
    assert "has no clip whose label is known" in told("--data", tmp_path)
    assert "cannot be read" in told("--data", tmp_path / "nothing.csv")
    (tmp_path / "bare.csv").write_text("file,mood\na.wav,happy\n")
    assert "has no column 'path' (columns: file, mood)" in told("--data", tmp_path / "bare.csv")
    assert "all 11 clips are called 'slow'" in told("--data", source, "--label", "brisk=")
    assert "is no graph that tells logits of single windows" in told("--data", source, "--bundle", "merit-listen")
    assert "there is no such split" in told("--data", source, "--held-out", "dev")
    assert "lacks 'listener'" in told("--data", source, "--chain", "vad")
    assert "--layers and --rank say what --lora tunes" in told("--data", source, "--rank", "4")
    assert not (tmp_path / "new").exists()


@pytest.mark.timeout(120)
def test_a_clip_of_no_numbers_is_named_and_left_out(capsys: Any, source: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    shutil.copytree(source.parent, clips)
    lost = divide(read_clips(clips / "clips.csv", Reading(is_free=True)).clips).fitted[0].path
    soundfile.write(lost, np.full(24_000, np.nan, np.float32), RATE_HZ, subtype="FLOAT")
    done = call(capsys, "tune", "merit", "--data", clips / "clips.csv", "--out", tmp_path / "new")
    assert "Traceback" not in done.err
    assert (tmp_path / "new" / "card.json").exists(), done.err
    assert f"in 1 of the clips to fit to ({lost}) the chain hears no speech" in done.err, done.err
