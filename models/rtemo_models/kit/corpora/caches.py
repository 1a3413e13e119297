"""Clips and noises with their decoded audio, decoded on first use under the work folder."""

import csv
from dataclasses import dataclass
from pathlib import Path

from rtemo_models.kit.audio.cache import AudioCache, open_audio
from rtemo_models.kit.corpora.clip import Clip, read_clips

FRAMES_SEED = 7
"""Of what is drawn once and kept in caches: rooms, lines, noises."""


@dataclass(frozen=True, slots=True)
class Caches:
    """Clips and noises with their audio."""

    clips: list[Clip]
    audio: AudioCache
    noise_audio: AudioCache
    noise_split: list[str]
    noise_kind: list[str]

    def noise_kinds(self, split: str) -> dict[str, list[int]]:
        """Kind → rows of the noises of a split."""
        kinds: dict[str, list[int]] = {}
        for row, (kind, has) in enumerate(zip(self.noise_kind, self.noise_split, strict=True)):
            if has == split:
                kinds.setdefault(kind, []).append(row)
        return kinds


def open_caches(data_dir: Path, cache_dir: Path) -> Caches:
    """Open the caches under `cache_dir`, decoding what is missing (a minute the first time).

    Args:
        data_dir: Folder with `emotion`, `clean` and `noise`.
        cache_dir: Folder for the caches.
    """
    cache_dir.mkdir(parents=True, exist_ok=True)
    clips = read_clips(data_dir)
    audio = open_audio(cache_dir / "speech", data_dir, [c.path for c in clips])
    with (data_dir / "noise" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    noise_audio = open_audio(cache_dir / "noise", data_dir, [r["path"] for r in rows])
    return Caches(clips, audio, noise_audio, [r["split"] for r in rows], [r["kind"] for r in rows])
