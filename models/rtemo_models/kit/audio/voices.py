"""Waveforms of every clip in several versions (rooms, lines, playback speeds), computed once and memory-mapped."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.audio.variants import Variant, distort
from rtemo_models.kit.progress import progress


def open_voices(
    stem: Path, audio: AudioCache, variant: Variant, responses: list[NDArray[np.float32]], seed: int
) -> AudioCache:
    """Open the waveforms of one variant at `stem`, computing them first when they are absent.

    Peaks over full scale are scaled down with their clip, since 16 bits would clip them.
    """
    index_path = stem.with_suffix(".json")
    if not index_path.exists():
        stem.parent.mkdir(parents=True, exist_ok=True)
        offsets = [0]
        with stem.with_suffix(".i16").open("wb") as out:
            for i in progress(range(len(audio)), f"voices {variant.name}"):
                random = np.random.default_rng((seed, i, len(variant.name)))
                samples = distort(audio.samples(i), variant, responses, random)
                samples = samples / max(1.0, float(np.abs(samples).max(initial=0.0)))
                out.write((samples * 32767).astype(np.int16).tobytes())
                offsets.append(offsets[-1] + len(samples))
        index_path.write_text(json.dumps({"paths": audio.paths, "offsets": offsets}))
    return AudioCache(stem)
