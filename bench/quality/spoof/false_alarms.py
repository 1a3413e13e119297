"""False alarms on genuine speech: `python -m bench.quality.spoof.false_alarms --data DIR`.

Genuine callers - emotional and neutral dev speakers, each one's clips strung together, and the recorded calls - are
streamed through rtemo with its default settings. Counted are verdicts that turn to `spoof`, and alarms about the
call; rates are per hour of speech. Prints what the operating point gives per corpus, and for each rate the threshold
and the limit that would give it, which go into the card's calibration.
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
from bench.quality.spoof.operating_points import calibration, decisions, operating_points, poisson_interval
from bench.quality.spoof.product import EVERY_DECISION
from bench.quality.spoof.score import Detector, open_detector
from bench.quality.spoof.summary import plain
from bench.quality.spoof.trials import BANDS, read_trials
from rtemo.api import RtemoError

AIM_PER_H = 1.0
KINDS = ("verdicts", "alarms")


def listen(detector: Detector, calls: Sequence[Call], band: str = "full") -> list[tuple[str, Heard]]:
    """Stream calls through a detector; corpus and what was heard of each."""
    corpora = {call.name: call.corpus for call in calls}
    heard = detector.hear((call.name, in_band(call.samples, band)) for call in calls)
    return [(corpora[name], found) for name, found in heard.items()]


def begun(is_on: NDArray[np.bool_]) -> int:
    """How often something began."""
    return int(np.sum(np.diff(is_on.astype(np.int64), prepend=0) == 1))


def tally(calls: Sequence[tuple[str, Heard]]) -> dict[str, Any]:
    """Rates of the detector's own verdicts and alarms per corpus and over all.

    Args:
        calls: Corpus and what was heard of each call.
    """
    result: dict[str, Any] = {}
    groups = {corpus: [h for c, h in calls if c == corpus] for corpus in dict.fromkeys(c for c, _ in calls)}
    for name, heard in (groups | {"all": [h for _, h in calls]}).items():
        hours = sum(h.total_speech_s for h in heard) / 3600
        entry: dict[str, Any] = {"calls": len(heard), "speech_h": hours}
        entry["audio_h"] = sum(h.duration_s for h in heard) / 3600
        counts = sum(begun(h.is_spoof) for h in heard), sum(begun(h.is_alarmed) for h in heard)
        for kind, count in zip(KINDS, counts, strict=True):
            nothing = (float("nan"), float("nan"))
            entry[kind] = {
                "count": count,
                "per_h": count / hours if hours else float("nan"),
                "interval": poisson_interval(count, hours) if hours else nothing,
            }
        scores = [decisions(h) for h in heard]
        entry["highest_score"] = max((float(s.max()) for s in scores if len(s)), default=float("nan"))
        result[name] = entry
    return result


def write_tables(out: TextIO, result: dict[str, Any]) -> None:
    """Print the tables."""
    out.write("\n**Genuine callers at the operating point of the configuration**\n\n")
    out.write(
        "| corpus | calls | audio h | speech h | verdicts | per hour of speech (95 %) | alarms | per hour of speech "
    )
    out.write("(95 %) | highest score |\n|---|---|---|---|---|---|---|---|---|\n")
    for name, entry in result["corpora"].items():
        cells = [name, str(entry["calls"]), f"{entry['audio_h']:.2f}", f"{entry['speech_h']:.2f}"]
        for kind in KINDS:
            low, high = entry[kind]["interval"]
            cells.append(str(entry[kind]["count"]))
            cells.append(f"{entry[kind]['per_h']:.2f} ({low:.2f} to {high:.2f})" if entry["speech_h"] else "")
        highest = entry["highest_score"]
        cells.append(f"{highest:.2f}" if np.isfinite(highest) else "")
        out.write("| " + " | ".join(cells) + " |\n")
    out.write("\n")
    for kind in KINDS:
        found = result["corpora"]["all"][kind]["per_h"]
        told = "unknown" if np.isnan(found) else "met" if found <= AIM_PER_H else "missed"
        out.write(f"{kind}: aim at most {AIM_PER_H:g} per hour over all: {told}\n")
    out.write("\n**Thresholds of the verdict, limits of the alarm**\n\n")
    out.write("| per hour | threshold | verdicts here | caught | limit | alarms here |\n|---|---|---|---|---|---|\n")
    for point in result["points"]:
        caught = ", ".join(f"{b} {100 * share:.0f} %" for b, share in point.get("caught", {}).items() if share == share)
        note = "" if point["is_resolved"] else " (too little speech to tell)"
        out.write(f"| {point['rate_per_h']:g}{note} | {point['threshold']:.3f} | {point['verdicts']} | {caught} | ")
        out.write(f"{point['limit']:.2f} | {point['alarms']} |\n")
    out.write("\ncaught: share of synthetic clips of unseen systems above the threshold after 4 s of speech\n")


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("RTEMO_DATA"), help="default: RTEMO_DATA")
    parser.add_argument("--system", default="gem", help="gem, listener, default (both) or module:function")
    parser.add_argument("--config", type=Path, help="configuration of gem")
    parser.add_argument("--band", choices=BANDS, default="full")
    parser.add_argument("--trials", type=Path, nargs="*", default=[], help="scored trials, for what is caught")
    parser.add_argument("--keep", type=float, default=0.98, help="what the alarm's sum keeps from decision to decision")
    parser.add_argument("--drift", type=float, default=1.5, help="what is taken from each score before it is summed")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--parallel", type=int, default=16)
    parser.add_argument("--out", type=Path, help="results as JSON; its `card` is for the card's calibration")
    options = parser.parse_args()
    if options.data is None:
        parser.error("give the folder of the corpora with --data or RTEMO_DATA")
    os.nice(max(0, 15 - os.nice(0)))
    try:
        trials = read_trials(options.trials) if options.trials else None
        detector = open_detector(options.system, options.config, options.parallel, EVERY_DECISION)
        calls = listen(detector, list(genuine_calls(Path(options.data), options.split)), options.band)
    except RtemoError as error:
        sys.exit(f"{error}")
    points = operating_points(calls, trials, options.keep, options.drift)
    card = calibration(points, trials, options.keep, options.drift)
    result = {"corpora": tally(calls), "points": points, "card": card}
    write_tables(sys.stdout, result)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        options.out.write_text(json.dumps(plain(result), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
