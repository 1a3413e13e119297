"""Print how many turns of two speakers pass the check for one, and what it costs in turns of one.

    python -m bench.quality.corpus.several --data D [--split dev] [--minutes 60] [--seeds 11,12,13] [--out FILE]

Recordings are strung from clips of a split, with another draw for each seed, and cut to turns as `rtemo corpus` does;
turns of two speakers are those that its diarisation has not told apart. A turn is of two where more than a tenth of its
speech is of somebody else, and of one where no more than a fiftieth is. Of training speakers a table of thresholds is
printed, by which those in `rtemo.corpus.settings` were chosen; intervals are over speakers.
"""

import argparse
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import rtemo  # noqa: F401 - what it switches off must be off before models are loaded
from bench.quality.corpus.scores import overlap, share_of
from bench.quality.corpus.strung import string_recordings
from bench.quality.corpus.turns import ONE_SPEAKER
from rtemo.corpus.diarisation import Diariser
from rtemo.corpus.models import CorpusModels
from rtemo.corpus.settings import CorpusSettings
from rtemo.corpus.turns import cut_turns
from rtemo.corpus.voices import change_of_sound, distance_of_halves
from rtemo.io.whole_file import write_whole
from rtemo.scoring.bootstrap import Draws, interval

PRICES = (0.03, 0.05, 0.08, 0.1, 0.12)
_PURE = 0.98
_STEPS = 13


class Turn(NamedTuple):
    """A turn, as both checks hear it, and what is known of it."""

    apart: float
    changed: float
    speaker: str
    share: float
    """Of its speech that is of `speaker`."""


def judged(data: Path, split: str, minutes: float, seeds: list[int], models: CorpusModels) -> list[Turn]:
    """Cut recordings of a split to turns, and hear each."""
    settings, found = CorpusSettings(), []
    diariser = Diariser(models.embedder, settings.same_voice)
    for seed in seeds:
        for recording in string_recordings(data, split, minutes, seed):
            speech = models.finder.find(recording.samples, settings.pause_s)
            for turn in cut_turns(diariser.tell(recording.samples, speech).pieces, settings)[0]:
                lengths: Counter[str] = Counter()
                for span in recording.spans:
                    lengths[span.speaker] += overlap(span, turn.start, turn.end)
                speaker, length = lengths.most_common(1)[0]
                if length:
                    sound = recording.samples[turn.start : turn.end]
                    apart, changed = distance_of_halves(sound, models.embedder), change_of_sound(sound)
                    found.append(Turn(apart, changed, speaker, length / lengths.total()))
    return found


def told(turns: list[Turn]) -> list[str]:
    """Say what passes with the thresholds of the settings, and what embeddings alone let pass at the same price."""
    settings = CorpusSettings()
    two = [turn for turn in turns if turn.share < ONE_SPEAKER]
    one = [turn for turn in turns if turn.share >= _PURE]

    def passes(turn: Turn) -> bool:
        return turn.apart <= settings.most_apart and turn.changed <= settings.most_changed

    lost = share_of([not passes(turn) for turn in one], [turn.speaker for turn in one])
    apart = float(np.quantile([turn.apart for turn in one], 1 - lost.value))
    lines = [
        "| check | turns of two that pass | turns of one that are lost |",
        "|---|---|---|",
    ]
    checks = {
        f"apart {settings.most_apart:g}, changed {settings.most_changed:g}": passes,
        f"apart {settings.most_apart:g} alone": lambda turn: turn.apart <= settings.most_apart,
        f"apart {apart:.3f} alone, at the price of both": lambda turn: turn.apart <= apart,
    }
    for name, check in checks.items():
        cells = [
            share_of([check(turn) == is_pass for turn in of], [turn.speaker for turn in of])
            for of, is_pass in ((two, True), (one, False))
        ]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} |")
    pairs = np.array([(passes(turn), turn.apart <= apart) for turn in two], float)
    sums = Draws([turn.speaker for turn in two]).sums(np.c_[pairs[:, 0] - pairs[:, 1], np.ones(len(two))])
    low, high = interval(sums[:, 0] / sums[:, 1])
    less = float((pairs[:, 0] - pairs[:, 1]).mean())
    return [*lines, "", f"At one price both let {less:+.1%} ({low:+.1%} to {high:+.1%}) of the turns of two pass."]


def chosen_by(turns: list[Turn]) -> list[str]:
    """For each price the best of both checks together, and either alone: share of turns of two that pass."""
    is_two = np.array([turn.share < ONE_SPEAKER for turn in turns])
    is_one = np.array([turn.share >= _PURE for turn in turns])
    apart, changed = (np.array([getattr(turn, name) for turn in turns]) for name in ("apart", "changed"))
    lines = [
        f"Of {is_two.sum()} turns of two speakers so many pass at a price in {is_one.sum()} of one:",
        "",
        "| price | apart alone | changed alone | both | most_apart | most_changed |",
        "|---|---|---|---|---|---|",
    ]
    for price in PRICES:
        alone = [float((x[is_two] <= np.quantile(x[is_one], 1 - price)).mean()) for x in (apart, changed)]
        both = min(_pairs(apart, changed, is_two, is_one, price))
        cells = " | ".join(f"{value:.2f}" for value in (*alone, *both))
        lines.append(f"| {price:.0%} | {cells} |")
    return lines


def _pairs(
    apart: NDArray[np.float64],
    changed: NDArray[np.float64],
    is_two: NDArray[np.bool_],
    is_one: NDArray[np.bool_],
    price: float,
) -> list[tuple[float, float, float]]:
    """Thresholds of both checks that together cost so much: (share of two that passes, of the one, of the other)."""
    found = []
    for part in np.linspace(0.0, price, _STEPS):
        most_apart = float(np.quantile(apart[is_one], 1 - part))
        left = np.sort(changed[is_one & (apart <= most_apart)])[::-1]
        more = int(price * is_one.sum()) - int((is_one & (apart > most_apart)).sum())
        if 0 <= more < len(left):
            most_changed = float(left[more])
            passes = (apart <= most_apart) & (changed <= most_changed)
            found.append((float(passes[is_two].mean()), most_apart, most_changed))
    return found


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--seeds", default="11,12,13")
    parser.add_argument("--out", type=Path, help="file that gets the table, too")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in arguments.seeds.split(",")]
    turns = judged(arguments.data, arguments.split, arguments.minutes, seeds, CorpusModels())
    lines = told(turns)
    if arguments.split == "train":
        lines += ["", *chosen_by(turns)]
    text = "\n".join([*lines, ""])
    print(text)
    if arguments.out is not None:
        write_whole(arguments.out, text.encode())


if __name__ == "__main__":
    main()
