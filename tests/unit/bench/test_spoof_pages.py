"""Spoof detection page by page."""

import io

import numpy as np
import pytest

from bench.quality.spoof.pages import Pages, by_family, figures, saved, write_tables
from bench.quality.spoof.trials import Trials, trials_of

pytestmark = pytest.mark.unit


def made(gap: float, offsets: tuple[float, ...] = (0.0, 5.0, -5.0), arm: str = "a") -> Trials:
    """Pages whose recordings move all scores, and whose classes are so far apart."""
    random = np.random.default_rng(0)
    rows = []
    for page, offset in enumerate(offsets):
        for k in range(40):
            label = k % 2
            score = offset + gap * label + random.standard_normal()
            emotion = ("neutral", "happy", "angry", "sad")[k // 2 % 4]
            rows.append({
                "clip": f"{page}-{k}", "system": "vc-x" if label else "", "corpus": f"page{page}", "emotion": emotion,
                "band": "full", "seconds": "4", "label": label, "score": score, "arm": arm, "fold": "0",
            })  # fmt: skip
    return trials_of(rows)


def test_recordings_that_move_scores_show_in_the_pooled_error_and_not_within_pages() -> None:
    found = figures(Pages(made(6.0)), frozenset({"vc-x"}), 50)
    assert found["pages"] == 3
    assert found["same page"]["value"] == 0.0
    assert found["pooled"]["value"] > 0.2
    assert found["conversion"]["value"] == found["pooled"]["value"]


def test_the_worst_page_and_intervals_are_of_pages() -> None:
    trials = made(4.0, (0.0, 0.0, 0.0))
    spoilt = trials.score.copy()
    spoilt[trials.corpus == "page2"] *= -1
    worse = Trials(*(spoilt if name == "score" else getattr(trials, name) for name in Trials.__dataclass_fields__))
    found = figures(Pages(worse), frozenset(), 200)
    assert found["worst page"]["value"] > 0.9
    assert found["same page"]["value"] == pytest.approx(found["worst page"]["value"] / 3, abs=0.05)
    low, high = found["same page"]["interval"]
    assert low < found["same page"]["value"] < high


def test_a_page_with_too_few_of_a_class_is_not_scored_by_itself() -> None:
    trials = made(4.0)
    keep = ~((trials.corpus == "page0") & (trials.label == 0)) | (np.arange(len(trials)) < 4)
    assert figures(Pages(trials.where(keep)), frozenset(), 20)["pages"] == 2


def test_what_an_arm_saves_is_measured_on_the_same_pages_and_printed() -> None:
    good, bad = Pages(made(3.0)), Pages(made(0.5, arm="b"))
    entry = saved(good, bad, 100)
    assert entry["value"] > 0.5
    assert entry["interval"][0] > 0
    assert saved(good, Pages(made(1.0, (0.0,))), 10) == {}
    families = by_family(good, {"vc-x": "vc"}, 20)
    assert families["vc"]["pages"] == 3
    first = figures(good, frozenset(), 20) | {"by family": families}
    result = {"full": {"a": first, "b": figures(bad, frozenset(), 20) | {"saved": entry}}}
    out = io.StringIO()
    write_tables(out, result)
    assert "| b | 3 |" in out.getvalue()
