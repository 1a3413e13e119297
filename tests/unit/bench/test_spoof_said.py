"""What synthesisers at hand are to say for gem_large."""

import csv
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from bench.quality.spoof import said
from rtemo.api import ModelError

pytestmark = pytest.mark.unit


class NoVoice:
    def voice(self, name: str) -> None:
        raise ModelError(f"{name} is not here", "fetch it")


@pytest.fixture
def spoken(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """One program is installed; notes who says what."""
    heard: list[tuple[str, str]] = []

    def speak(system: str, voice: str, emotion: str, text: str, random: np.random.Generator) -> np.ndarray:
        heard.append((voice, text))
        return random.standard_normal(8000).astype(np.float32) * 0.1

    monkeypatch.setattr(said, "is_installed", lambda system: system == "flite")
    monkeypatch.setattr(said, "speak", speak)
    monkeypatch.setattr(said, "ModelStore", NoVoice)
    return heard


def test_what_is_installed_speaks_once_and_what_is_not_is_named(tmp_path: Path, spoken: list[tuple[str, str]]) -> None:
    run = CliRunner().invoke(said.main, ["--work", str(tmp_path)])
    assert run.exit_code == 0
    for left_out in ("espeak-ng is not installed", "festival is not installed", "kokoro is left out"):
        assert left_out in run.output
    rows = list(csv.DictReader((tmp_path / "said/manifest.csv").open()))
    assert len(rows) == len(spoken) == 4 * said.EACH["flite"]
    assert {row["system"] for row in rows} == {"flite"}
    assert all((tmp_path / "said" / row["path"]).exists() and row["duration_s"] == "0.5" for row in rows)
    assert CliRunner().invoke(said.main, ["--work", str(tmp_path)]).exit_code == 0
    assert len(spoken) == len(rows), "what is there is kept"
