"""What the thresholds of the plugin `parties` were chosen by: likenesses of voices of training speakers alone."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.quality.corpus.parties import FRAME_SAMPLES, Case, Tracks, dialogues
from bench.quality.corpus.party_shares import NOBODY, UNSURE, Said, counted, is_in_order, score
from bench.quality.corpus.strung import RATE_HZ
from rtemo.testing.rig import Rig
from rtemo_plugins.parties.clusters import likeness, split, unit
from rtemo_plugins.parties.line import Heard, Line, Saying, group
from rtemo_plugins.parties.options import PartiesOptions
from rtemo_plugins.parties.plugin import PartiesPlugin
from rtemo_plugins.parties.tuning import TUNING, Tuning

CHECK_S = (10.0, 20.0, 40.0, 80.0)
_BOTH = 0.2
"""A turn of which the lesser party has more than this share is of both."""

_UNSURE_BELOW = PartiesOptions().unsure_below
VARIANTS: dict[str, tuple[float, ...]] = {
    "apart": (0.70, 0.74, 0.82, 0.86),
    "party_s": (1.5, 3.0, 4.0),
    "switch_cost": (0.2, 1.0, 1.5),
    "rounds": (0, 1, 5),
    "clear": (0.0, 0.04),
}

Vector = NDArray[np.float32]


class Turn(NamedTuple):
    """A turn of a recording, as the lane of the plugin was given it."""

    start: int
    end: int
    windows: tuple[Heard, ...]
    party: int
    """Who spoke; -1 where both did."""

    @property
    def vector(self) -> Vector:
        """Mean of its windows, of length 1."""
        return unit(np.sum([window.vector for window in self.windows], axis=0))


Record = tuple[Tracks, list[Turn]]
"""Who speaks when in a recording, and its turns."""


class _Recorder(PartiesPlugin):
    """Keeps the windows of all turns."""

    def __init__(self, options: PartiesOptions) -> None:
        super().__init__(options)
        self.turns: list[tuple[int, int, tuple[Heard, ...]]] = []

    def line(self) -> Line:
        return _RecordingLine(self.turns)


class _RecordingLine(Line):
    def __init__(self, turns: list[tuple[int, int, tuple[Heard, ...]]]) -> None:
        super().__init__(1, RATE_HZ, 1.0)
        self._kept = turns
        self._windows: list[Heard] = []

    def hear(self, turn_start: int, window: Heard) -> list[Saying]:
        self._windows.append(window)
        return []

    def close(self, turn_start: int, end: int, window: Heard | None, is_last: bool) -> list[Saying]:
        windows = [one for one in [*self._windows, window] if one is not None and one.start >= turn_start]
        self._kept.append((turn_start, end, tuple(one._replace(vector=one.vector.copy()) for one in windows)))
        self._windows = []
        return []


def turns_of(case: Case) -> list[Turn]:
    """Run a recording through the detector of speech and the lane; give its turns and whose they are."""
    recorder = _Recorder(PartiesOptions())
    rig = Rig(recorder, 1, spoil=False, keep=False)
    rig.play({"line": case.samples})
    rig.close()
    found = []
    for start, end, windows in recorder.turns:
        shares = case.truth[:, start // FRAME_SAMPLES : end // FRAME_SAMPLES].sum(axis=1)
        is_one = shares.min() <= _BOTH * max(int(shares.sum()), 1)
        if windows:
            found.append(Turn(start, end, windows, int(shares.argmax()) if is_one else -1))
    return found


def fit(data: Path, minutes: float, seed: int) -> None:
    """Print the likenesses that decide, and the logistic curves that go through them best."""
    two = [(case.truth, turns_of(case)) for case in dialogues(data, "train", minutes, seed)]
    alone = dialogues(data, "train", minutes / 2, seed + 1, count_speakers=1)
    one = [(case.truth, turns_of(case)) for case in alone]
    print(f"{len(two)} dialogues, {len(one)} monologues of training speakers\n")
    _tell_apart([turns for _, turns in one], [turns for _, turns in two])
    _tell_own([turns for _, turns in two])
    _tell_margin([turns for _, turns in two])
    _tell_variants(one, two)


def _tell_apart(one: list[list[Turn]], two: list[list[Turn]]) -> None:
    print("How like the two voices are that a line is split into, after so much speech (5, 25, 50, 75, 95 %):\n")
    for check_s in CHECK_S:
        for name, recordings in (("one speaker", one), ("two speakers", two)):
            alike = [found for turns in recordings if (found := _alike(turns, check_s)) is not None]
            spread = np.percentile(alike, (5, 25, 50, 75, 95)).round(3) if alike else "none"
            print(f"    {check_s:4.0f} s  {name:12} ({len(alike):2})  {spread}")


def _alike(turns: list[Turn], check_s: float) -> float | None:
    vectors, seconds = [], []
    for turn in turns:
        units, unit_s = group(turn.windows, RATE_HZ)
        vectors.append(units)
        seconds.append(unit_s)
        if sum(float(one.sum()) for one in seconds) >= check_s:
            found = split(np.concatenate(vectors), np.concatenate(seconds), 2)
            if found is None or found.seconds.min() < 3.0:
                return 1.0
            return float(likeness(found.voices[:1], found.voices[1:])[0, 0])
    return None


def _tell_own(two: list[list[Turn]]) -> None:
    """How like a turn is to the mean of the turns of one speaker before it, where it is of that speaker or not."""
    values, is_own = [], []
    for turns in two:
        sums = {0: np.zeros_like(turns[0].vector), 1: np.zeros_like(turns[0].vector)}
        for turn in turns:
            if turn.party < 0:
                continue
            for party, total in sums.items():
                if total.any():
                    values.append(float(likeness(turn.vector[None], unit(total)[None])[0, 0]))
                    is_own.append(party == turn.party)
            sums[turn.party] = sums[turn.party] + turn.vector
    x, own = np.array(values), np.array(is_own)
    print("\nHow like a turn is to the turns before (5, 25, 50, 75, 95 %):\n")
    print(f"    of the same speaker ({own.sum()})  {np.percentile(x[own], (5, 25, 50, 75, 95)).round(3)}")
    print(f"    of the other ({(~own).sum()})        {np.percentile(x[~own], (5, 25, 50, 75, 95)).round(3)}")
    slope, offset = logistic(x, own)
    print(f"    odds {slope:.1f} · (likeness - {-offset / slope:.3f})")


def _tell_margin(two: list[list[Turn]]) -> None:
    """How far a turn leads to the nearer of two voices, where that is the right one or not; by the turns before it."""
    leads, is_right = [], []
    for turns in two:
        sums = [np.zeros_like(turns[0].vector), np.zeros_like(turns[0].vector)]
        for turn in turns:
            if turn.party < 0:
                continue
            if all(total.any() for total in sums):
                alike = likeness(turn.vector[None], np.stack([unit(total) for total in sums]))[0]
                leads.append(abs(float(alike[0] - alike[1])))
                is_right.append(int(alike.argmax()) == turn.party)
            sums[turn.party] = sums[turn.party] + turn.vector
    x, right = np.array(leads), np.array(is_right)
    slope, offset = logistic(x, right)
    print(f"\nThe nearer of two voices is right for {right.mean():.1%} of {len(right)} turns; odds by its lead:\n")
    print(f"    {slope:.1f} · lead + {offset:.2f}")


def _tell_variants(one: list[Record], two: list[Record]) -> None:
    """What each threshold does, all others as they are: dialogues with corrections, and monologues split."""
    print("\nDialogues with corrections: right, wrong, unsure; the worst wrong; found two; monologues taken for two:\n")
    variants: list[tuple[str, Tuning, float]] = [("as it is", TUNING, _UNSURE_BELOW)]
    variants += [(f"unsure_below {value:g}", TUNING, value) for value in (0.6, 0.8, 0.9)]
    for name, values in VARIANTS.items():
        variants += [(f"{name} {value:g}", TUNING._replace(**{name: value}), _UNSURE_BELOW) for value in values]
    for name, tuning, unsure_below in variants:
        told = [_replayed(turns, truth, tuning, unsure_below) for truth, turns in two]
        scores = [
            score(truth, said, counted(truth), is_in_order(truth, said))
            for (truth, _), (said, _) in zip(two, told, strict=True)
        ]
        mean = np.mean(scores, axis=0)
        split_up = sum(_replayed(turns, truth, tuning, unsure_below)[1] > 1 for truth, turns in one)
        print(
            f"    {name:18} {mean[0]:.1%} {mean[1]:.1%} {mean[2]:.1%}  {max(one.wrong for one in scores):.1%}  "
            f"{sum(parties > 1 for _, parties in told)}/{len(two)}  {split_up}/{len(one)}",
            flush=True,
        )


def _replayed(turns: list[Turn], truth: Tracks, tuning: Tuning, unsure_below: float) -> tuple[Said, int]:
    """Tell turns again with other thresholds; who was told in each frame, and how many parties were found."""
    line, said, parties = Line(2, RATE_HZ, unsure_below, tuning), np.full(truth.shape[1], NOBODY, np.int8), 0
    for turn in turns:
        windows = [one._replace(vector=one.vector.copy()) for one in turn.windows]
        found = [saying for one in windows[:-1] for saying in line.hear(turn.start, one)]
        for saying in [*found, *line.close(turn.start, turn.end, windows[-1], False)]:
            if saying.data.is_final:
                party = UNSURE if saying.data.party is None else saying.data.party
                said[saying.start // FRAME_SAMPLES : saying.end // FRAME_SAMPLES] = party
                parties = max(parties, len(saying.data.known_s))
    return said, parties


def logistic(x: NDArray[np.float64], y: NDArray[np.bool_]) -> tuple[float, float]:
    """Fit the log-odds of y as slope · x + offset, by Newton's method with a slight ridge."""
    design = np.stack([x, np.ones_like(x)], axis=1)
    weight = np.zeros(2)
    for _ in range(30):
        p = 1.0 / (1.0 + np.exp(-(design @ weight)))
        gradient = design.T @ (p - y) + 1e-3 * weight
        hessian = (design * (p * (1 - p))[:, None]).T @ design + 1e-3 * np.eye(2)
        weight = weight - np.linalg.solve(hessian, gradient)
    return float(weight[0]), float(weight[1])
