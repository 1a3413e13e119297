"""Log-mel frames of every clip in several versions, computed once and memory-mapped.

Noise, filters, gain and masks are drawn anew for every batch on the frames themselves (`kit.audio.augment`), which is a
hundred times cheaper than on the waveform.
"""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.logmel import logmel_offline
from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.audio.variants import Variant, distort
from rtemo_models.kit.progress import progress


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
