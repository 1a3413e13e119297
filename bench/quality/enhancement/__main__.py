"""Enhancement beside its peers: `python -m bench.quality.enhancement --data DIR --peers DIR --work DIR`.

Dev talkers in noise that no training saw (`--noise train` for the noises of training), at -5, 0, 5 and 10 dB. Prints
tables and writes them to `--out`. Yields to whatever else runs on the machine; nothing here measures time.
"""

import argparse
import os
import sys
from pathlib import Path
from typing import Any

from bench.quality.emotion.streams import write_json
from bench.quality.enhancement.metrics import METRICS, WITH_REFERENCE
from bench.quality.enhancement.mixtures import SEED, SNRS_DB, Mixture, mixtures
from bench.quality.enhancement.report import summarise, write_tables
from bench.quality.enhancement.scores import ScoreFile, Table
from bench.quality.enhancement.systems import DEFAULT, System, open_system
from rtemo.api import RtemoError


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.quality.enhancement",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("RTEMO_DATA"),
        help="folder of the corpora; default: RTEMO_DATA",
    )
    parser.add_argument("--peers", type=Path, help="folder of the peers' graphs")
    parser.add_argument(
        "--system", "--systems", dest="systems", nargs="+", default=DEFAULT, help="names, or module:function"
    )
    parser.add_argument("--config", type=Path, help="configuration of `merit`")
    parser.add_argument("--clips", type=int, default=24, help="per SNR; 60 for figures to publish")
    parser.add_argument("--noise", nargs="+", choices=("dev", "train"), default=["dev"])
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--no-dnsmos", action="store_true", help="only what needs clean speech; 8 times as fast")
    parser.add_argument("--work", type=Path, help="folder in which scores are kept for the next run")
    parser.add_argument("--out", type=Path, help="results as JSON")
    options = parser.parse_args()
    if options.data is None:
        parser.error("give the folder of the corpora with --data or RTEMO_DATA")
    os.nice(max(0, 15 - os.nice(0)))  # yields, but no more than asked for when it was started so
    try:
        run(options)
    except RtemoError as error:
        sys.exit(f"{error}")


def run(options: argparse.Namespace) -> None:
    """Measure every system on every set, print, and write."""
    systems = [open_system(name, options.peers, options.config) for name in options.systems]
    metrics = WITH_REFERENCE if options.no_dnsmos else METRICS
    results: dict[str, Any] = {"clips": options.clips, "seed": options.seed, "snrs_db": SNRS_DB, "noise": {}}
    for split in options.noise:
        batch = list(mixtures(options.data, options.clips, noise_split=split, seed=options.seed))
        result = summarise({system.name: measure(system, batch, metrics, options.work) for system in systems})
        seconds = sum(m.clean.size for m in batch) / 16_000
        results["noise"][split] = result
        print(f"\n## {split} noises: {options.clips} clips per SNR, {seconds:.0f} s, seed {options.seed}")
        write_tables(sys.stdout, result)
    if options.out:
        write_json(options.out, results)


def measure(system: System, batch: list[Mixture], metrics: tuple[str, ...], work: Path | None) -> Table:
    """Measure one system on a set, telling a terminal how far it is."""
    file = ScoreFile(work, system)
    scores = []
    for mixture in batch:
        scores.append(file.measure(mixture, metrics))
        if sys.stderr.isatty():
            end = "\n" if len(scores) == len(batch) else ""
            print(f"\r{system.name}: {len(scores)}/{len(batch)}", end=end, file=sys.stderr, flush=True)
    return Table(batch, scores, metrics)


if __name__ == "__main__":
    main()
