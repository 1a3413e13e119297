"""Everything a run reads more than once, made on first use under the work folder."""

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import AudioCache, open_audio
from rtemo_models.kit.audio.rooms import read_rooms
from rtemo_models.kit.audio.variants import VARIANTS, FrameCache, Variant, open_frames
from rtemo_models.kit.corpora.clip import Clip, read_clips
from rtemo_models.systems.merit.data.teacher import SPEEDS, TeacherCache, open_teacher

FRAMES_SEED = 7


@dataclass(frozen=True, slots=True)
class Caches:
    """Clips with their audio, frames and teacher frames."""

    clips: list[Clip]
    audio: AudioCache
    frames: dict[str, FrameCache]
    teachers: dict[str, TeacherCache]
    noise_audio: AudioCache
    noise_frames: FrameCache
    noise_split: list[str]
    noise_kind: list[str]

    def noise_kinds(self, split: str) -> dict[str, list[int]]:
        """Kind → rows of the noises of a split."""
        kinds: dict[str, list[int]] = {}
        for row, (kind, has) in enumerate(zip(self.noise_kind, self.noise_split, strict=True)):
            if has == split:
                kinds.setdefault(kind, []).append(row)
        return kinds

    def noises(self, split: str) -> list[NDArray[np.float16]]:
        """Log-mel frames of the noises of a split."""
        return [self.noise_frames.frames(i) for i, s in enumerate(self.noise_split) if s == split]


def open_caches(
    data_dir: Path, work_dir: Path, encoder: Path | None = None, variants: Iterable[str] | None = None
) -> Caches:
    """Open the caches under `work_dir`, making what is missing (about 10 minutes the first time).

    Args:
        data_dir: Folder with `emotion`, `clean`, `noise` and `rir`.
        work_dir: Folder for the caches, about 6 GB.
        encoder: File of the teacher, see `teacher.find_encoder`.
        variants: Only these variants; all by default.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    clips = read_clips(data_dir)
    audio = open_audio(work_dir / "speech", data_dir, [c.path for c in clips])
    with (data_dir / "noise" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    noise_audio = open_audio(work_dir / "noise", data_dir, [r["path"] for r in rows])
    noise_frames = open_frames(work_dir / "frames-noise", noise_audio, Variant("dry"), [], FRAMES_SEED)
    responses = read_rooms(data_dir / "rir")
    wanted = [v for v in VARIANTS if variants is None or v.name in variants]
    frames = {v.name: open_frames(work_dir / f"frames-{v.name}", audio, v, responses, FRAMES_SEED) for v in wanted}
    teachers = {
        speed: open_teacher(work_dir / f"teacher-{speed}", audio, encoder, speed)
        for speed in SPEEDS
        if any(v.speed == speed for v in wanted)
    }
    return Caches(
        clips, audio, frames, teachers, noise_audio, noise_frames, [r["split"] for r in rows], [r["kind"] for r in rows]
    )
