"""Spoof detection page by page: `python -m bench.quality.spoof.pages --trials FILE... [--data DIR]`.

Genuine and synthetic clips of one demonstration page share voices, rooms and microphones, so there is hardly anything
but synthesis to tell them apart; pooled trials also measure the recognition of recordings. Prints for every arm and
band the equal error rate within pages (mean and worst), pooled over pages, of voice conversion against the speech that
it was made of, and per emotion, with detection costs; intervals draw whole pages. Arms are then compared on the same
draws. `corpus` of a trial is its page.
"""

import argparse
import csv
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from bench.quality.spoof import metrics
from bench.quality.spoof.summary import plain
from bench.quality.spoof.trials import BANDS, GATE, Trials, read_trials
from rtemo.api import RtemoError
from rtemo.scoring.bootstrap import draw_counts, interval

LEAST = 4
"""Clips of each class that a page must have to be scored by itself."""
LEAST_OF_WORST = 10
"""The same to be called the worst: of fewer clips one error is more than 10 %."""
CONVERSION = ("vc", "evc")
DRAWS = 1000


class Pages:
    """Trials of one arm and band, by page.

    Args:
        trials: Of one arm and band.
    """

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self.names, self.member = np.unique(trials.corpus, return_inverse=True)
        genuine, synthetic = (np.bincount(self.member[trials.label == k], minlength=len(self.names)) for k in (0, 1))
        self.fewer = np.minimum(genuine, synthetic)
        self.eer = np.full(len(self.names), np.nan)
        for page in np.flatnonzero(self.fewer >= LEAST).tolist():
            rows = self.member == page
            self.eer[page] = float(metrics.eer(trials.score[rows], trials.label[rows]))

    @property
    def both(self) -> NDArray[np.bool_]:
        """Which trials are of pages with both classes."""
        return np.asarray(np.isfinite(self.eer)[self.member])

    def mean(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Mean error within pages of every draw, counts [draws, pages]."""
        known = np.isfinite(self.eer)
        return np.asarray((counts[:, known] * self.eer[known]).sum(1) / np.maximum(counts[:, known].sum(1), 1))

    def worst(self, counts: NDArray[np.int64]) -> NDArray[np.float64]:
        """Worst page of every draw, of those that have enough clips."""
        known = np.isfinite(self.eer) & (self.fewer >= LEAST_OF_WORST)
        if not known.any():
            return np.full(len(counts), np.nan)
        return np.asarray(np.where(counts[:, known] > 0, self.eer[known], 0.0).max(1))

    def pooled(
        self, counts: NDArray[np.int64], rows: NDArray[np.bool_], metric: Callable[..., Any] = metrics.eer
    ) -> NDArray[np.float64]:
        """A metric over some trials of every draw; NaN where these lack a class."""
        if len(np.unique(self.trials.label[rows])) < 2:
            return np.full(len(counts), np.nan)
        score, label, member = self.trials.score[rows], self.trials.label[rows], self.member[rows]
        parts = [metric(score, label, counts[at : at + 50][:, member]) for at in range(0, len(counts), 50)]
        return np.concatenate(parts)


def figures(pages: Pages, conversion: frozenset[str], draws: int) -> dict[str, Any]:
    """All figures of one arm and band, each a value and its interval over pages."""
    trials, random = pages.trials, np.random.default_rng(0)
    counts = np.concatenate([np.ones((1, len(pages.names)), np.int64), draw_counts(len(pages.names), draws, random)])
    both = pages.both
    of_conversion = np.isin(trials.system, sorted(conversion))
    sources = np.isin(trials.corpus, np.unique(trials.corpus[of_conversion]))
    found = {
        "same page": pages.mean(counts),
        "worst page": pages.worst(counts),
        "pooled": pages.pooled(counts, both),
        "conversion": pages.pooled(counts, both & sources & (of_conversion | (trials.label == 0))),
        "minDCF": pages.pooled(counts, both, metrics.min_dcf),
        "actDCF": pages.pooled(counts, both, metrics.act_dcf),
        "Cllr": pages.pooled(counts, both, metrics.cllr),
    }
    emotions = {name: pages.pooled(counts, both & (trials.expert == name)) for name in GATE}
    every = np.stack(list(emotions.values()))
    found |= emotions | {"worst emotion": every.max(0), "spread": every.max(0) - every.min(0)}
    result: dict[str, Any] = {k: {"value": float(v[0]), "interval": interval(v[1:])} for k, v in found.items()}
    known = np.isfinite(pages.eer)
    result["pages"] = int(known.sum())
    result["by page"] = {
        str(pages.names[k]): {"eer": float(pages.eer[k]), "fewer": int(pages.fewer[k])}
        for k in np.flatnonzero(known)[np.argsort(-pages.eer[known])].tolist()
    }
    return result


def saved(own: Pages, rival: Pages, draws: int) -> dict[str, Any]:
    """By how much the mean error within pages is below a rival's, on the same pages and draws."""
    if own.names.tolist() != rival.names.tolist():
        return {}
    counts = draw_counts(len(own.names), draws, np.random.default_rng(0))
    once = np.ones((1, len(own.names)), np.int64)
    mine, theirs = own.mean(once)[0], rival.mean(once)[0]
    drawn = 1 - own.mean(counts) / rival.mean(counts)
    return {"value": float(1 - mine / theirs), "interval": interval(drawn)}


def family_of(data: Path | None) -> dict[str, str]:
    """Name of a system, as it is and plain → its family, from the manifest of the pages."""
    if data is None:
        return {}
    with (data / "spoof2" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        found = {row["system"]: row["family"] for row in csv.DictReader(file) if row["family"]}
    return found | {"".join(c for c in name.lower() if c.isalnum() or c == "+"): kind for name, kind in found.items()}


def by_family(pages: Pages, families: dict[str, str], draws: int) -> dict[str, Any]:
    """Mean error within pages of the systems of each family, against the genuine speech of the same page."""
    trials, found = pages.trials, {}
    kind = np.array([families.get(str(system), "") for system in trials.system])
    for family in sorted(set(families.values())):
        own = Pages(trials.where((trials.label == 0) | (kind == family)))
        counts = draw_counts(len(own.names), draws, np.random.default_rng(0))
        value = own.mean(np.ones((1, len(own.names)), np.int64))[0]
        known = int(np.isfinite(own.eer).sum())
        if known:
            found[family] = {"pages": known, "value": float(value), "interval": interval(own.mean(counts))}
    return found


def write_tables(out: TextIO, result: dict[str, Any]) -> None:
    """Print what was found."""
    for band, arms in result.items():
        names = ["same page", "worst page", "pooled", "conversion", *GATE, "worst emotion", "spread"]
        out.write(f"\n**{band} band: equal error rate in %, 95 % over pages**\n\n")
        out.write(
            "| arm | pages | " + " | ".join([*names, "minDCF", "actDCF", "Cllr", "saved over it by gem"]) + " |\n"
        )
        out.write("|---" * (len(names) + 6) + "|\n")
        for arm, entry in arms.items():
            cells = [arm, str(entry["pages"])]
            cells += [_cell(entry[name], 100.0) for name in names]
            cells += [f"{entry[name]['value']:.3f}" for name in ("minDCF", "actDCF", "Cllr")]
            out.write("| " + " | ".join([*cells, _cell(entry.get("saved"), 100.0)]) + " |\n")
        arm, entry = next(iter(arms.items()))
        worst = list(entry["by page"].items())[:8]
        out.write(f"\nhighest pages of {arm}: ")
        out.write(", ".join(f"{page} {100 * e['eer']:.0f} % ({e['fewer']})" for page, e in worst) + "\n")
        told = [f"{name} {_cell(e, 100.0)} of {e['pages']}" for name, e in entry["by family"].items()]
        if told:
            out.write(f"within pages, by family: {', '.join(told)}\n")


def _cell(entry: dict[str, Any] | None, scale: float) -> str:
    if not entry or not np.isfinite(entry["value"]):
        return ""
    low, high = entry["interval"]
    return f"{scale * entry['value']:.1f} ({scale * low:.1f} to {scale * high:.1f})"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=Path, nargs="+", required=True, help="scored trials, an arm or more each")
    parser.add_argument("--data", type=Path, default=os.environ.get("RTEMO_DATA"), help="tells which systems convert")
    parser.add_argument("--seconds", default="4", help="speech that a score rests on")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--out", type=Path, help="the same as JSON")
    options = parser.parse_args()
    try:
        trials = read_trials(options.trials)
    except RtemoError as error:
        sys.exit(f"{error}")
    trials = trials.where(trials.seconds == options.seconds)
    families = family_of(Path(options.data) if options.data else None)
    conversion = frozenset(name for name, family in families.items() if family in CONVERSION)
    result: dict[str, Any] = {}
    for band in BANDS:
        arms = {arm: trials.where((trials.arm == arm) & (trials.band == band)) for arm in dict.fromkeys(trials.arm)}
        pages = {arm: Pages(own) for arm, own in arms.items() if len(own)}
        if pages:
            first = next(iter(pages))
            result[band] = {arm: figures(own, conversion, options.draws) for arm, own in pages.items()}
            for arm, own in pages.items():
                result[band][arm]["by family"] = by_family(own, families, options.draws)
                if arm != first:
                    result[band][arm]["saved"] = saved(pages[first], own, options.draws)
    write_tables(sys.stdout, result)
    if options.out:
        options.out.write_text(json.dumps(plain(result), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
