"""The spoof corpus as traces: every clip made, equalised, analysed once and memory-mapped."""

import json
from dataclasses import asdict
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.filterbank import linear_filterbank
from rtemo.dsp.residual import VALUES as RESIDUAL_VALUES
from rtemo.dsp.residual import Residual
from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ, AudioCache
from rtemo_models.kit.audio.equalise import equalise, trimmed
from rtemo_models.kit.audio.programs import read_16_khz, speak
from rtemo_models.kit.audio.resynthesis import resynthesise
from rtemo_models.kit.progress import progress
from rtemo_models.systems.gem.data import neural
from rtemo_models.systems.gem.data.clips import RESYNTHESISERS, SpoofClip
from rtemo_models.systems.gem.data.imitations import imitate
from rtemo_models.systems.gem.data.plan import CorpusRecipe, plan, seeded

BAND_COUNT, FRAMES = 16, 2
TRACES = FRAMES * BAND_COUNT + RESIDUAL_VALUES
"""Values of a hop: bands of its short frames, then what the residual of linear prediction is like."""

FRAME_SAMPLES, FRAME_HOP_SAMPLES, HOP_SAMPLES, RESIDUAL_SAMPLES = 128, 80, 160, 320
REACH_SAMPLES = 3840
"""Modulation is measured over 240 ms."""

FLOOR = 1e-10
FRONT_END: dict[str, float | int | str | bool] = {
    "rate_hz": SAMPLE_RATE_HZ,
    "hop_samples": HOP_SAMPLES,
    "frame_samples": FRAME_SAMPLES,
    "frame_hop_samples": FRAME_HOP_SAMPLES,
    "window": "hann",
    "scale": "linear",
    "band_count": BAND_COUNT,
    "low_hz": 0.0,
    "high_hz": 8000.0,
    "floor": FLOOR,
    "residual_samples": RESIDUAL_SAMPLES,
    "reach_samples": REACH_SAMPLES,
}
"""What GEM hears; see `rtemo.dsp.filterbank` and `rtemo.dsp.residual`."""


class TraceCache:
    """Clips with their audio and their traces, under one folder."""

    def __init__(self, folder: Path) -> None:
        index = json.loads((folder / "corpus.json").read_text())
        self.folder = folder
        self.clips = [SpoofClip(**row) for row in index["clips"]]
        self.offsets = np.asarray(index["offsets"], np.int64)
        self.audio = AudioCache(folder / "audio")
        self._traces = np.memmap(folder / "traces.f16", np.float16, "r").reshape(-1, TRACES)

    def __len__(self) -> int:
        return len(self.clips)

    def traces(self, i: int) -> NDArray[np.float16]:
        """Traces of clip `i`, float16 [hops, TRACES], whole steps."""
        return self._traces[self.offsets[i] : self.offsets[i + 1]]


def open_corpus(data_dir: Path, folder: Path, recipe: CorpusRecipe) -> TraceCache:
    """Open the corpus under `folder`, making it first when it is absent (a few minutes of one core).

    Clips that hold next to no speech are left out.
    """
    if not (folder / "corpus.json").exists():
        folder.mkdir(parents=True, exist_ok=True)
        kept: list[SpoofClip] = []
        offsets, starts = [0], [0]
        with (folder / "audio.i16").open("wb") as audio, (folder / "traces.f16").open("wb") as frames:
            for clip in progress(plan(data_dir, recipe, folder.parent), "clips"):
                samples = make(clip, data_dir, recipe, folder.parent)
                if not len(samples):
                    continue
                traces = traces_of(samples)
                audio.write((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes())
                frames.write(traces.astype(np.float16).tobytes())
                kept.append(clip)
                starts.append(starts[-1] + len(samples))
                offsets.append(offsets[-1] + len(traces))
        (folder / "audio.json").write_text(json.dumps({"paths": [c.name for c in kept], "offsets": starts}))
        index = {"clips": [asdict(c) for c in kept], "offsets": offsets}
        (folder / "corpus.json").write_text(json.dumps(index, ensure_ascii=False))
    return TraceCache(folder)


def make(clip: SpoofClip, data_dir: Path, recipe: CorpusRecipe, work: Path) -> NDArray[np.float32]:
    """Make the audio of a clip: decode it, say it or resynthesise it, then equalise it."""
    random = seeded(recipe, clip)
    if not clip.source:
        return equalise(speak(clip.system, clip.voice, clip.emotion, clip.text, random), False, random)
    samples = trimmed(read_16_khz(data_dir / clip.source))[: 8 * SAMPLE_RATE_HZ]
    drawn = np.random.default_rng([recipe.seed, *clip.name.encode()])
    if clip.is_imitation:
        return equalise(imitate(samples, clip.system, drawn), False, random)
    if clip.system in RESYNTHESISERS:
        return equalise(resynthesise(samples, clip.system, clip.voice, drawn), False, random)
    if clip.system in neural.WAYS:
        return equalise(neural.revoice(samples, clip.system, clip.voice, drawn, work), False, random)
    return equalise(samples, not Path(clip.source).is_absolute(), random)  # other programs' are not coded yet


def traces_of(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Traces of a clip, float32 [hops, TRACES], whole steps of 4 hops; silence before the first sample.

    The natural logarithm of power in linearly spaced bands, where a full-scale sine on a bin reads 0, of the two short
    frames of each hop; then the residual of the hop's longer frame.
    """
    hops = len(samples) // HOP_SAMPLES // 4 * 4
    spoken = samples[: hops * HOP_SAMPLES]
    window, bank = analysis()
    frames = cut(spoken, FRAME_SAMPLES, FRAME_HOP_SAMPLES)
    spectra = np.fft.rfft(frames * window)
    power = (spectra.real**2 + spectra.imag**2).astype(np.float32) * np.float32((2 / window.sum()) ** 2)
    bands = np.log(np.maximum(power @ bank, np.float32(FLOOR))).reshape(hops, FRAMES * BAND_COUNT)
    return np.concatenate([bands, residual().of_frames(cut(spoken, RESIDUAL_SAMPLES, HOP_SAMPLES))], 1)


def cut(samples: NDArray[np.float32], frame_samples: int, hop_samples: int) -> NDArray[np.float32]:
    """Frames that end with each hop, [hops, frame_samples]."""
    padded = np.pad(samples, (frame_samples - hop_samples, 0))
    return np.lib.stride_tricks.sliding_window_view(padded, frame_samples)[::hop_samples]


@cache
def residual() -> Residual:
    """What describes residuals."""
    return Residual(1, frame_samples=RESIDUAL_SAMPLES, hop_samples=HOP_SAMPLES)


@cache
def analysis() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The window [frame_samples] and the bank [bins, band_count]."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FRAME_SAMPLES) / FRAME_SAMPLES)
    bank = linear_filterbank(
        BAND_COUNT, rate_hz=SAMPLE_RATE_HZ, fft_samples=FRAME_SAMPLES, low_hz=0.0, high_hz=SAMPLE_RATE_HZ / 2
    )
    return window.astype(np.float32), np.ascontiguousarray(bank.dense().T, np.float32)
