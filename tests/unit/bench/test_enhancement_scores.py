"""Scores are measured once, failures are counted, intervals cover, tables can be read."""

import io
import math
from pathlib import Path

import numpy as np
import pytest

from bench.quality.enhancement import scores
from bench.quality.enhancement.metrics import WITH_REFERENCE
from bench.quality.enhancement.mixtures import Mixture
from bench.quality.enhancement.report import summarise, write_tables
from bench.quality.enhancement.scores import ScoreFile, Table, mean_and_interval
from bench.quality.enhancement.systems import System

pytestmark = pytest.mark.unit

TWO = ("pesq_wb", "si_sdr_db")


def mixture(clip: int, snr_db: float) -> Mixture:
    clean = np.full(16, clip, np.float32)
    kind, corpus = ("sound", "place")[clip % 2], ("nemo", "ased", "baved")[clip % 3]
    return Mixture(
        clip, corpus, "pl", f"s{clip}", "sad", kind, "rain", "dev", snr_db, clean, clean + np.float32(snr_db)
    )


BATCH = [mixture(clip, snr_db) for clip in range(6) for snr_db in (-5.0, 5.0)]


class Counting:
    """An enhancer that counts its clips."""

    def __init__(self, fingerprint: str = "v1") -> None:
        self.clips = 0
        self.system = System("counting", self, 10.0, 20.0, fingerprint)

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        self.clips += 1
        return samples


@pytest.fixture(autouse=True)
def _cheap_score(monkeypatch: pytest.MonkeyPatch) -> None:
    def score(clean: np.ndarray, processed: np.ndarray, metrics: tuple[str, ...]) -> dict[str, float]:
        snr_db = float((processed - clean)[0])
        return {m: math.nan if m == "pesq_wb" and snr_db < 0 and clean[0] == 1 else snr_db for m in metrics}

    monkeypatch.setattr(scores, "score", score)


def measured(system: System, folder: Path | None, metrics: tuple[str, ...] = TWO) -> Table:
    file = ScoreFile(folder, system)
    return Table(BATCH, [file.measure(m, metrics) for m in BATCH], metrics)


def test_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    first = Counting()
    values = measured(first.system, tmp_path).values
    again = Counting()
    np.testing.assert_array_equal(measured(again.system, tmp_path).values, values)
    assert (first.clips, again.clips) == (len(BATCH), 0)


def test_another_version_of_a_system_is_measured_anew_and_one_without_a_version_always(tmp_path: Path) -> None:
    measured(Counting().system, tmp_path)
    other, nameless = Counting("v2"), Counting("")
    measured(other.system, tmp_path)
    measured(nameless.system, tmp_path)
    measured(nameless.system, tmp_path)
    assert (other.clips, nameless.clips) == (len(BATCH), 2 * len(BATCH))


def test_only_metrics_that_are_missing_are_measured(tmp_path: Path) -> None:
    measured(Counting().system, tmp_path, ("stoi",))
    later = Counting()
    measured(later.system, tmp_path, ("stoi", "si_sdr_db"))
    measured(later.system, tmp_path, ("stoi", "si_sdr_db"))
    assert later.clips == len(BATCH)


def test_a_run_that_was_cut_off_in_the_middle_of_a_line_goes_on(tmp_path: Path) -> None:
    measured(Counting().system, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(path.read_text()[:-20])
    for expected in (1, 0):
        again = Counting()
        assert measured(again.system, tmp_path).values.shape == (6, 2, 2)
        assert again.clips == expected


def test_a_metric_that_fails_is_counted_and_left_out_of_the_mean() -> None:
    table = measured(Counting().system, None)
    assert table.failures == {"pesq_wb": 1, "si_sdr_db": 0}
    assert mean_and_interval(table.by_clip("pesq_wb", -5.0))[0] == -5.0
    assert table.by_clip("pesq_wb")[1] == 5.0  # what is left of the clip


def test_the_interval_covers_the_mean_and_narrows_with_clips() -> None:
    random = np.random.default_rng(0)
    few, many = (mean_and_interval(random.normal(2.0, 1.0, n)) for n in (10, 1000))
    assert few[1] < few[0] < few[2]
    assert few[2] - few[1] > 3 * (many[2] - many[1])
    assert many[1] < 2.0 < many[2]
    assert mean_and_interval(np.full(5, 3.0)) == (3.0, 3.0, 3.0)
    assert math.isnan(mean_and_interval(np.array([math.nan]))[0])


def test_differences_from_the_rivals_are_taken_clip_by_clip() -> None:
    base = measured(Counting().system, None)
    better = measured(Counting().system, None)
    better.values = base.values + 0.5
    result = summarise({"gtcrn": base, "ours": better})
    assert result["ours"]["minus"]["gtcrn"]["si_sdr_db"] == pytest.approx((0.5, 0.5, 0.5))
    assert set(result["gtcrn"]["minus"]) == set()
    out = io.StringIO()
    write_tables(out, result)
    lines = out.getvalue().splitlines()
    assert "| ours | +0.50 (+0.50 to +0.50) | +0.5 (+0.5 to +0.5) |" in lines
    assert any(line.startswith("| place | ours |") for line in lines)
    assert "'pesq_wb': 1" in lines[-1]
    tables = [line for line in lines if line.startswith("|")]
    assert all(line.endswith("|") for line in tables)


def test_what_needs_clean_speech_is_a_part_of_all_metrics() -> None:
    table = measured(Counting().system, None, WITH_REFERENCE)
    assert table.values.shape == (6, 2, len(WITH_REFERENCE))
