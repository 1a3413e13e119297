"""Who is heard worse: `python -m bench.quality.emotion.groups --data DIR --events EVENTS`.

EVENTS is what `bench.quality.emotion.through_engine --events` was given. In every condition recall is shown by the
speaker's gender, by how strongly it was meant, and by corpus, which is language; and how much worse a condition is than
clean. Groups are compared within corpora over the classes that both have; intervals draw clips again, so they tell
nothing about other speakers, of whom there are few.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.quality.emotion.paired import Said, interval, labels
from bench.quality.emotion.streams import write_json
from bench.quality.emotion.through_engine import CONDITIONS
from rtemo.scoring.classes import uar
from rtemo_models.kit.corpora.clip import Clip, read_clips

GROUPS: dict[str, tuple[Callable[[Clip], str], tuple[str, str]]] = {
    "gender": (lambda clip: clip.gender, ("F", "M")),
    "intensity": (lambda clip: clip.level, ("normal", "strong")),
}
"""What groups by, and the two that are compared."""


class Gap(NamedTuple):
    """Two groups of one corpus.

    Attributes:
        clips: Of each.
        speakers: Of each.
        recalls: Unweighted average recall of each, over the classes that both have.
        drawn: Difference of the recalls, the second less the first, of clips drawn again.
    """

    clips: tuple[int, int]
    speakers: tuple[int, int]
    recalls: tuple[float, float]
    drawn: NDArray[np.float64]


def gap(clips: list[Clip], said: NDArray[np.int64], rows: list[NDArray[np.int64]], draws: int) -> Gap:
    """Compare two groups of the clips of one corpus; `said` is -1 where nothing was said."""
    truth = np.array([clip.label for clip in clips])
    shared = set(truth[rows[0]].tolist()) & set(truth[rows[1]].tolist())
    rows = [np.array([k for k in group if truth[k] in shared], np.int64) for group in rows]
    random = np.random.default_rng(0)

    def recall(group: NDArray[np.int64]) -> float:
        return uar(truth[group], said[group])

    drawn = []
    for _ in range(draws):
        again = [np.concatenate([random.choice(g[truth[g] == c], (truth[g] == c).sum()) for c in shared]) for g in rows]
        drawn.append(recall(again[1]) - recall(again[0]))
    return Gap(
        (len(rows[0]), len(rows[1])),
        (len({clips[k].speaker for k in rows[0]}), len({clips[k].speaker for k in rows[1]})),
        (recall(rows[0]), recall(rows[1])),
        np.array(drawn),
    )


def gaps(clips: list[Clip], said: NDArray[np.int64], name: str, draws: int) -> dict[str, Gap]:
    """The two groups of a kind in every corpus that has both."""
    key, pair = GROUPS[name]
    found = {}
    for corpus in sorted({clip.corpus for clip in clips}):
        rows = [
            np.array([k for k, c in enumerate(clips) if c.corpus == corpus and key(c) == word], np.int64)
            for word in pair
        ]
        if all(len(group) for group in rows) and {clips[k].label for k in rows[0]} & {clips[k].label for k in rows[1]}:
            found[corpus] = gap(clips, said, rows, draws)
    return found


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--events", type=Path, required=True, help="as given to --events of through_engine")
    parser.add_argument("--draws", type=int, default=1000)
    parser.add_argument("--out", type=Path, help="the recalls as JSON, as a card has its scores")
    options = parser.parse_args()
    of = {clip.path: clip for clip in read_clips(options.data)}
    out = sys.stdout
    out.write(
        "| condition | groups | corpus | clips (speakers) | recall | second less first, 95 % |\n" + "|---" * 6 + "|\n"
    )
    told: dict[str, dict[str, float]] = {}
    for condition in CONDITIONS:
        file = options.events.with_suffix(f".{condition}.json")
        if not file.exists():
            continue
        heard = msgspec.json.decode(file.read_bytes(), type=Said)
        clips = [of[path] for path in heard if of[path].label >= 0]
        said = labels(clips, heard, None)
        for name, (_, pair) in GROUPS.items():
            for corpus, found in gaps(clips, said, name, options.draws).items():
                first, second = found.recalls
                out.write(
                    f"| {condition} | {name}: {pair[0]}, {pair[1]} | {corpus} "
                    f"| {found.clips[0]} ({found.speakers[0]}), {found.clips[1]} ({found.speakers[1]}) "
                    f"| {first:.3f}, {second:.3f} | {second - first:+.3f} ({interval(found.drawn)}) |\n"
                )
                for word, value in zip(pair, found.recalls, strict=True):
                    told.setdefault(f"{condition}, by {name}", {})[f"{corpus}_{word.lower()}_uar"] = round(value, 3)
    if not told:
        raise SystemExit(f"{options.events} names no files: give what --events of through_engine was given")
    if options.out:
        write_json(options.out, told)


if __name__ == "__main__":
    main()
