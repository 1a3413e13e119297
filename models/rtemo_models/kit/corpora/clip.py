"""Clips of the emotion corpora and of neutral speech, with the split that keeps speakers apart."""

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from rtemo.api import EMOTIONS
from rtemo.api.emotions import CIRCUMPLEX

AROUSAL_OF_LEVEL = {"0": -0.7, "1": 0.0, "2": 0.7}
"""BAVED's activation levels on the arousal axis: low, neutral and high, evenly spaced."""

STRONG_AROUSAL = 0.2
"""How far RAVDESS's "strong" moves the arousal target outward, and half of it inward for "normal"."""

NEUTRAL_CORPORA = ("librispeech", "speechocean762")
"""Read speech without emotion labels: taken as neutral or calm."""


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording with everything a target is made of."""

    path: str
    corpus: str
    speaker: str
    split: str
    emotion: str
    level: str
    duration_s: float
    partition: str = ""
    """What the corpus itself calls the clip's part, such as `Test1` or `Session3`; empty where it names none."""
    rating: tuple[float, float, float] | None = None
    """Mean (valence, arousal, dominance) that listeners gave, in [-1, 1], NaN where they gave none."""
    votes: tuple[int, ...] = ()
    """How many listeners chose each of `EMOTIONS`; empty where that is not known."""
    gender: str = ""
    text: str = ""

    @property
    def label(self) -> int:
        """Index into `EMOTIONS`, or -1 where the corpus gives none."""
        return EMOTIONS.index(self.emotion) if self.emotion else -1

    @property
    def valence_arousal(self) -> tuple[float, float]:
        """Target on the circumplex: the listeners' rating where there is one; NaN where nothing is known."""
        nan = float("nan")
        if self.rating is not None:
            return self.rating[:2]
        if self.corpus == "baved":
            return nan, AROUSAL_OF_LEVEL[self.level]
        if not self.emotion:
            return nan, nan
        valence, arousal = CIRCUMPLEX[self.emotion]
        if self.emotion != "neutral" and self.level in ("strong", "normal"):
            outward = 1.0 if arousal >= 0 else -1.0
            arousal += outward * (STRONG_AROUSAL if self.level == "strong" else -STRONG_AROUSAL / 2)
        return valence, max(-1.0, min(1.0, arousal))


def read_clips(data_dir: Path) -> list[Clip]:
    """Read the manifests of the emotion corpora and of neutral speech.

    Args:
        data_dir: Folder that holds `emotion/manifest.csv` and `clean/manifest.csv`.

    Returns:
        All clips, train and dev, in the order of the manifests; neutral speech last, without an emotion.

    Raises:
        ValueError: If a speaker appears in two splits.
    """
    clips = read_manifest(data_dir / "emotion" / "manifest.csv")
    with (data_dir / "clean" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        clips += [
            Clip(r["path"], r["corpus"], r["speaker"], r["split"], "", "", float(r["duration_s"]))
            for r in csv.DictReader(file)
        ]
    refuse_leaks(clips)
    return clips


def read_manifest(path: Path) -> list[Clip]:
    """Read one manifest of emotional speech; the columns that came later may be missing."""
    with path.open(newline="", encoding="utf-8") as file:
        return [
            Clip(
                r["path"],
                r["corpus"],
                r["speaker"],
                r["split"],
                r["emotion"] or "",
                r["level"] or "",
                float(r["duration_s"]),
                r.get("partition") or "",
                rating_of(r),
                tuple(int(count) for count in (r.get("votes") or "").split()),
                r.get("gender") or "",
                r.get("text") or "",
            )
            for r in csv.DictReader(file)
        ]


def rating_of(row: Mapping[str, str]) -> tuple[float, float, float] | None:
    """The rating in the columns valence, arousal and dominance of a manifest's row; None where all are empty."""
    valence, arousal, dominance = (float(row.get(name) or "nan") for name in ("valence", "arousal", "dominance"))
    return None if all(map(math.isnan, (valence, arousal, dominance))) else (valence, arousal, dominance)


def refuse_leaks(clips: Iterable[Clip]) -> None:
    """Refuse a split in which one speaker is both trained on and reported.

    Raises:
        ValueError: Naming the first few speakers found in more than one split.
    """
    splits: dict[str, set[str]] = {}
    for clip in clips:
        splits.setdefault(clip.speaker, set()).add(clip.split)
    leaks = sorted(speaker for speaker, found in splits.items() if len(found) > 1)
    if leaks:
        raise ValueError(
            f"{len(leaks)} speakers are in two splits: {', '.join(leaks[:5])}; give each speaker one split"
        )


def classes_of(clips: Iterable[Clip]) -> dict[str, tuple[int, ...]]:
    """Which emotions each corpus knows, from its labels: the class mask of loss and score."""
    found: dict[str, set[int]] = {}
    for clip in clips:
        if clip.label >= 0:
            found.setdefault(clip.corpus, set()).add(clip.label)
    return {corpus: tuple(sorted(labels)) for corpus, labels in found.items()}
