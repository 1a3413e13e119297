"""Trials: scored clips as columns, and the CSV files they are kept in."""

import csv
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, EXPERT_OF, EXPERTS, RtemoError

GATE = {name: tuple(e for e in EMOTIONS if EXPERT_OF[e] == name) for name in EXPERTS}
"""Expert → the emotions that its gate takes together."""
BANDS = ("full", "telephone")
SECONDS = ("1", "2", "4", "end")
"""Seconds of speech a score rests on; a clip that has less is taken at its end."""
COLUMNS = ("clip", "system", "corpus", "speaker", "emotion", "fold", "band", "seconds", "label", "score", "arm")
_OPTIONAL = {"arm": "gem", "fold": "", "emotion": "", "speaker": ""}


@dataclass(frozen=True, eq=False)
class Trials:
    """Scored trials, an array per column; all of one length.

    Attributes:
        clip: Name of the clip, the same in every arm, band and duration.
        system: What synthesised it; empty for genuine speech.
        corpus: Where it is from.
        speaker: Who speaks; empty where nobody knows.
        emotion: One of the eight, or empty.
        fold: Which part of a leave-systems-out protocol scored it. A name that begins with `seen` says that the
            system (of a genuine clip: the speaker) was trained on.
        band: `full` or `telephone`.
        seconds: `1`, `2`, `4` or `end`.
        label: 1 synthetic, 0 genuine.
        score: Log-likelihood ratio that the voice is synthetic: log-odds where both are as likely before.
        arm: Which variant of the system scored it.
    """

    clip: NDArray[np.str_]
    system: NDArray[np.str_]
    corpus: NDArray[np.str_]
    speaker: NDArray[np.str_]
    emotion: NDArray[np.str_]
    fold: NDArray[np.str_]
    band: NDArray[np.str_]
    seconds: NDArray[np.str_]
    label: NDArray[np.int64]
    score: NDArray[np.float64]
    arm: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.score)

    def where(self, keep: NDArray[np.bool_] | NDArray[np.int64]) -> "Trials":
        """Give the trials that a mask or row numbers pick."""
        return Trials(*(getattr(self, f.name)[keep] for f in fields(self)))

    @property
    def is_synthetic(self) -> NDArray[np.bool_]:
        """bool [n]."""
        return self.label == 1

    @property
    def is_seen(self) -> NDArray[np.bool_]:
        """bool [n]: the system or the speaker was trained on."""
        return np.char.startswith(self.fold, "seen")

    @property
    def expert(self) -> NDArray[np.str_]:
        """The expert that answers for each trial's emotion; empty where there is no label."""
        return np.array([EXPERT_OF.get(str(e), "") for e in self.emotion], np.str_)

    @property
    def cluster(self) -> NDArray[np.str_]:
        """What is drawn as a whole: the system of a synthetic clip, the speaker (or else corpus) of a genuine one."""
        genuine = np.where(self.speaker == "", self.corpus, self.speaker)
        return np.where(self.is_synthetic, self.system, genuine)

    @property
    def key(self) -> NDArray[np.str_]:
        """Names a trial whichever arm scored it."""
        parts = zip(self.clip, self.fold, self.band, self.seconds, strict=True)
        return np.array(["\t".join(p) for p in parts], np.str_)


def trials_of(rows: Iterable[dict[str, object]]) -> Trials:
    """Make trials of rows with the keys of `COLUMNS`; optional ones may be missing.

    Raises:
        RtemoError: A row is not a trial, or a trial is there twice.
    """
    listed = [_checked(number, row) for number, row in enumerate(rows, 1)]
    if not listed:
        raise RtemoError("there are no trials", "score some clips first")
    columns = {name: [row[name] for row in listed] for name in COLUMNS}
    texts = {name: np.array(columns[name], np.str_) for name in COLUMNS if name not in ("label", "score")}
    trials = Trials(**texts, label=np.array(columns["label"], np.int64), score=np.array(columns["score"], np.float64))
    names = np.char.add(np.char.add(trials.key, "\t"), trials.arm)
    kinds, counts = np.unique(names, return_counts=True)
    if counts.max() > 1:
        twice = str(kinds[counts.argmax()]).replace("\t", ", ")
        raise RtemoError(f"a trial is there {counts.max()} times: {twice}", "give every file of trials once")
    return trials


def read_trials(paths: Sequence[Path]) -> Trials:
    """Read one or several CSV files of scored trials.

    Raises:
        RtemoError: A file cannot be read, or holds something else.
    """
    rows: list[dict[str, object]] = []
    for path in paths:
        try:
            with path.open(newline="", encoding="utf-8") as file:
                rows += csv.DictReader(file)
        except (OSError, UnicodeDecodeError) as error:
            raise RtemoError(f"{path} cannot be read ({error})", "give CSV files of scored trials") from None
    return trials_of(rows)


def write_trials(path: Path, rows: Iterable[dict[str, object]]) -> None:
    """Write rows as CSV, columns in the order of `COLUMNS`; the folder is made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with part.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    part.replace(path)


def rows_of(trials: Trials) -> list[dict[str, object]]:
    """Give trials as rows again."""
    return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*(getattr(trials, c) for c in COLUMNS), strict=True)]


def _checked(number: int, row: dict[str, object]) -> dict[str, object]:
    missing = [name for name in COLUMNS if row.get(name) is None and name not in _OPTIONAL]
    if missing:
        raise RtemoError(f"trial {number} has no {', '.join(missing)}", f"give the columns {', '.join(COLUMNS)}")
    full = {name: _OPTIONAL.get(name) if row.get(name) is None else row[name] for name in COLUMNS}
    full["arm"] = full["arm"] or "gem"
    try:
        label, score = int(str(full["label"])), float(str(full["score"]))
    except ValueError as error:
        raise RtemoError(f"trial {number} is not a number where it should be ({error})", "correct the file") from None
    for name, value, allowed in (
        ("label", label, (0, 1)),
        ("band", full["band"], BANDS),
        ("seconds", full["seconds"], SECONDS),
    ):
        if value not in allowed:
            told = ", ".join(map(str, allowed))
            raise RtemoError(f"trial {number} has {name} {value!r}", f"{name} is one of {told}")
    if not math.isfinite(score):
        raise RtemoError(f"trial {number} ({full['clip']}) has the score {score}", "leave out what has no score")
    if label == 1 and not full["system"]:
        raise RtemoError(f"trial {number} ({full['clip']}) is synthetic and names no system", "name its system")
    return full | {"label": label, "score": score}
