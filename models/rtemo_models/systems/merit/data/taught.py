"""Clips with what they are taught by: log-mel frames in several versions, and the teacher's frames."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.resample import SPEEDS
from rtemo_models.kit.audio.rooms import read_rooms
from rtemo_models.kit.audio.variants import VARIANTS, Variant
from rtemo_models.kit.corpora.caches import FRAMES_SEED, Caches, open_caches
from rtemo_models.systems.merit.data.frames import FrameCache, open_frames
from rtemo_models.systems.merit.data.teacher import TeacherCache, open_teacher


@dataclass(frozen=True, slots=True)
class Taught(Caches):
    """Clips with their audio, frames and teacher frames."""

    frames: dict[str, FrameCache]
    teachers: dict[str, TeacherCache]
    noise_frames: FrameCache

    def noises(self, split: str) -> list[NDArray[np.float16]]:
        """Log-mel frames of the noises of a split."""
        return [self.noise_frames.frames(i) for i, s in enumerate(self.noise_split) if s == split]


def open_taught(
    data_dir: Path, cache_dir: Path, encoder: Path | None = None, variants: Iterable[str] | None = None
) -> Taught:
    """Open the caches under `cache_dir`, making what is missing (about 10 minutes the first time).

    Args:
        data_dir: Folder with `emotion`, `clean`, `noise` and `rir`.
        cache_dir: Folder for the caches, about 6 GB.
        encoder: File of the teacher, see `teacher.find_encoder`.
        variants: Only these variants; all by default.
    """
    made = open_caches(data_dir, cache_dir)
    noise_frames = open_frames(cache_dir / "frames-noise", made.noise_audio, Variant("dry"), [], FRAMES_SEED)
    responses = read_rooms(data_dir / "rir")
    wanted = [v for v in VARIANTS if variants is None or v.name in variants]
    frames = {
        v.name: open_frames(cache_dir / f"frames-{v.name}", made.audio, v, responses, FRAMES_SEED) for v in wanted
    }
    teachers = {
        speed: open_teacher(cache_dir / f"teacher-{speed}", made.audio, encoder, speed)
        for speed in SPEEDS
        if any(v.speed == speed for v in wanted)
    }
    return Taught(
        made.clips,
        made.audio,
        made.noise_audio,
        made.noise_split,
        made.noise_kind,
        frames,
        teachers,
        noise_frames,
    )
