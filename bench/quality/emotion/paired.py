"""Two listeners on the same clips: `python -m bench.quality.emotion.paired --data DIR --before EVENTS --after EVENTS`.

EVENTS is what `bench.quality.emotion.through_engine --events` was given. The difference of the mean UAR of the corpora
is shown at every moment and in every condition that both have heard, with an interval over clips drawn again, the same
ones for both; it tells nothing about other speakers.
"""

import argparse
import sys
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.quality.emotion.through_engine import CONDITIONS, posterior
from rtemo.api import Emotion
from rtemo.scoring.classes import uar
from rtemo_models.kit.corpora.clip import Clip, read_clips

MOMENTS_S: tuple[float | None, ...] = (1.0, 2.0, None)
CORPORA = ("ravdess", "nemo", "ased", "rakshak", "crema")
Said = dict[str, list[Emotion]]


def labels(clips: list[Clip], said: Said, moment: float | None) -> NDArray[np.int64]:
    """What was said of each clip, over the classes of its corpus; -1 where nothing was."""
    classes = {
        c: np.unique([clip.label for clip in clips if clip.corpus == c]) for c in {clip.corpus for clip in clips}
    }
    told = []
    for clip in clips:
        values = posterior(said[clip.path], moment)[0]
        open_to = classes[clip.corpus]
        told.append(int(open_to[values[open_to].argmax()]) if np.isfinite(values[0]) else -1)
    return np.array(told)


def mean_uar(clips: list[Clip], said: NDArray[np.int64], rows: NDArray[np.int64]) -> float:
    """Mean over the corpora of the UAR of some clips."""
    truth, corpora = (np.array([getattr(clips[k], name) for k in rows]) for name in ("label", "corpus"))
    return float(np.mean([uar(truth[corpora == c], said[rows][corpora == c]) for c in sorted(set(corpora.tolist()))]))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--before", type=Path, required=True, help="as given to --events, once")
    parser.add_argument("--after", type=Path, required=True, help="as given to --events, the other time")
    parser.add_argument("--draws", type=int, default=1000)
    options = parser.parse_args()
    of = {clip.path: clip for clip in read_clips(options.data)}
    sys.stdout.write("| condition | moment | before | after | difference, 95 % |\n|---|---|---|---|---|\n")
    every, differences = [], []
    for condition in CONDITIONS:
        files = [path.with_suffix(f".{condition}.json") for path in (options.before, options.after)]
        if not all(file.exists() for file in files):
            continue
        both = [msgspec.json.decode(file.read_bytes(), type=Said) for file in files]
        clips = [of[path] for path in both[0] if path in both[1] and of[path].corpus in CORPORA]
        groups = [np.flatnonzero([clip.corpus == c for clip in clips]) for c in CORPORA]
        for moment in MOMENTS_S:
            before, after = (labels(clips, said, moment) for said in both)
            random = np.random.default_rng(0)
            drawn = []
            for _ in range(options.draws):
                rows = np.concatenate([random.choice(group, len(group)) for group in groups if len(group)])
                drawn.append(mean_uar(clips, after, rows) - mean_uar(clips, before, rows))
            every.append(drawn)
            scores = [mean_uar(clips, said, np.arange(len(clips))) for said in (before, after)]
            differences.append(scores[1] - scores[0])
            write_row(condition, f"{moment:g} s" if moment else "end", scores, drawn)
    if not differences:
        raise SystemExit(
            f"no condition was heard by both: {options.before} and {options.after} name no files in common"
        )
    sys.stdout.write(f"mean difference of all rows: {np.mean(differences):+.3f}, {interval(np.mean(every, 0))}\n")


def write_row(condition: str, moment: str, scores: list[float], drawn: list[float]) -> None:
    """Write one row of the table."""
    sys.stdout.write(f"| {condition} | {moment} | {scores[0]:.3f} | {scores[1]:.3f} | {interval(np.array(drawn))} |\n")
    sys.stdout.flush()


def interval(drawn: NDArray[np.float64]) -> str:
    """The middle 95 % in words."""
    low, high = np.percentile(drawn, (2.5, 97.5))
    return f"{low:+.3f} to {high:+.3f}"


if __name__ == "__main__":
    main()
