"""Print the tables of voice activity quality: `python -m bench.quality.vad --data FOLDER`."""

import argparse
from pathlib import Path

import numpy as np

from bench.quality.vad.corpus import mixtures
from bench.quality.vad.levels import level_table, silence_table
from bench.quality.vad.score import Score
from bench.quality.vad.systems import SYSTEMS
from bench.quality.vad.words import short_words

HEAD = """\
| system | band | SNR dB | frame F1 | AUC | onset ms | offset ms | known ms | lost % | own onset % | false/min |
|---|---|---|---|---|---|---|---|---|---|---|"""
FOOT = """
onset, offset: median error / 90th percentile of its size (negative: too early), over turns that got a boundary of
their own; known: median time from the true onset to the announcement; lost: turns no span touches; false: spans that
touch no turn, per minute."""
TABLES = ("levels", "silence", "noise")


def main() -> None:
    """Make the mixtures, run the systems, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with clean/, emotion/ and noise/ manifests")
    parser.add_argument("--split", default="dev", help="split of clips and noises; thresholds were tuned on train")
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--system", nargs="*", choices=SYSTEMS, default=list(SYSTEMS))
    parser.add_argument("--table", nargs="*", choices=TABLES, default=TABLES)
    arguments = parser.parse_args()
    systems = {name: SYSTEMS[name] for name in arguments.system}
    batch = list(mixtures(arguments.data, arguments.split, arguments.seed))
    turns = sum(len(mixture.turns) for mixture in batch)
    print(f"{len(batch)} minutes, {turns} turns, split {arguments.split}, seed {arguments.seed}")
    if "levels" in arguments.table:
        print("\nShare of the speech that is heard, by its active level in dBFS:\n")
        clean = [one for one in batch if np.isinf(one.snr_db) and one.band == "wide"]
        print(level_table(clean, systems), flush=True)
    if "silence" in arguments.table:
        print("\nSpeech found where nobody speaks:\n")
        silence_table(arguments.data, arguments.split, arguments.seed, systems, lambda line: print(line, flush=True))
    if "noise" in arguments.table:
        print(f"\nSpeech in noise:\n\n{HEAD}")
        sounds, words, cost = np.stack([mixture.samples for mixture in batch]), short_words(), ""
        for name, system in systems.items():
            found, busy_us = system(sounds)
            for band in ("wide", "telephone"):
                for snr_db in (np.inf, 20.0, 10.0, 0.0):
                    score = Score()
                    for mixture, detection in zip(batch, found, strict=True):
                        if (mixture.band, mixture.snr_db) == (band, snr_db):
                            score.add(mixture, detection)
                    snr = "clean" if np.isinf(snr_db) else f"{snr_db:.0f}"
                    print(f"| {name} | {band} | {snr} | {score.row()} |", flush=True)
            kept = sum(bool(one.spans) for one in system(np.stack([w.samples for w in words]))[0]) if words else 0
            cost += f"\n{name}: {busy_us:.1f} us per hop and stream at n = {len(batch)}; "
            cost += f"{kept} of {len(words)} single short words on the telephone kept"
        print(FOOT + cost)


if __name__ == "__main__":
    main()
