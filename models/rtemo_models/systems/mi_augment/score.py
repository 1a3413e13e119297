"""Figures of all arms with intervals by speaker: `python -m rtemo_models.systems.mi_augment.score`."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.scoring.bootstrap import draw_counts, interval
from rtemo.scoring.classes import accuracy_of, macro_f1_of, one_hot, recall_of, softmax, uar_of
from rtemo_models.kit.command import data_option, task, work_option
from rtemo_models.systems.mi_augment.compare import ARMS, GATED, LEFT_OUT_ARMS, PAIRED
from rtemo_models.systems.mi_augment.data import Table, read_table

Array = NDArray[np.float64]
_DRAWS = 1000
RARE = 0.75
"""A class with fewer clips than so many of the corpus' largest is a minority."""
OURS = ("made, emotion and words", GATED)
PLAIN_NETWORK = "made, lam_I = 0"


class Sheet:
    """Counts of one arm: by corpus and seed, clip by clip.

    Args:
        table: All clips.
        logits: [seeds, n, 8].
        rows: Which clips count.
    """

    def __init__(self, table: Table, logits: NDArray[np.float32], rows: NDArray[np.bool_]) -> None:
        label, corpus, mask = table.label.numpy(), table.corpus.numpy(), table.mask.numpy()
        self.counts: dict[str, Array] = {}
        self.speakers: dict[str, NDArray[np.int64]] = {}
        for k, name in enumerate(table.corpora):
            of = rows & (corpus == k)
            if not of.any():
                continue
            said = (logits[:, of] + mask[of]).argmax(2)
            self.counts[name] = np.stack([one_hot(label[of], one, mask.shape[1]) for one in said])
            self.speakers[name] = np.unique(table.speaker[of], return_inverse=True)[1]

    def figure(self, measure: Callable[[Array], Array], corpus: str) -> Array:
        """A measure of a corpus by seed, [seeds]."""
        return measure(self.counts[corpus].sum(1))

    def mean(self, measure: Callable[[Array], Array]) -> float:
        """Mean over corpora of the mean over seeds."""
        return float(np.mean([self.figure(measure, corpus).mean() for corpus in self.counts]))

    def drawn(self, measure: Callable[[Array], Array], corpora: list[str] | None = None) -> Array:
        """The same of draws of speakers of each corpus, [draws]; arms get the same draws."""
        random, values = np.random.default_rng(0), []
        for corpus in self.counts:
            member = self.speakers[corpus]
            weight = draw_counts(int(member.max()) + 1, _DRAWS, random).astype(np.float64)
            if corpora is None or corpus in corpora:
                by = np.zeros((weight.shape[1], *self.counts[corpus].shape[2:]))
                np.add.at(by, member, self.counts[corpus].mean(0))
                values.append(measure(np.tensordot(weight, by, 1)))
        return np.nanmean(values, axis=0)


def minority(classes: Array) -> Callable[[Array], Array]:
    """Mean recall of the classes that have few clips, of counts [..., 8, 9]; `classes` is how many each has."""
    rare = (classes > 0) & (classes < RARE * classes.max())

    def measure(counts: Array) -> Array:
        with np.errstate(invalid="ignore"):
            return np.asarray(np.nanmean(np.where(rare, recall_of(counts), np.nan), axis=-1))

    return measure


def read_logits(work: Path, name: str, arm: str) -> NDArray[np.float32]:
    """What an arm said, [seeds, n, 8]."""
    files = sorted((work / "mi_augment").glob(f"{name}-*.npz"))
    return np.stack([np.load(file)[f"logits|{arm}"] for file in files])


def table_of(sheets: Mapping[str, Sheet], base: str, others: tuple[str, ...]) -> dict[str, Any]:
    """Figures of every arm, and by how much it is above others."""
    found: dict[str, Any] = {}
    for arm, sheet in sheets.items():
        entry: dict[str, Any] = {
            name: round(sheet.mean(measure), 4)
            for name, measure in (("UAR", uar_of), ("WA", accuracy_of), ("F1", macro_f1_of))
        }
        entry["UAR by corpus"] = {c: round(float(sheet.figure(uar_of, c).mean()), 4) for c in sheet.counts}
        entry["deviation over seeds"] = round(
            float(np.mean([sheet.figure(uar_of, c) for c in sheet.counts], axis=0).std()), 4
        )
        rare = {c: minority(sheet.counts[c][0].sum((0, 2))) for c in sheet.counts}
        lows = [float(np.mean(rare[c](sheet.counts[c].sum(1)))) for c in sheet.counts if _has_rare(sheet.counts[c])]
        entry["recall of minorities"] = round(float(np.mean(lows)), 4) if lows else None
        for other in (base, *others):
            if arm != other and other in sheets:
                difference = sheet.drawn(uar_of) - sheets[other].drawn(uar_of)
                low, high = interval(difference)
                value = sheet.mean(uar_of) - sheets[other].mean(uar_of)
                entry[f"UAR above {other}"] = [round(value, 4), round(low, 4), round(high, 4)]
        found[arm] = entry
    return found


