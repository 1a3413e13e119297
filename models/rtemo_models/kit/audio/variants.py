"""Log-mel frames of every clip in several versions, computed once and memory-mapped.

Rooms, telephones, clipping and playback speed need the waveform and are computed here; noise, filters, gain and masks
are drawn anew for every batch on the log-mel frames themselves (`augment`), which is a hundred times cheaper.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.logmel import logmel_offline
from rtemo_models.kit.audio import rooms
from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.progress import progress
from rtemo_models.systems.merit.data.teacher import respeed


@dataclass(frozen=True, slots=True)
class Variant:
    """How one version of every clip is made: playback speed, share of clips in a room, on a telephone, clipped."""

    name: str
    speed: str = "normal"
    room: float = 0.0
    telephone: float = 0.0
    clipping: float = 0.0


VARIANTS = (
    Variant("dry"),
    Variant("dry-slow", speed="slow"),
    Variant("dry-fast", speed="fast"),
    Variant("room", room=1.0),
    Variant("line", room=0.4, telephone=0.8, clipping=0.3),
    Variant("room-slow", speed="slow", room=1.0, clipping=0.2),
    Variant("line-fast", speed="fast", room=0.4, telephone=0.7, clipping=0.3),
    Variant("room-fast", speed="fast", room=1.0, telephone=0.1),
)


class FrameCache:
    """float16 log-mel frames of many clips, memory-mapped from `<stem>.f16` with offsets in `<stem>.json`."""

    def __init__(self, stem: Path) -> None:
        index = json.loads(stem.with_suffix(".json").read_text())
        self.offsets = np.asarray(index["offsets"], np.int64)
        self._frames = np.memmap(stem.with_suffix(".f16"), np.float16, "r").reshape(-1, index["mel_count"])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def frames(self, i: int) -> NDArray[np.float16]:
        """Frames of clip `i`, float16 [frames, mel_count]."""
        return self._frames[self.offsets[i] : self.offsets[i + 1]]


def open_frames(
    stem: Path, audio: AudioCache, variant: Variant, responses: list[NDArray[np.float32]], seed: int
) -> FrameCache:
    """Open the frames of one variant at `stem`, computing them first when they are absent."""
    if not stem.with_suffix(".json").exists():
        stem.parent.mkdir(parents=True, exist_ok=True)
        offsets = [0]
        mel_count = 0
        with stem.with_suffix(".f16").open("wb") as out:
            for i in progress(range(len(audio)), f"frames {variant.name}"):
                random = np.random.default_rng((seed, i, len(variant.name)))
                frames = logmel_offline(distort(audio.samples(i), variant, responses, random))
                out.write(frames.astype(np.float16).tobytes())
                mel_count = frames.shape[1]
                offsets.append(offsets[-1] + len(frames))
        stem.with_suffix(".json").write_text(json.dumps({"mel_count": mel_count, "offsets": offsets}))
    return FrameCache(stem)


def distort(
    samples: NDArray[np.float32],
    variant: Variant,
    responses: list[NDArray[np.float32]],
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Make one version of a clip; levelled to -26 dBFS first where a telephone or clipping depends on level."""
    samples = respeed(samples, variant.speed)
    if random.random() < variant.room:
        known = responses and random.random() < 0.5
        response = responses[random.integers(len(responses))] if known else rooms.synthetic_room(random)
        samples = rooms.reverberate(samples, response)
    if random.random() < variant.clipping:
        samples = rooms.clip_peaks(samples, random.uniform(0.05, 0.6))
    if random.random() < variant.telephone:
        rms = float(np.sqrt(np.mean(samples**2)) + 1e-9)
        levelled = np.clip(samples * (10 ** (random.uniform(-34, -18) / 20) / rms), -1, 1).astype(np.float32)
        samples = rooms.telephone(levelled, random.uniform(150, 350), random.uniform(3000, 3800), random.random() < 0.7)
    return samples
