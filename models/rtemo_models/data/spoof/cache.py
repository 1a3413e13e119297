"""The spoof corpus as bands: every clip made, equalised, analysed once and memory-mapped."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.filterbank import linear_filterbank
from rtemo_models.data.audio_cache import SAMPLE_RATE_HZ, AudioCache
from rtemo_models.data.progress import progress
from rtemo_models.data.spoof.clips import RESYNTHESISERS, SpoofClip
from rtemo_models.data.spoof.equalise import equalise, trimmed
from rtemo_models.data.spoof.packages import speak
from rtemo_models.data.spoof.plan import CorpusRecipe, plan, seeded
from rtemo_models.data.spoof.resynthesis import resynthesise

BAND_COUNT = 96
FRAME_SAMPLES, HOP_SAMPLES = 512, 160
FLOOR = 1e-10
FRONT_END: dict[str, float | int | str | bool] = {
    "rate_hz": SAMPLE_RATE_HZ,
    "hop_samples": HOP_SAMPLES,
    "frame_samples": FRAME_SAMPLES,
    "fft_samples": FRAME_SAMPLES,
    "window": "hann",
    "scale": "linear",
    "band_count": BAND_COUNT,
    "low_hz": 0.0,
    "high_hz": 8000.0,
    "floor": FLOOR,
}
"""The spectrum that GEM hears; see `rtemo.dsp.filterbank`."""


class BandCache:
    """Clips with their audio and their bands, under one folder."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "corpus.json").read_text())
        self.folder = folder
        self.clips = [SpoofClip(**row) for row in index["clips"]]
        self.offsets = np.asarray(index["offsets"], np.int64)
        self.audio = AudioCache(folder / "audio")
        self._bands = np.memmap(folder / "bands.f16", np.float16, "r").reshape(-1, BAND_COUNT)

    def __len__(self) -> int:
        return len(self.clips)

    def bands(self, i: int) -> NDArray[np.float16]:
        """Bands of clip `i`, float16 [hops, band_count], whole steps."""
        return self._bands[self.offsets[i] : self.offsets[i + 1]]


def open_corpus(data_dir: Path, folder: Path, recipe: CorpusRecipe) -> BandCache:
    """Open the corpus under `folder`, making it first when it is absent (a few minutes of one core).

    Clips that hold next to no speech are left out.
    """
    if not (folder / "corpus.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        kept: list[SpoofClip] = []
        offsets, starts = [0], [0]
        with (folder / "audio.i16").open("wb") as audio, (folder / "bands.f16").open("wb") as frames:
            for clip in progress(plan(data_dir, recipe), "clips"):
                samples = make(clip, data_dir, recipe)
                if not len(samples):
                    continue
                bands = bands_offline(samples)
                audio.write((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes())
                frames.write(bands.astype(np.float16).tobytes())
                kept.append(clip)
                starts.append(starts[-1] + len(samples))
                offsets.append(offsets[-1] + len(bands))
        (folder / "audio.json").write_text(json.dumps({"paths": [c.name for c in kept], "offsets": starts}))
        index = {"clips": [asdict(c) for c in kept], "offsets": offsets}
        (folder / "corpus.json").write_text(json.dumps(index, ensure_ascii=False))
    return BandCache(folder)


def make(clip: SpoofClip, data_dir: Path, recipe: CorpusRecipe) -> NDArray[np.float32]:
    """Make the audio of a clip: decode it, say it or resynthesise it, then equalise it."""
    import soundfile

    random = seeded(recipe, clip)
    if not clip.source:
        return equalise(speak(clip.system, clip.voice, clip.emotion, clip.text, random), False, random)
    samples, _ = soundfile.read(data_dir / clip.source, dtype="float32")
    if clip.system in RESYNTHESISERS:
        drawn = np.random.default_rng([recipe.seed, *clip.name.encode()])
        made = resynthesise(trimmed(samples)[: 8 * SAMPLE_RATE_HZ], clip.system, clip.voice, drawn)
        return equalise(made, False, random)
    return equalise(trimmed(samples)[: 8 * SAMPLE_RATE_HZ], True, random)


def bands_offline(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Bands of a clip, float32 [hops, band_count], whole steps of 4 hops; silence before the first sample.

    Linearly spaced bands of the natural logarithm of power; a full-scale sine on a bin reads 0.
    """
    hops = len(samples) // HOP_SAMPLES // 4 * 4
    padded = np.pad(samples[: hops * HOP_SAMPLES], (FRAME_SAMPLES - HOP_SAMPLES, 0))
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES]
    window, bank = analysis()
    spectra = np.fft.rfft(frames * window)
    power = (spectra.real**2 + spectra.imag**2).astype(np.float32) * np.float32((2 / window.sum()) ** 2)
    return np.log(np.maximum(power @ bank, np.float32(FLOOR)))


@cache
def analysis() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The window [frame_samples] and the bank [bins, band_count]."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES)
    bank = linear_filterbank(
        BAND_COUNT, rate_hz=SAMPLE_RATE_HZ, fft_samples=FRAME_SAMPLES, low_hz=0.0, high_hz=SAMPLE_RATE_HZ / 2
    )
    return window.astype(np.float32), np.ascontiguousarray(bank.dense().T, np.float32)
