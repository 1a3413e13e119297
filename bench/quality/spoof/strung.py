"""Calls strung together of scored clips: `python -m bench.quality.spoof.strung --trials FILE --data DIR --card CARD`.

Clips of one system and page, or of the genuine speech of one page, are strung together to calls, and the verdicts of
the plugin `listener` are run over their scores with the calibration of a card: how many calls of unseen systems
are told within 20 s of speech, and how often genuine speech raises a false alarm. Every decision within a clip takes
the score of the whole clip, from networks that never saw the page; so the encoder need not run again.
"""

import argparse
import csv
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np

from bench.quality.spoof.operating_points import poisson_interval
from bench.quality.spoof.trials import BANDS, Trials, read_trials
from rtemo.api import EXPERTS, ModelCard, RtemoError, Spoof
from rtemo.scoring.bootstrap import draw_counts, interval
from rtemo_plugins.listener.judgement import LEAST_S, Judgement
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.verdicts import Verdicts

RATE_HZ = 16_000
TOLD_WITHIN_S = 20.0
STRIDE_S = 0.5
MOST_CLIP_S = 4.0


class Stream(NamedTuple):
    """Who a stream is."""

    id: int
    call: str
    channel: str = "mono"
    role: str = ""
    analysis: str = "person"


class Result(NamedTuple):
    """What became of a call; times in seconds of its speech, inf for never."""

    page: str
    is_synthetic: bool
    speech_s: float
    spoof_s: float
    alarm_s: float
    alarms: int


def string(trials: Trials, duration_s: dict[str, float], call_s: float) -> list[list[int]]:
    """Rows of the clips of each call: of one page and system, or genuine, at least so long where there is so much."""
    calls: list[list[int]] = []
    names = np.char.add(np.char.add(trials.corpus, "\t"), trials.system)
    for name in np.unique(names).tolist():
        rows, call, spoken_s = np.flatnonzero(names == name).tolist(), list[int](), 0.0
        for row in rows:
            call.append(row)
            spoken_s += min(MOST_CLIP_S, duration_s.get(str(trials.clip[row]), 0.0))
            if spoken_s >= call_s:
                calls.append(call)
                call, spoken_s = [], 0.0
        if call and not any(names[c[0]] == name for c in calls):
            calls.append(call)  # there is no more of it
    return calls


def hear(trials: Trials, rows: Sequence[int], duration_s: dict[str, float], verdicts: Verdicts, number: int) -> Result:
    """Run the verdicts over one call."""
    stream = Stream(number, f"call-{number}")
    said: list[Spoof] = []
    at = 0

    def emit(_: object, payload: object, start_sample: int, end_sample: int) -> None:
        if isinstance(payload, Spoof):
            said.append(payload)

    for row in rows:
        score = float(trials.score[row])
        shares = (score / len(EXPERTS),) * len(EXPERTS)
        length = int(min(MOST_CLIP_S, duration_s.get(str(trials.clip[row]), 0.0)) * RATE_HZ)
        for end in range(int(LEAST_S * RATE_HZ), length + 1, int(STRIDE_S * RATE_HZ)):
            verdicts.tell(stream, Judgement(score, shares), at, at + end, emit)
        at += length + RATE_HZ // 2
    spoof_s = min((s.speech_s for s in said if s.verdict == "spoof"), default=float("inf"))
    alarmed = [s.speech_s for s in said if s.trigger == "alarm"]
    spoken_s = sum(min(MOST_CLIP_S, duration_s.get(str(trials.clip[row]), 0.0)) for row in rows)
    label = bool(trials.label[rows[0]])
    return Result(
        str(trials.corpus[rows[0]]), label, spoken_s, spoof_s, min(alarmed, default=float("inf")), len(alarmed)
    )


def share_told(results: Sequence[Result], draws: int = 1000) -> tuple[float, tuple[float, float]]:
    """Share of calls that were alarmed within 20 s of speech, 95 % over pages."""
    pages, member = np.unique([r.page for r in results], return_inverse=True)
    told = np.array([r.alarm_s <= TOLD_WITHIN_S for r in results], np.float64)
    hits, sizes = np.bincount(member, told, len(pages)), np.bincount(member, minlength=len(pages))
    counts = draw_counts(len(pages), draws, np.random.default_rng(0))
    return float(told.mean()), interval((counts @ hits) / (counts @ sizes))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=Path, nargs="+", required=True)
    parser.add_argument("--data", type=Path, default=os.environ.get("RTEMO_DATA"), help="default: RTEMO_DATA")
    parser.add_argument("--card", type=Path, required=True, help="card whose calibration is used")
    parser.add_argument("--arm", default="gem-large")
    parser.add_argument("--call-s", type=float, default=20.0, help="speech of a call at least, where there is so much")
    parser.add_argument("--per-hour", type=float, nargs="+", default=[1.0], help="false alarms to put up with")
    options = parser.parse_args()
    if options.data is None:
        parser.error("give the folder of the corpora with --data or RTEMO_DATA")
    try:
        trials = read_trials(options.trials)
        card = msgspec.json.decode(options.card.read_bytes(), type=ModelCard)
    except (RtemoError, OSError, msgspec.DecodeError) as error:
        sys.exit(f"{error}")
    duration_s: dict[str, float] = {}
    for folder in ("spoof2", "spoof"):
        with (Path(options.data) / folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
            duration_s |= {row["path"]: float(row["duration_s"]) for row in csv.DictReader(file)}
    sys.stdout.write("| per hour | band | threshold | genuine calls, speech h | false alarms (per hour, 95 %) | ")
    sys.stdout.write(
        "synthetic calls of 15 s or more | alarmed within 20 s, % (95 % over pages) | verdict spoof, % |\n"
    )
    sys.stdout.write("|---" * 8 + "|\n")
    for per_hour in options.per_hour:
        for band in BANDS:
            own = trials.where((trials.arm == options.arm) & (trials.band == band) & (trials.seconds == "4"))
            verdicts = Verdicts(card, ListenerOptions(false_alarms_per_hour=per_hour, refresh_s=0.5), RATE_HZ)
            calls = string(own, duration_s, options.call_s)
            results = [hear(own, rows, duration_s, verdicts, k) for k, rows in enumerate(calls)]
            genuine = [r for r in results if not r.is_synthetic]
            synthetic = [r for r in results if r.is_synthetic and r.speech_s >= 15]
            hours, count = sum(r.speech_s for r in genuine) / 3600, sum(r.alarms for r in genuine)
            low, high = poisson_interval(count, hours)
            told, (least, most) = share_told(synthetic)
            suspected = 100 * np.mean([r.spoof_s <= TOLD_WITHIN_S for r in synthetic])
            sys.stdout.write(
                f"| {per_hour:g} | {band} | {verdicts.threshold:.2f} | {len(genuine)}, {hours:.2f} | "
                f"{count} ({count / hours:.1f}, {low:.1f} to {high:.1f}) | {len(synthetic)} | "
                f"{100 * told:.0f} ({100 * least:.0f} to {100 * most:.0f}) | {suspected:.0f} |\n"
            )


if __name__ == "__main__":
    main()
