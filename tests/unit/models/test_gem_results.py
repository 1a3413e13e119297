"""What the card of gem tells: scores of the report, and what its thresholds catch on the scale of what ships."""

import csv
import json
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")

from rtemo_models.kit.run_folder import save_net  # noqa: E402
from rtemo_models.systems.gem.net import Gem  # noqa: E402
from rtemo_models.systems.gem.train import results as gem_results  # noqa: E402
from rtemo_models.systems.gem.train.trials import COLUMNS  # noqa: E402

pytestmark = pytest.mark.unit


def net_of(path: Path, slope: float, offset: float) -> Path:
    net = Gem()
    net.calibration[:] = torch.tensor([slope, offset])
    save_net(net, path)
    return path


def trials_of(path: Path, fold: int, score: float) -> Path:
    unseen = dict.fromkeys(COLUMNS, "") | {"fold": str(fold), "band": "full", "seconds": "4", "label": 1, "arm": "gem"}
    rows = [
        unseen | {"score": score},
        unseen | {"score": 99, "fold": f"seen-{fold}"},
        unseen | {"score": 99, "arm": "x"},
    ]
    rows += [unseen | {"score": 99, "label": 0}, unseen | {"score": 99, "seconds": "2"}]
    rows += [unseen | {"score": score - 1, "band": "telephone"}]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_scores_of_the_folds_are_put_on_the_scale_of_what_ships(tmp_path: Path) -> None:
    trials = [trials_of(tmp_path / f"{k}.csv", k, 2.0 * k + 1.0) for k in range(4)]
    scores = gem_results.synthetic_scores(trials, [(2.0, 1.0)] * 4, (0.5, 0.25))
    assert scores["full"].tolist() == [0.25, 0.75, 1.25, 1.75]  # 0, 1, 2 and 3 before calibration
    assert scores["telephone"].tolist() == [0.0, 0.5, 1.0, 1.5]


def test_card_tells_scores_and_thresholds_and_the_share_they_catch(tmp_path: Path, capsys) -> None:
    entry = {"eer": 0.31234, "min_dcf": 0.7, "cllr": 0.8}
    conditions = dict.fromkeys(("full, 1", "full, 2", "full, 4", "telephone, 4"), entry)
    report = {"conditions": conditions, "emotions": {"by": {"sad": entry}}, "within": {"a": entry, "b": {"eer": 0.5}}}
    (tmp_path / "report.json").write_text(json.dumps(report))
    (tmp_path / "alarms.json").write_text(
        json.dumps({"card": {"threshold_at_1_per_hour": 1.0, "bona_fide_below": 9.0}})
    )
    folds = [str(net_of(tmp_path / f"{k}.pt", 2.0, 1.0)) for k in range(4)]
    trials = [str(trials_of(tmp_path / f"{k}.csv", k, 2.0 * k + 1.0)) for k in range(4)]
    net, out = net_of(tmp_path / "all.pt", 0.5, 0.25), tmp_path / "results.json"
    told = ["--report", str(tmp_path / "report.json"), "--false-alarms", str(tmp_path / "alarms.json")]
    command = ["--net", str(net), "--folds", *folds, "--trials", *trials, *told, "--out", str(out)]
    gem_results.main.main(command, standalone_mode=False)
    results = json.loads(out.read_text())
    assert results["calibration"]["threshold_at_1_per_hour"] == 1.0
    assert results["calibration"]["bona_fide_below"] == pytest.approx(0.325)  # 5 % of .25, .75, 1.25, 1.75 lie below
    assert results["calibration"]["slope"] == 0.5
    assert results["scores"]["unseen_systems_4_s"] == {"eer": 0.312, "min_dcf": 0.7, "cllr": 0.8}
    assert results["scores"]["same_corpus_4_s"]["eer"] == pytest.approx(0.406)
    assert results["caught"]["full"] == {"threshold_at_1_per_hour": 0.5}
    assert '"telephone": {"threshold_at_1_per_hour": 0.5}' in capsys.readouterr().out
