"""What a whole file gives away: measures that are right, groups that stay together, classes that are told or not."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.quality.spoof import nuisance
from bench.quality.spoof.nuisance import MEASURES, examine, measure, read_measures, split_groups
from rtemo.api import RtemoError

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


def found(samples: np.ndarray) -> dict[str, float]:
    return dict(zip(MEASURES, measure(samples.astype(np.float32)).tolist(), strict=True))


def tone(hz: float, duration_s: float, level: float = 0.1) -> np.ndarray:
    return level * np.sin(2 * np.pi * hz * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ)


def test_level_length_and_silence_are_measured() -> None:
    quiet = np.zeros(RATE_HZ // 2)
    of = found(np.concatenate([quiet, tone(1000, 2.0), quiet[: RATE_HZ // 4]]))
    assert of["duration_s"] == 2.75
    assert (of["leading_s"], of["trailing_s"]) == (0.5, 0.25)
    assert of["level_dbfs"] == pytest.approx(-23.01 + 10 * np.log10(2 / 2.75), abs=0.02)
    assert of["peak_dbfs"] == pytest.approx(-20, abs=0.01)
    assert of["noise_floor_db"] < -90


def test_bandwidth_is_measured() -> None:
    narrow = found(tone(1000, 1.0) + tone(3000, 1.0, 0.05))
    assert narrow["rolloff_85_hz"] == pytest.approx(3000, abs=2)  # the lower tone has 80 % of the power
    assert max(narrow["above_4k_db"], narrow["above_6k_db"]) < -60
    wide = found(tone(1000, 1.0) + tone(6500, 1.0))
    assert wide["above_4k_db"] == pytest.approx(-3.01, abs=0.05)
    assert wide["above_6k_db"] == pytest.approx(-3.01, abs=0.05)
    assert wide["above_7k_db"] < -60


def test_offset_and_clipping_are_measured() -> None:
    assert found(tone(500, 1.0) + 0.05)["offset"] == pytest.approx(0.05, abs=1e-4)
    clipped = np.clip(tone(500, 1.0, 3.0), -1, 1)
    assert found(clipped)["clipped_share"] > 0.5
    assert found(tone(500, 1.0))["clipped_share"] == 0.0


def test_silence_and_scraps_have_measures_too() -> None:
    assert np.isfinite(measure(np.zeros(RATE_HZ, np.float32))).all()
    assert np.isfinite(measure(np.zeros(10, np.float32))).all()


def test_groups_stay_together_and_every_fold_has_both_classes() -> None:
    random = np.random.default_rng(0)
    group = np.array([f"g{k}" for k in random.integers(0, 7, 300)] + [f"s{k}" for k in random.integers(0, 9, 200)])
    label = np.array([0] * 300 + [1] * 200)
    fold = split_groups(label, group)
    assert fold.max() == 4
    assert all(len(set(fold[group == name])) == 1 for name in np.unique(group))
    assert all(set(label[fold == k]) == {0, 1} for k in range(5))


def test_one_corpus_alone_cannot_be_left_out() -> None:
    with pytest.raises(RtemoError, match="two corpora"):
        split_groups(np.array([0, 0, 1, 1]), np.array(["a", "a", "s", "t"]))


def batch(apart: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Twelve groups of twenty clips; measures vary between groups, one of them with the class as well."""
    random = np.random.default_rng(1)
    label = np.repeat([0, 1], 120)
    group = np.array([f"{'gs'[c]}{k // 20}" for c in (0, 1) for k in range(120)])
    x = random.normal(0, 1, (240, len(MEASURES)))
    x[:, 4] += apart * label
    return x, label, group


@pytest.fixture(autouse=True)
def less_work(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sklearn")
    monkeypatch.setattr(nuisance, "DRAWS", 100)
    monkeypatch.setattr(nuisance, "TREES", 20)


def test_a_measure_that_differs_gives_the_classes_away() -> None:
    result = examine(*batch(3.0))
    for model in result["models"].values():
        assert model["balanced_accuracy"] > 0.85
        assert model["eer_interval"][1] < 0.25
    assert next(iter(result["alone"])) == MEASURES[4]


def test_measures_that_do_not_differ_give_nothing_away() -> None:
    result = examine(*batch(0.0))
    for model in result["models"].values():
        low, high = model["accuracy_interval"]
        assert low - 0.05 <= 0.5 <= high + 0.05
    assert result["groups"] == {"0": 6, "1": 6}


def test_one_command_measures_before_and_after(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(2)
    tables = {"before": "path,label,group\n", "after": "path,label,group\n"}
    for k in range(24):
        label = k % 2
        for name, gain in (("before", (0.02, 0.3)[label]), ("after", 0.1)):
            path = f"{name}-{k}.wav"
            soundfile.write(tmp_path / path, gain * random.normal(0, 0.3, 8_000), RATE_HZ)
            tables[name] += f"{path},{label},{'gs'[label]}{k // 2 % 3}\n"
    for name, text in tables.items():
        (tmp_path / f"{name}.csv").write_text(text)
    files = [str(tmp_path / f"{name}.csv") for name in tables]
    nuisance.main(["--clips", *files, "--data", str(tmp_path), "--out", str(tmp_path / "out.json")])
    text = capsys.readouterr().out
    assert "| before | 24 | 3, 3 | logistic | 1.000" in text
    assert "| after | 24 | 3, 3 | logistic |" in text
    assert "| after | 24 | 3, 3 | logistic | 1.000" not in text
    assert (tmp_path / "out.json").exists()
    (tmp_path / "bad.csv").write_text("path,label\na.wav,1\n")
    with pytest.raises(RtemoError, match="group"):
        read_measures(tmp_path / "bad.csv", tmp_path)