def _has_rare(counts: Array) -> bool:
    classes = counts[0].sum((0, 2))
    return bool(((classes > 0) & (classes < RARE * classes.max())).any())


def wrong_found(table: Table, work: Path) -> dict[str, Any]:
    """Whether a voice that does not fit its words is heard wrong: area under the curve, by corpus, mean of seeds."""
    files = sorted((work / "mi_augment").glob("folds-*.npz"))
    label, corpus, mask = table.label.numpy(), table.corpus.numpy(), table.mask.numpy()
    found: dict[str, dict[str, list[float]]] = {}
    for file in files:
        with np.load(file) as kept:
            match, logits = kept["match"], kept["logits|none"] + mask
        wrong = logits.argmax(1) != label
        sure = softmax(logits.astype(np.float64)).max(1)
        for k, name in enumerate(table.corpora):
            of = (corpus == k) & np.isfinite(match)
            if 0 < wrong[of].sum() < of.sum():
                entry = found.setdefault(name, {"by the critic": [], "by confidence": []})
                entry["by the critic"].append(area(-match[of], wrong[of]))
                entry["by confidence"].append(area(-sure[of], wrong[of]))
    return {name: {how: round(float(np.mean(v)), 4) for how, v in e.items()} for name, e in found.items()}


def area(score: NDArray[np.floating[Any]], is_it: NDArray[np.bool_]) -> float:
    """Area under the receiver's curve: how often what is meant scores above what is not."""
    from scipy.stats import rankdata

    ranks = rankdata(score)
    count = int(is_it.sum())
    return float((ranks[is_it].sum() - count * (count + 1) / 2) / (count * (len(score) - count)))


def information_of(work: Path) -> dict[str, float]:
    """Nats that real and made features carry about emotion and words, mean of seeds and folds."""
    files = [np.load(file) for file in sorted((work / "mi_augment").glob("folds-*.npz"))]
    names = files[0]["information names"].tolist()
    return {name: round(float(np.mean([file["information"][k] for file in files])), 4) for k, name in enumerate(names)}


def report(found: Mapping[str, Any]) -> str:
    """The tables in Markdown."""
    lines = []
    for title, part in (
        ("Speakers kept apart", "folds"),
        ("Voice and words", "pairs"),
        ("Corpora left out", "left out"),
    ):
        arms = found[part]
        if not arms:
            continue
        corpora = list(next(iter(arms.values()))["UAR by corpus"])
        head = ["arm", "UAR", "WA", "F1", "minorities", "above none (95 %)", "above lam_I = 0 (95 %)", *corpora]
        lines += [f"## {title}", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        for arm, entry in arms.items():
            base = "pairs, none" if part == "pairs" else "none"
            above = [_told(entry.get(f"UAR above {other}")) for other in (base, PLAIN_NETWORK)]
            rare = entry["recall of minorities"]
            cells = [f"{entry[name]:.3f}" for name in ("UAR", "WA", "F1")] + ["" if rare is None else f"{rare:.3f}"]
            cells += above + [f"{entry['UAR by corpus'][c]:.3f}" for c in corpora]
            lines.append(f"| {arm} | {' | '.join(cells)} |")
        lines.append("")
    lines += ["## Information", "", "| features | nats about emotion and words |", "|---|---|"]
    lines += [f"| {name} | {value:.3f} |" for name, value in found["information"].items()]
    lines += [
        "",
        "## Estimates that are wrong, found",
        "",
        "| corpus | by the critic | by confidence |",
        "|---|---|---|",
    ]
    lines += [f"| {c} | {e['by the critic']:.3f} | {e['by confidence']:.3f} |" for c, e in found["wrong found"].items()]
    return "\n".join([*lines, ""])


def _told(entry: list[float] | None) -> str:
    return "" if entry is None else f"{entry[0]:+.4f} ({entry[1]:+.4f} to {entry[2]:+.4f})"


@task(__doc__, data_option, work_option)
def main(data: Path, work: Path) -> None:
    """Write the figures and their tables."""
    table = read_table(data, work)
    everything = np.ones(len(table.label), bool)
    worded = table.has_text.numpy()
    folds = {a: Sheet(table, read_logits(work, "folds", a), everything) for a in ARMS if a not in PAIRED}
    both = {a: Sheet(table, read_logits(work, "folds", a), worded) for a in ("none", *PAIRED)} if worded.any() else {}
    left = {a: Sheet(table, read_logits(work, "left-out", a), everything) for a in LEFT_OUT_ARMS}
    found = {
        "clips": len(table.label),
        "speakers": len(set(table.speaker.tolist())),
        "folds": table_of(folds, "none", (PLAIN_NETWORK,)),
        "pairs": table_of(both, PAIRED[0], ()),
        "left out": table_of(left, "none", (PLAIN_NETWORK,)),
        "information": information_of(work),
        "wrong found": wrong_found(table, work),
    }
    (work / "mi_augment" / "scores.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    (work / "mi_augment" / "TABLES.md").write_text(report(found), encoding="utf-8")


if __name__ == "__main__":
    main()
