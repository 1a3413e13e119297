"""False alarms on genuine speech: `python -m bench.quality.spoof.false_alarms --data DIR`.

Genuine callers - emotional and neutral dev speakers, each one's clips strung together, and the recorded calls - are
streamed through rtemo with its default settings. An alarm is a verdict that turns to `spoof`; the rate is per hour of
speech. Prints what the operating point gives per corpus, and the threshold on the score for each rate of false
alarms, which goes into the card's calibration.
"""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

import numpy as np
from numpy.typing import NDArray

from bench.quality.spoof.clips import Call, genuine_calls, in_band
from bench.quality.spoof.heard import Heard
from bench.quality.spoof.score import Detector, open_detector
from bench.quality.spoof.summary import plain
from bench.quality.spoof.trials import BANDS, Trials, read_trials
from rtemo.api import RtemoError

RATES_PER_H = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
AIM_PER_H = 1.0
LEAST_SPEECH_S = 1.5
"""Speech before which nobody is suspected."""


def rises(series: Sequence[NDArray[np.float64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Every rise in some series of scores: from where, -inf at the beginning, to where; float64 [k] each."""
    low = [np.concatenate([[-np.inf], s[:-1]]) for s in series if len(s)]
    if not low:
        return np.zeros(0), np.zeros(0)
    before, after = np.concatenate(low), np.concatenate([s for s in series if len(s)])
    return before[after > before], after[after > before]


def alarms(series: Sequence[NDArray[np.float64]], threshold: float) -> int:
    """How often a score comes to a threshold from below."""
    low, high = rises(series)
    return int(np.sum((low < threshold) & (high >= threshold)))


def threshold_at(series: Sequence[NDArray[np.float64]], most: int) -> float:
    """The lowest threshold from which on upwards there are at most so many alarms; -inf if there are never more.

    Counts need not fall with the threshold: one so low that every caller is suspected throughout gives one alarm each.
    """
    low, high = rises(series)
    at = np.unique(high)
    counts = np.searchsorted(np.sort(low), at, "left") - np.searchsorted(np.sort(high), at, "left")
    too_many = np.flatnonzero(counts > most)
    return float(np.nextafter(at[too_many[-1]], np.inf)) if len(too_many) else float("-inf")


def poisson_interval(count: int, hours: float) -> tuple[float, float]:
    """95 % interval of a rate per hour, exact (Garwood 1936)."""
    from scipy.stats import chi2

    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low / hours), float(chi2.ppf(0.975, 2 * count + 2) / 2 / hours)


def settled(heard: Heard) -> NDArray[np.float64]:
    """Scores that rest on enough speech, in order."""
    return heard.score[np.isfinite(heard.score) & (heard.speech_s >= LEAST_SPEECH_S - 1e-6)]


def raised(heard: Heard) -> int:
    """How often the detector's own verdict turned to `spoof`."""
    said = heard.is_spoof.astype(np.int64)
    return int(np.sum(np.diff(said, prepend=0) == 1))


def tally(calls: Sequence[tuple[str, Heard]]) -> dict[str, Any]:
    """Rates of the detector's own alarms per corpus and over all.

    Args:
        calls: Corpus and what was heard of each call.
    """
    result: dict[str, Any] = {}
    groups = {corpus: [h for c, h in calls if c == corpus] for corpus in dict.fromkeys(c for c, _ in calls)}
    for name, heard in (groups | {"all": [h for _, h in calls]}).items():
        hours = sum(h.total_speech_s for h in heard) / 3600
        count = sum(map(raised, heard))
        result[name] = {
            "calls": len(heard),
            "audio_h": sum(h.duration_s for h in heard) / 3600,
            "speech_h": hours,
            "alarms": count,
            "per_h": count / hours if hours else float("nan"),
            "interval": poisson_interval(count, hours) if hours else (float("nan"), float("nan")),
            "highest_score": max((float(settled(h).max()) for h in heard if len(settled(h))), default=float("nan")),
        }
    return result


def operating_points(
    calls: Sequence[tuple[str, Heard]], trials: Trials | None = None, rates_per_h: Sequence[float] = RATES_PER_H
) -> list[dict[str, Any]]:
    """Threshold on the score for each rate of false alarms per hour of speech.

    Args:
        calls: Corpus and what was heard of each call.
        trials: Tells for each threshold what share of synthetic clips after 4 s of speech is above it.
        rates_per_h: Rates that are asked for.

    Returns:
        Per rate: threshold, alarms and rate that were found, `is_resolved` (an hour-long enough test for that rate: at
        least one alarm would be allowed), and `caught` per band.
    """
    series = [settled(heard) for _, heard in calls]
    hours = sum(heard.total_speech_s for _, heard in calls) / 3600
    points = []
    for rate in rates_per_h:
        threshold = threshold_at(series, int(rate * hours + 1e-9))
        point: dict[str, Any] = {"rate_per_h": rate, "threshold": threshold, "is_resolved": rate * hours >= 1}
        point["alarms"] = alarms(series, threshold)
        point["found_per_h"] = point["alarms"] / hours if hours else float("nan")
        if trials is not None:
            point["caught"] = {band: _caught(trials, band, threshold) for band in BANDS}
        points.append(point)
    return points


def calibration(points: Sequence[dict[str, Any]]) -> dict[str, float]:
    """What a card keeps: `threshold_<rate>_per_h` for every rate that the test was long enough for."""
    return {
        f"threshold_{p['rate_per_h']:g}_per_h": round(p["threshold"], 4)
        for p in points
        if p["is_resolved"] and np.isfinite(p["threshold"])
    }


def listen(detector: Detector, calls: Sequence[Call], band: str = "full") -> list[tuple[str, Heard]]:
    """Stream calls through a detector; corpus and what was heard of each."""
    corpora = {call.name: call.corpus for call in calls}
    heard = detector.hear((call.name, in_band(call.samples, band)) for call in calls)
    return [(corpora[name], found) for name, found in heard.items()]


def _caught(trials: Trials, band: str, threshold: float) -> float:
    rows = trials.is_synthetic & ~trials.is_seen & (trials.band == band) & (trials.seconds == "4")
    return float(np.mean(trials.score[rows] >= threshold)) if rows.any() else float("nan")


def write_tables(out: TextIO, result: dict[str, Any]) -> None:
    """Print the tables."""
    out.write("\n**Genuine callers at the operating point of the configuration**\n\n")
    out.write("| corpus | calls | audio h | speech h | alarms | per hour of speech (95 %) | highest score |\n")
    out.write("|---|---|---|---|---|---|---|\n")
    for name, entry in result["corpora"].items():
        low, high = entry["interval"]
        rate = f"{entry['per_h']:.2f} ({low:.2f} to {high:.2f})" if entry["speech_h"] else ""
        out.write(f"| {name} | {entry['calls']} | {entry['audio_h']:.2f} | {entry['speech_h']:.2f} | ")
        out.write(f"{entry['alarms']} | {rate} | {entry['highest_score']:.2f} |\n")
    found = result["corpora"]["all"]["per_h"]
    out.write(f"\naim: at most {AIM_PER_H:g} per hour: {'met' if found <= AIM_PER_H else 'missed'}\n")
    out.write("\n**Thresholds on the score**\n\n| false alarms per hour | threshold | alarms found | caught |\n")
    out.write("|---|---|---|---|\n")
    for point in result["points"]:
        caught = ", ".join(f"{band} {100 * share:.0f} %" for band, share in point.get("caught", {}).items())
        note = "" if point["is_resolved"] else " (too little speech to tell)"
        out.write(f"| {point['rate_per_h']:g}{note} | {point['threshold']:.3f} | {point['alarms']} | {caught} |\n")
    out.write("\ncaught: share of synthetic clips of unseen systems above the threshold after 4 s of speech\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("RTEMO_DATA"), help="default: RTEMO_DATA")
    parser.add_argument("--system", default="gem", help="gem, or module:function")
    parser.add_argument("--config", type=Path, help="configuration of gem")
    parser.add_argument("--band", choices=BANDS, default="full")
    parser.add_argument("--trials", type=Path, nargs="*", default=[], help="scored trials, for what is caught")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--parallel", type=int, default=16)
    parser.add_argument("--out", type=Path, help="results as JSON")
    options = parser.parse_args()
    if options.data is None:
        parser.error("give the folder of the corpora with --data or RTEMO_DATA")
    os.nice(max(0, 15 - os.nice(0)))
    try:
        trials = read_trials(options.trials) if options.trials else None
        detector = open_detector(options.system, options.config, options.parallel)
        calls = listen(detector, list(genuine_calls(Path(options.data), options.split)), options.band)
    except RtemoError as error:
        sys.exit(f"{error}")
    points = operating_points(calls, trials)
    result = {"corpora": tally(calls), "points": points, "card": calibration(points)}
    write_tables(sys.stdout, result)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(plain(result), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
