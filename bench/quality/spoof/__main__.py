"""Spoof detection: `python -m bench.quality.spoof --data DIR --work DIR`.

Streams clips through rtemo with the plugin `gem` - or through a function of your own, `--system module:function` - in
full band and as on the telephone, keeps the scores as WORK/ARM.csv, prints tables and writes WORK/report.json. With
`--trials` nothing is streamed: the files given are reported together, an arm each. Systems count as unseen unless the
manifest's column `fold` says `seen`, or `--seen` says so of those in DATA/spoof: the card tells what was trained on.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from bench.quality.spoof.aasist import Aasist, score_peer
from bench.quality.spoof.bootstrap import DRAWS
from bench.quality.spoof.clips import Clip, at_most, balanced, default_clips, read_clips
from bench.quality.spoof.report import write_tables
from bench.quality.spoof.score import open_detector, score_clips
from bench.quality.spoof.summary import plain, summarise
from bench.quality.spoof.trials import BANDS, read_trials, write_trials
from rtemo.api import RtemoError


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality.spoof", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--data", type=Path, default=os.environ.get("RTEMO_DATA"), help="folder of the corpora; default: RTEMO_DATA"
    )
    parser.add_argument("--work", type=Path, help="folder for scores and the report")
    parser.add_argument("--manifest", type=Path, help="CSV of clips, paths from DATA; default: DATA/spoof and emotion")
    parser.add_argument(
        "--split", default="dev", help="rows of the manifest that are taken, where it has splits; or all"
    )
    parser.add_argument(
        "--seen", action="store_true", help="without a manifest: the detector was trained on the systems of DATA/spoof"
    )
    parser.add_argument("--clips", type=int, help="of each system and speaker at most; default: all")
    parser.add_argument("--system", default="gem", help="gem, listener, default (both) or module:function")
    parser.add_argument("--arm", default="gem", help="name of what is scored")
    parser.add_argument("--config", type=Path, help="configuration of gem")
    parser.add_argument("--bands", nargs="+", choices=BANDS, default=BANDS)
    parser.add_argument("--parallel", type=int, default=16, help="clips in the engine at once")
    parser.add_argument("--aasist", type=Path, help="checkout of AASIST with its weights: a peer on some of the trials")
    parser.add_argument("--aasist-clips", type=int, default=100, help="it takes half a second for each")
    parser.add_argument("--trials", type=Path, nargs="+", default=[], help="scored trials to report, or to add")
    parser.add_argument("--draws", type=int, default=DRAWS, help="of the bootstrap")
    options = parser.parse_args()
    if not options.trials and (options.data is None or options.work is None):
        parser.error("give --data (or RTEMO_DATA) and --work, or scored --trials")
    os.nice(max(0, 15 - os.nice(0)))
    try:
        run(options)
    except RtemoError as error:
        sys.exit(f"{error}")


def run(options: argparse.Namespace) -> None:
    """Score what is asked for, then report."""
    files: list[Path] = list(options.trials)
    cost: dict[str, object] = {}
    if options.work and options.data and (not files or options.aasist):
        clips = at_most(clips_of(options), options.clips)
        if not files:
            cost[options.arm] = score_system(options, clips)
            files.append(options.work / f"{options.arm}.csv")
        if options.aasist:
            rows, window_ms = score_peer(Aasist(options.aasist), balanced(clips, options.aasist_clips))
            files.append(options.work / "aasist.csv")
            write_trials(files[-1], rows)
            cost["aasist"] = {"ms_per_window": window_ms}
    result = summarise(read_trials(files), options.draws) | {"cost": cost}
    write_tables(sys.stdout, result)
    if options.work:
        options.work.mkdir(parents=True, exist_ok=True)
        text = json.dumps(plain(result), indent=1) + "\n"
        (options.work / "report.json").write_text(text, encoding="utf-8")


def clips_of(options: argparse.Namespace) -> list[Clip]:
    """Clips of the manifest, or of the data folder as it is.

    Raises:
        RtemoError: There are none.
    """
    data = Path(options.data)
    if options.manifest:
        clips = read_clips(options.manifest, data, options.split)
    else:
        clips = default_clips(data, options.split, options.seen)
    if not clips:
        raise RtemoError(f"there are no clips of split {options.split!r}", "choose another with --split")
    return clips


def score_system(options: argparse.Namespace, clips: list[Clip]) -> dict[str, object]:
    """Stream clips through the system and keep the scores; tells what it cost."""
    detector = open_detector(options.system, options.config, options.parallel)
    rows, cost = score_clips(detector, clips, options.arm, options.bands)
    write_trials(options.work / f"{options.arm}.csv", rows)
    return cost


if __name__ == "__main__":
    main()
