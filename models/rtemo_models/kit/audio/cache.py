"""Decoded audio in one flat file, so that a pass over the corpora never decodes twice."""

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000


class AudioCache:
    """int16 samples of many recordings, memory-mapped from `<stem>.i16` with offsets in `<stem>.json`."""

    def __init__(self, stem: Path) -> None:
        index = json.loads(stem.with_suffix(".json").read_text())
        self.paths: list[str] = index["paths"]
        self.offsets = np.asarray(index["offsets"], np.int64)
        self._samples = np.memmap(stem.with_suffix(".i16"), np.int16, "r")

    def __len__(self) -> int:
        return len(self.paths)

    def samples(self, i: int) -> NDArray[np.float32]:
        """Samples of recording `i` as float32 in [-1, 1]."""
        return self._samples[self.offsets[i] : self.offsets[i + 1]].astype(np.float32) / 32768.0


def open_audio(stem: Path, root: Path, paths: list[str]) -> AudioCache:
    """Open the cache at `stem`, decoding `paths` (relative to `root`) first when it is absent or of other paths.

    Channels are averaged. A file of another rate is refused: the corpora are stored at 16 kHz.

    Raises:
        ValueError: If a file is not 16 kHz.
    """
    index_path = stem.with_suffix(".json")
    if index_path.exists() and json.loads(index_path.read_text())["paths"] == paths:
        return AudioCache(stem)
    import soundfile

    stem.parent.mkdir(parents=True, exist_ok=True)
    offsets = [0]
    with stem.with_suffix(".i16").open("wb") as out:
        for path in paths:
            samples, rate_hz = soundfile.read(root / path, dtype="float32", always_2d=True)
            if rate_hz != SAMPLE_RATE_HZ:
                raise ValueError(f"{path} has {rate_hz} Hz; expected {SAMPLE_RATE_HZ}: resample it first")
            mono = np.clip(samples.mean(axis=1) * 32768.0, -32768, 32767).astype(np.int16)
            out.write(mono.tobytes())
            offsets.append(offsets[-1] + len(mono))
    index_path.write_text(json.dumps({"paths": paths, "offsets": offsets}))
    return AudioCache(stem)
