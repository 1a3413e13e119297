"""What is trained on and reported: clips of demonstration pages, genuine corpora, and copies made of genuine clips."""

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rtemo.api import EMOTIONS

FOLDS = 5
MOST_OF_SYSTEM = 60
"""Clips of one system on one page at most: a page with hundreds would drown the others."""
OF_CORPUS = {
    "ravdess": 64, "nemo": 64, "ased": 40, "tess": 20, "rakshak": 48, "ketts": 24, "crema": 40, "baved": 20,
    "librispeech": 60, "speechocean762": 60,
}  # fmt: skip
"""Genuine clips of training speakers that are taken of each corpus."""
WAYS = ("mel-phase/copy", "griffin-lim/copy", "lpc/copy", "world/copy")
"""Copies of genuine clips: maker and way of `kit.audio.resynthesis`."""


@dataclass(frozen=True, slots=True)
class SpoofClip:
    """One clip.

    Attributes:
        path: Of the audio, relative to the data folder.
        source: Page or corpus.
        system: What made it; empty for genuine speech.
        family: Kind of system, as `vc` or `vocoder`; empty where nobody says.
        emotion: One of `EMOTIONS`, or empty.
        speaker: Who speaks; empty where nobody knows.
        pair: What a genuine clip and its synthetic twins have in common; empty where it has none.
        way: How the recording at `path` is made anew, one of `WAYS`; empty if it is heard as it is.
        is_page: Whether it is of a demonstration page, and so of a fold.
        is_said: Whether a synthesiser at hand has said it for this; its file lies under the work folder.
    """

    path: str
    source: str
    system: str = ""
    family: str = ""
    emotion: str = ""
    speaker: str = ""
    pair: str = ""
    way: str = ""
    is_page: bool = True
    is_said: bool = False

    @property
    def is_synthetic(self) -> bool:
        """Whether it was made by a machine, copies among them."""
        return bool(self.system)

    @property
    def key(self) -> str:
        """Its name, unlike any other's."""
        return f"{self.path}:{self.way}" if self.way else self.path


def plain_name(system: str) -> str:
    """A system's name without case and punctuation: `VALL-E` and `VallE` are one."""
    return re.sub(r"[^a-z0-9+]", "", system.lower())


def page_clips(data: Path) -> list[SpoofClip]:
    """Clips of all demonstration pages that are there, at most `MOST_OF_SYSTEM` of one system and page.

    Raises:
        FileNotFoundError: There are none.
    """
    clips: list[SpoofClip] = []
    manifests = [data / folder / "manifest.csv" for folder in ("spoof2", "spoof")]
    for manifest in [path for path in manifests if path.exists()] or manifests:
        with manifest.open(newline="", encoding="utf-8") as file:
            clips += [_page_clip(row) for row in csv.DictReader(file)]
    groups: dict[tuple[str, str], list[int]] = {}
    for k, clip in enumerate(clips):
        groups.setdefault((clip.source, clip.system), []).append(k)
    random = np.random.default_rng(0)
    kept = [
        k
        for rows in groups.values()
        for k in (rows if len(rows) <= MOST_OF_SYSTEM else random.choice(rows, MOST_OF_SYSTEM, replace=False).tolist())
    ]
    return [clips[k] for k in sorted(kept)]


def _page_clip(row: dict[str, str]) -> SpoofClip:
    emotion = row.get("emotion") or ""
    return SpoofClip(
        path=row["path"],
        source=row["source"],
        system="" if row["bona_fide"] == "1" else plain_name(row["system"]),
        family=row.get("family") or "",
        emotion=emotion if emotion in EMOTIONS else "",
        speaker=row.get("speaker") or "",
        pair=row.get("pair") or "",
    )


def said_clips(folder: Path) -> list[SpoofClip]:
    """Clips that synthesisers at hand have said, of `bench.quality.spoof.said`; none where it did not run."""
    manifest = folder / "manifest.csv"
    if not manifest.exists():
        return []
    with manifest.open(newline="", encoding="utf-8") as file:
        clips = [_page_clip(row) for row in csv.DictReader(file)]
    return [replace(clip, is_page=False, is_said=True) for clip in clips]


def corpus_clips(data: Path) -> list[SpoofClip]:
    """Genuine clips of training speakers of the emotion corpora and of read speech, drawn evenly over speakers."""
    clips = []
    for folder in ("emotion", "clean"):
        with (data / folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == "train"]
        for corpus, count in OF_CORPUS.items():
            mine = [row for row in rows if row["corpus"] == corpus and float(row["duration_s"]) >= 1.0]
            for row in spread(mine, count):
                emotion = row.get("emotion") or ""
                clips.append(SpoofClip(row["path"], corpus, emotion=emotion, speaker=row["speaker"], is_page=False))
    return clips


def spread(rows: Sequence[dict[str, str]], count: int) -> list[dict[str, str]]:
    """So many rows, of speaker after speaker."""
    random = np.random.default_rng(1)
    by: dict[str, list[dict[str, str]]] = {}
    for k in random.permutation(len(rows)).tolist():
        by.setdefault(rows[k]["speaker"], []).append(rows[k])
    taken: list[dict[str, str]] = []
    while len(taken) < min(count, len(rows)):
        taken += [queue.pop() for queue in by.values() if queue]
    return taken[:count]


def copies(clips: Iterable[SpoofClip], each: int, ways: Sequence[str] = WAYS) -> list[SpoofClip]:
    """Copies of genuine clips, so many of each, in ways that take turns."""
    made, k = [], 0
    for clip in clips:
        if clip.is_synthetic:
            continue
        for _ in range(each):
            way = ways[k % len(ways)]
            k += 1
            maker = way.partition("/")[0]
            made.append(replace(clip, system=f"copy-{maker}", family="copy", way=way, pair=clip.pair or clip.path))
    return made


def page_folds(clips: Sequence[SpoofClip], folds: int = FOLDS) -> dict[str, int]:
    """Fold of every page: pages that share systems come together as far as folds stay about alike in clips."""
    pages: dict[str, set[str]] = {}
    size: dict[str, int] = {}
    for clip in clips:
        if not clip.is_page or clip.way:
            continue
        size[clip.source] = size.get(clip.source, 0) + 1
        systems = pages.setdefault(clip.source, set())
        if clip.is_synthetic:
            systems.add(clip.system)
    load, known = [0] * folds, [set[str]() for _ in range(folds)]
    most = sum(size.values()) / folds * 1.05
    fold: dict[str, int] = {}
    for page in sorted(pages, key=lambda p: (-len(pages[p]), p)):
        open_ = [k for k in range(folds) if load[k] + size[page] <= most] or list(range(folds))
        best = max(open_, key=lambda k: (len(pages[page] & known[k]), -load[k], -k))
        fold[page] = best
        load[best] += size[page]
        known[best] |= pages[page]
    return fold


def trained_on(clips: Sequence[SpoofClip], unseen: set[str]) -> list[int]:
    """Which clips may be trained on when the clips of some pages are unseen: not those, and none of their systems."""
    systems = {c.system for c in clips if c.source in unseen and c.is_synthetic and not c.way}
    return [k for k, c in enumerate(clips) if c.source not in unseen and (c.way or c.system not in systems)]
