"""Changes of mood in calls: `python -m bench.quality.rank.rolling --data DIR --work DIR`.

Clips of one speaker in a row, about 24 s a mood, as they are and in dev noises at 5 dB; besides, calls in which the
mood stays. Every system is swept over its threshold; compared are the delay until a change is reported (a missed one
counts 12 s) and the share found, where each reports as many false changes per hour. False is every report that comes
later than 12 s after a change, also one for a clip that is louder or stronger than the others of its mood: natural
calls are calmer.

- *ranker*: the plugin's own code, on the words of vad and merit.
- *smoothed label*: emotion probabilities of merit, exponentially smoothed over speech; a report when the leading label
  changes by a margin. What people build today.
- *smoothed departure*: the same probabilities, watched the way the ranker watches moods.

The time constants of the smoothing are chosen for each figure in their favour, on these very calls.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality.rank.call_words import CallWords, hear
from bench.quality.rank.change_reports import (
    Reports,
    Verdict,
    departures,
    judge,
    label_switches,
    ranker_reports,
    ranker_series,
    smoothed,
)
from bench.quality.rank.mood_calls import MoodCall, in_noise, mood_calls
from rtemo.runtime import ModelStore
from rtemo.scoring.bootstrap import interval
from rtemo_models.kit.corpora.caches import open_caches
from rtemo_plugins.ranker.rolling import ChangeRule

RATES_PER_HOUR = (5.0, 10.0, 20.0, 40.0)
TAUS_S = (1.0, 2.0, 3.0, 5.0)
CONDITIONS = {"clean": None, "noise at 5 dB": 5.0}
DRAWS = 1000

Sweep = list[tuple[float, Verdict]]
"""(threshold, verdict), by falling false reports."""


def sweep(calls: Sequence[MoodCall], report: Callable[[float], Reports], thresholds: NDArray[np.float64]) -> Sweep:
    """Judge a system at every threshold."""
    return [(float(threshold), judge(calls, report(threshold))) for threshold in thresholds]


def at_rate(found: Sweep, per_hour: float) -> tuple[float, Verdict]:
    """The lowest threshold that keeps to a rate of false reports: what a system can do within it."""
    kept = [(threshold, verdict) for threshold, verdict in found if verdict.false_per_hour() <= per_hour]
    return min(kept, key=lambda one: one[1].delay_s()) if kept else found[-1]


def systems(calls: Sequence[MoodCall], heard: Sequence[CallWords], bundle: str) -> dict[str, list[Sweep]]:
    """Sweep every system; several sweeps where a time constant is to be chosen."""
    model = ModelStore().load(bundle)
    series, count = ranker_series(heard, model)
    shares = [model.card.calibration.get(f"within_share_{name}", 1.0) for name in model.card.labels]

    def ranked(limit_z: float) -> Reports:
        return ranker_reports(series, count, ChangeRule(np.array(shares), limit_z))

    found = {"ranker": [sweep(calls, ranked, np.geomspace(1.0, 14.0, 40))]}
    margins = np.linspace(0.0, 0.98, 50)
    for name, kind in (("smoothed label", label_switches), ("smoothed departure", departures)):
        found[name] = []
        for tau_s in TAUS_S:
            probabilities = smoothed(heard, tau_s)
            found[name].append(sweep(calls, lambda m, k=kind, p=probabilities: k(p, m), margins))  # type: ignore[misc]
    return found


def lead(calls: Sequence[MoodCall], one: Verdict, other: Verdict) -> tuple[float, float, float]:
    """By how many seconds one is earlier than the other, with a 95 % interval over speakers."""
    names = sorted({call.speaker for call in calls})
    member = np.array([names.index(call.speaker) for call in calls])
    random = np.random.default_rng(0)
    drawn = []
    for _ in range(DRAWS):
        counts = random.multinomial(len(names), np.full(len(names), 1 / len(names)))[member]
        drawn.append(other.delay_s(counts) - one.delay_s(counts))
    low, high = interval(np.asarray(drawn))
    return other.delay_s() - one.delay_s(), float(low), float(high)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with the corpora")
    parser.add_argument("--work", type=Path, required=True, help="folder for caches, that of the ranker's training")
    parser.add_argument("--bundle", default="ranker", help="name or folder of the bundle")
    parser.add_argument("--split", default="dev", help="speakers of which split")
    parser.add_argument("--out", type=Path, help="JSON file that gets all figures")
    options = parser.parse_args()
    made = open_caches(options.data, options.work / "cache")
    noises = [made.noise_audio.samples(i) for i, split in enumerate(made.noise_split) if split == options.split]
    plain = mood_calls(made.clips, made.audio, options.split)
    hours = sum(call.duration_s for call in plain) / 3600
    changes = sum(len(call.change_s) for call in plain)
    speakers = len({call.speaker for call in plain})
    print(f"{len(plain)} calls of {speakers} speakers, {hours:.1f} h, {changes} changes\n")
    print("| condition | false per hour | system | threshold | found | delay, s | earlier than the label by, s |")
    print("|---|---|---|---|---|---|---|")
    figures = []
    for condition, snr_db in CONDITIONS.items():
        calls = plain if snr_db is None else [in_noise(call, noises, snr_db, k) for k, call in enumerate(plain)]
        heard = hear(
            calls, options.work / "rolling" / f"{options.split}-{'clean' if snr_db is None else f'{snr_db:g}db'}"
        )
        found = systems(calls, heard, options.bundle)
        for rate in RATES_PER_HOUR:
            best = {
                name: min((at_rate(one, rate) for one in sweeps), key=lambda kept: kept[1].delay_s())
                for name, sweeps in found.items()
            }
            for name, (threshold, verdict) in best.items():
                ahead = lead(calls, verdict, best["smoothed label"][1])
                told = "" if name == "smoothed label" else f"{ahead[0]:+.2f} ({ahead[1]:+.2f} to {ahead[2]:+.2f})"
                print(
                    f"| {condition} | {rate:g} | {name} | {threshold:.2f} | {verdict.found():.2f} | "
                    f"{verdict.delay_s():.2f} | {told} |",
                    flush=True,
                )
                figures.append(
                    {
                        "condition": condition,
                        "false_per_hour": rate,
                        "system": name,
                        "threshold": threshold,
                        "found": verdict.found(),
                        "delay_s": verdict.delay_s(),
                        "earlier_s": ahead,
                    }
                )
    if options.out:
        options.out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
