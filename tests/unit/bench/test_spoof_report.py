"""Files of trials, intervals that respect who spoke, and the tables made of them."""

import io
import json
from pathlib import Path

import numpy as np
import pytest

from bench.quality.spoof import metrics
from bench.quality.spoof.bootstrap import draw_weights, drawn
from bench.quality.spoof.report import write_tables
from bench.quality.spoof.summary import emotions, plain, reduction, summarise
from bench.quality.spoof.trials import Trials, read_trials, rows_of, trials_of, write_trials
from rtemo.api import RtemoError
from rtemo.scoring.bootstrap import interval

pytestmark = pytest.mark.unit

MOODS = ("neutral", "happy", "angry", "sad", "fear", "")


def rows(arm: str = "gem", apart: float = 2.0, seed: int = 0, **fixed: object) -> list[dict[str, object]]:
    """Eight speakers of two corpora and five systems, six clips each."""
    random = np.random.default_rng(seed)
    made: list[dict[str, object]] = []
    for label, groups in ((0, 8), (1, 5)):
        for group in range(groups):
            shift = random.normal(0, 0.5)
            for clip, emotion in enumerate(MOODS):
                made.append(
                    {
                        "clip": f"{label}-{group}-{clip}",
                        "system": f"tts-{group}" if label else "",
                        "corpus": f"corpus-{group % 2}",
                        "speaker": "" if label else f"speaker-{group}",
                        "emotion": emotion,
                        "fold": "",
                        "band": "full",
                        "seconds": "4",
                        "label": label,
                        "score": apart * (label - 0.5) + shift + random.normal(0, 1),
                        "arm": arm,
                    }
                    | fixed
                )
    return made


def test_trials_come_back_from_their_file(tmp_path: Path) -> None:
    path = tmp_path / "made" / "trials.csv"
    trials = trials_of(rows())
    write_trials(path, rows_of(trials))
    again = read_trials([path])
    assert rows_of(again) == rows_of(trials)
    assert not list(path.parent.glob("*.part"))


def test_a_file_without_arms_is_of_gem(tmp_path: Path) -> None:
    path = tmp_path / "trials.csv"
    path.write_text("clip,system,corpus,band,seconds,label,score\na,,c,full,4,0,-1\nb,tts,c,full,4,1,1.5\n")
    trials = read_trials([path])
    assert trials.arm.tolist() == ["gem", "gem"]
    assert trials.score.tolist() == [-1, 1.5]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"label": 2}, "label"),
        ({"score": "nan"}, "score"),
        ({"score": "high"}, "number"),
        ({"band": "wide"}, "band"),
        ({"seconds": "3"}, "seconds"),
        ({"system": ""}, "system"),
        ({"clip": None}, "clip"),
    ],
)
def test_what_is_no_trial_is_refused_with_its_number(change: dict[str, object], told: str) -> None:
    made = rows()
    made[-1] |= change
    with pytest.raises(RtemoError, match=f"trial {len(made)} .*{told}"):
        trials_of(made)


def test_a_trial_may_be_there_once_per_arm() -> None:
    assert len(trials_of(rows("gem") + rows("single"))) == 2 * len(rows())
    with pytest.raises(RtemoError, match="2 times"):
        trials_of(rows() + rows()[:1])


def test_files_that_are_not_there_and_empty_ones_are_refused(tmp_path: Path) -> None:
    with pytest.raises(RtemoError, match="cannot be read"):
        read_trials([tmp_path / "none.csv"])
    (tmp_path / "empty.csv").write_text("clip,label\n")
    with pytest.raises(RtemoError, match="no trials"):
        read_trials([tmp_path / "empty.csv"])


def test_speakers_and_systems_are_drawn_as_a_whole() -> None:
    trials = trials_of(rows())
    weights = draw_weights(trials, 200)
    for name in np.unique(trials.cluster):
        assert (np.ptp(weights[:, trials.cluster == name], axis=1) == 0).all()
    for label, clusters in ((0, 8), (1, 5)):
        assert (weights[:, trials.label == label].sum(1) == clusters * len(MOODS)).all()
    assert weights.mean() == pytest.approx(1.0)


def test_a_class_of_one_cluster_is_drawn_clip_by_clip() -> None:
    trials = trials_of([row for row in rows() if row["system"] in ("", "tts-0")])
    weights = draw_weights(trials, 100)[:, trials.label == 1]
    assert np.ptp(weights, axis=1).max() > 0
    assert (weights.sum(1) == len(MOODS)).all()


def test_the_interval_holds_the_value_and_is_wider_over_speakers_than_over_clips() -> None:
    made = rows(apart=1.0, seed=4)
    for row in made:  # what a speaker has in common is most of the variance
        row["score"] = (hash_of(str(row["system"]) + str(row["speaker"])) - 0.5) * 6 + 2 * int(str(row["label"]))
    trials = trials_of([row | {"score": float(str(row["score"])) + 0.01 * k} for k, row in enumerate(made)])
    alone = trials_of([row | {"speaker": row["clip"], "system": row["clip"] if row["label"] else ""} for row in made])
    low, high = interval(drawn(metrics.eer, trials, draw_weights(trials)))
    near, far = interval(drawn(metrics.eer, alone, draw_weights(alone)))
    assert low <= metrics.eer(trials.score, trials.label) <= high
    assert high - low > 1.3 * (far - near)


