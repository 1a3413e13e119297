"""Verdicts of two networks, joined as the chain does it."""

import csv
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.quality.spoof import together
from bench.quality.spoof.together import Verdicts
from bench.quality.spoof.trials import COLUMNS

pytestmark = pytest.mark.unit


def test_another_decides_only_where_one_does_not() -> None:
    first = Verdicts(np.array([True, False, False, False]), np.array([False, True, False, False]))
    second = Verdicts(np.array([False, True, True, False]), np.array([True, False, False, False]))
    both = first.or_else(second)
    assert both.is_spoof.tolist() == [True, False, True, False]
    assert both.is_bona_fide.tolist() == [False, True, False, False]


def write(path: Path, arms: dict[str, float]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="")
        writer.writeheader()
        for arm, synthetic in arms.items():
            for band in ("full", "telephone"):
                for label in (0, 1):
                    score = synthetic if label else -9.0
                    row = {"clip": f"c{label}", "band": band, "seconds": "4", "label": label, "score": score}
                    writer.writerow(row | {"arm": arm, "system": "x" * label, "corpus": "page"})
    return path


def test_the_table_says_what_the_chain_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trials = write(tmp_path / "trials.csv", {"gem-large": 0.0, "gem": 9.0})
    monkeypatch.setattr(sys, "argv", ["together", "--trials", str(trials)])
    together.main()
    table = capsys.readouterr().out
    assert "| full | gem-large | 0.0 | 0.0 | 0.0 | 100.0 |" in table
    assert "| full | both | 100.0 | 0.0 | 0.0 | 100.0 |" in table


def test_trials_of_one_network_alone_are_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trials = write(tmp_path / "trials.csv", {"gem-large": 0.0})
    monkeypatch.setattr(sys, "argv", ["together", "--trials", str(trials)])
    with pytest.raises(SystemExit, match="have both scored"):
        together.main()
