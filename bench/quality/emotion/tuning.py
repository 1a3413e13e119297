"""What tuning is worth: `python -m bench.quality.emotion.tuning --data DIR --work DIR`.

`rtemo tune merit` is fitted to the training speakers of a corpus and measured on its dev speakers, of whom neither the
bundle nor what is fitted has heard anything: with the bundle as it is, with its last layer fitted, and with --lora. The
bundle knows the training speakers of all corpora but BAVED, of whose words it learnt how roused they are and nothing
else, and whose three classes it does not have. Intervals draw speakers again.
"""

import argparse
import csv
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.quality.emotion.streams import write_json
from rtemo.api import EMOTIONS
from rtemo.cli.evaluation.clips import Clip, Reading, read_clips
from rtemo.cli.evaluation.result import Result
from rtemo.cli.evaluation.scores import Figure, compare

CORPORA = ("baved", "rakshak", "ravdess")
ROUSED = {"0": "faint", "1": "usual", "2": "roused"}
"""BAVED's levels as classes."""


class Run(NamedTuple):
    """One tuning."""

    result: Result
    wall_s: float
    cpu_s: float


def write_clips(data: Path, corpus: str, place: Path) -> float:
    """Write the clips of a corpus as a file that `rtemo tune` reads; how many hours they are."""
    hours = 0.0
    with (data / "emotion/manifest.csv").open(newline="") as source, place.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "speaker", "corpus", "split"))
        for row in csv.DictReader(source):
            label = row["emotion"] or ROUSED.get(row["level"], "")
            if row["corpus"] == corpus and label:
                writer.writerow(((data / row["path"]).resolve(), label, row["speaker"], corpus, row["split"]))
                hours += float(row["duration_s"]) / 3600
    return hours


def tune(clips: Path, out: Path, more: tuple[str, ...]) -> Run:
    """Tune once in a process of its own, or read what an earlier run has found."""
    report, spent = out.with_suffix(".json"), out.with_suffix(".spent.json")
    if not spent.exists():
        words = ("tune", "merit", "--data", clips, "--held-out", "dev", "--out", out, "--json", report, *more)
        began_s = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "rtemo.cli.main", *map(str, words)], stdout=subprocess.DEVNULL
        )
        _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status) not in (0, 1):
            raise SystemExit(f"rtemo {' '.join(map(str, words))} has failed")
        write_json(spent, {"wall_s": time.monotonic() - began_s, "cpu_s": usage.ru_utime + usage.ru_stime})
    times = msgspec.json.decode(spent.read_bytes())
    return Run(msgspec.json.decode(report.read_bytes(), type=Result), times["wall_s"], times["cpu_s"])


def shown(figure: Figure | None, sign: str = "") -> str:
    """A figure with its interval."""
    if figure is None:
        return ""
    interval = "" if figure.low is None else f" ({figure.low:{sign}.3f} to {figure.high:{sign}.3f})"
    return f"{figure.value:{sign}.3f}{interval}"


def gain(clips: list[Clip], after: Result, before: Result) -> Figure:
    """UAR of one tuned bundle less that of another."""
    names = (*EMOTIONS, *sorted({clip.label for clip in clips} - set(EMOTIONS)))
    given = [result.answers["after"] for result in (after, before)]
    return compare(clips, "after", given[0], "before", given[1], names).measures["uar"]


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="bundles and reports; what is there is not done again")
    parser.add_argument("--corpora", default=",".join(CORPORA))
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--rank", type=int, default=8)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for corpus in options.corpora.split(","):
        file = options.work / f"{corpus}.csv"
        hours = write_clips(options.data, corpus, file)
        clips = read_clips(file, Reading(split="dev", is_free=True)).clips
        more = ("--lora", "--layers", str(options.layers), "--rank", str(options.rank))
        heads = tune(file, options.work / f"{corpus}-heads", ())
        lora = tune(file, options.work / f"{corpus}-lora-{options.layers}-{options.rank}", more)
        before, after = heads.result.systems
        tuned = lora.result.systems[-1]
        knows = set(after.scores.labels) <= set(EMOTIONS)
        rows.append(
            (
                f"{corpus}, {hours:.2f} h",
                f"{after.scores.clips} of {after.scores.speakers}",
                f"{after.scores.chance_uar:.2f}",
                shown(before.scores.uar_closed) if knows else "does not know the classes",
                shown(after.scores.uar),
                shown(tuned.scores.uar),
                shown(gain(clips, lora.result, heads.result), "+"),
                *(f"{run.wall_s / hours / 60:.0f} min ({run.cpu_s / hours / 60:.0f})" for run in (heads, lora)),
            )
        )
    titles = (
        "corpus",
        "clips of speakers",
        "chance",
        "as it ships",
        "last layer",
        "with --lora",
        "--lora less last layer",
    )
    titles += ("per hour of audio: last layer (of a processor)", "--lora")
    for line in (titles, ("---",) * len(titles), *rows):
        sys.stdout.write(f"| {' | '.join(line)} |\n")


if __name__ == "__main__":
    main()