def hash_of(text: str) -> float:
    return sum(map(ord, text)) * 0.618034 % 1


def test_emotions_are_grouped_as_the_gate_groups_them() -> None:
    split = emotions(trials_of(rows()), 20)
    assert list(split["by"]) == ["neutral", "happy", "angry", "sad"]
    assert split["by"]["sad"]["genuine"] == 2 * split["by"]["happy"]["genuine"] == 16  # sad and fear
    assert split["without_label"] == 8 + 5
    found = [e["eer"] for e in split["by"].values()]
    assert split["worst"]["value"] == max(found)
    assert split["spread"]["value"] == pytest.approx(max(found) - min(found))


def test_systems_and_speakers_that_were_trained_on_are_kept_apart() -> None:
    seen = rows(fold="seen-a", apart=9)
    old = [row | {"clip": f"old-{row['clip']}"} for row in seen]
    result = summarise(trials_of(rows() + old), 20)
    assert result["conditions"]["full, 4"]["synthetic"] == 30
    assert result["conditions"]["full, 4"]["genuine"] == 48
    row = result["conditions"]["full, 4, seen systems"]
    assert (row["genuine"], row["synthetic"]) == (48, 30)
    assert row["eer"] < result["conditions"]["full, 4"]["eer"]


def test_a_corpus_with_both_classes_is_also_told_by_itself() -> None:
    apart = [
        row | {"corpus": "calls", "score": float(row["score"]) - 9}  # another level, which tells nothing within
        for row in rows(seed=3)
        if not row["label"]
    ]
    same = [row | {"clip": f"same-{row['clip']}", "corpus": "site"} for row in rows(apart=0.0, seed=4)]
    result = summarise(trials_of([*apart, *same]), draws=20)
    assert list(result["within"]) == ["site"]
    assert result["conditions"]["full, 4"]["eer"] < 0.35 < result["within"]["site"]["eer"]


def test_a_report_on_seen_systems_alone_claims_nothing_of_unseen_ones() -> None:
    result, text = report_of(trials_of([row | {"fold": "seen" if row["label"] else ""} for row in rows()]))
    assert np.isnan(result["conditions"]["full, 4"]["eer"])  # type: ignore[index]
    assert result["conditions"]["full, 4, seen systems"]["eer"] < 0.5  # type: ignore[index]
    assert not result["systems"]
    assert "| pooled |  | 10.0 | unknown |" in text
    assert "nan" not in text


def test_two_arms_of_the_same_scores_save_nothing_in_any_draw() -> None:
    saved = reduction(trials_of(rows("gem")), trials_of(rows("single")), 50)
    assert saved["relative"] == {"value": 0.0, "interval": (0.0, 0.0)}
    assert saved["points"] == {"value": 0.0, "interval": (0.0, 0.0)}


def test_a_better_arm_saves_what_its_error_rates_say() -> None:
    better = trials_of(rows("gem", apart=3.0))
    worse = trials_of(rows("single", apart=1.0))
    shuffled = worse.where(np.random.default_rng(0).permutation(len(worse)))
    saved = reduction(better, shuffled, 200)
    mine, theirs = (metrics.eer(t.score, t.label) for t in (better, worse))
    assert saved["relative"]["value"] == pytest.approx(1 - mine / theirs)
    assert saved["relative"]["interval"][0] > 0
    assert saved["points"]["value"] == pytest.approx(theirs - mine)


def test_arms_are_compared_on_the_trials_both_scored() -> None:
    few = [row for k, row in enumerate(rows("aasist", apart=0.5)) if k % 2]
    saved = reduction(trials_of(few), trials_of(rows("gem")), 20)
    assert saved["trials"] == len(few)


def report_of(trials: Trials) -> tuple[dict[str, object], str]:
    result = summarise(trials, 20)
    out = io.StringIO()
    write_tables(out, result)
    return result, out.getvalue()


def test_every_table_is_there_and_can_be_kept() -> None:
    made: list[dict[str, object]] = []
    for seconds in ("1", "2", "4", "end"):
        made += rows(seconds=seconds, band="full", seed=3) + rows(seconds=seconds, band="telephone", seed=5)
    made += rows("single", 1.0) + rows("oracle", 2.5)
    result, text = report_of(trials_of(made))
    for part in ("full, 1", "full, end", "telephone, 4", "| happy |", "| tts-3 |", "| corpus-1 |", "| single |"):
        assert part in text
    assert "worst" in text
    assert "| pooled |" in text
    assert "nan" not in text
    tables = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert min(tables) > 3
    json.dumps(result, allow_nan=False)


def test_a_file_of_one_class_says_so_rather_than_fails() -> None:
    result, text = report_of(trials_of([row for row in rows() if row["label"]]))
    assert np.isnan(result["conditions"]["full, 4"]["eer"])  # type: ignore[index]
    assert "nan" not in text
    assert "unknown" in text
    assert json.loads(json.dumps(plain(result), allow_nan=False))["conditions"]["full, 4"]["eer"] is None
