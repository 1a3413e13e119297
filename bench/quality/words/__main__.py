"""Print the tables of transcript quality: `python -m bench.quality.words --data FOLDER`."""

import argparse
from pathlib import Path

import numpy as np

from bench.quality.words.clips import CONDITIONS, CORPORA, read_clips, read_noises, under
from bench.quality.words.errors import count_errors, interval, rate
from bench.quality.words.live import delays
from bench.quality.words.systems import SYSTEMS
from bench.quality.words.unspoken import table

TABLES = ("errors", "unspoken", "live")


def main() -> None:
    """Read the clips, run the systems, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with the emotion and noise manifests")
    parser.add_argument("--split", default="dev")
    parser.add_argument("--clips", type=int, default=40, help="clips of each corpus")
    parser.add_argument("--sounds", type=int, default=8, help="sounds of each kind that hold no word")
    parser.add_argument("--streams", type=int, nargs="*", default=[1, 2, 4])
    parser.add_argument("--system", nargs="*", choices=SYSTEMS, default=list(SYSTEMS)[:3])
    parser.add_argument("--condition", nargs="*", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--table", nargs="*", choices=TABLES, default=TABLES)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    clips = read_clips(arguments.data, arguments.split, arguments.clips, arguments.seed)
    print(f"{len(clips)} clips of {len({clip.speaker for clip in clips})} speakers, split {arguments.split}")
    if "errors" in arguments.table:
        _errors(arguments, clips)
    if "unspoken" in arguments.table:
        print("\nWords per minute where nobody speaks:\n")
        print("| sound | the model alone | behind the thresholds | in a chain |")
        print("|---|---|---|---|")
        for row in table(arguments.data, arguments.sounds, arguments.seed):
            print(row, flush=True)
    if "live" in arguments.table:
        print("\nAt the pace of real time, digits masked, partial texts every 1.5 s:\n")
        print("| streams | turns | final text after speech, p50 / p95 s | after its end is told | load of one core |")
        print("|---|---|---|---|---|")
        for streams in arguments.streams:
            speech, told, load = delays([clip.samples for clip in clips[: 6 * streams]], streams)
            (a, b), (c, d) = np.percentile(speech, (50, 95)), np.percentile(told, (50, 95))
            print(f"| {streams} | {len(speech)} | {a:.2f} / {b:.2f} | {c:.2f} / {d:.2f} | {load:.0%} |", flush=True)


def _errors(arguments: argparse.Namespace, clips: list) -> None:
    noises = read_noises(arguments.data, arguments.split)
    print("\nWord error rate and the middle 95 % of it, by corpus; processor time per second of speech:\n")
    heads = ("condition", "system", *CORPORA, "all", "language right", "s per s")
    print(f"| {' | '.join(heads)} |\n{'|---' * len(heads)}|")
    for condition in arguments.condition:
        sounds = [under(condition, clip.samples, number, noises) for number, clip in enumerate(clips)]
        for name in arguments.system:
            written = SYSTEMS[name](sounds)
            counts = [count_errors(clip.text, text) for clip, text in zip(clips, written.texts, strict=True)]
            cells = []
            for corpus in (*CORPORA, ""):
                of = [count for clip, count in zip(clips, counts, strict=True) if corpus in ("", clip.corpus)]
                low, high = interval(of)
                cells.append(f"{rate(of):.3f} ({low:.3f}-{high:.3f})")
            right = np.mean([clip.language == one for clip, one in zip(clips, written.languages, strict=True)])
            busy = written.busy_s / sum(clip.speech_s for clip in clips)
            print(f"| {condition} | {name} | {' | '.join(cells)} | {right:.2f} | {busy:.2f} |", flush=True)


if __name__ == "__main__":
    main()
