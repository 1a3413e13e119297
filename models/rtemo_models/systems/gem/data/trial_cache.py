"""Trials: clips lengthened to some seconds of speech, and what the network measures of them, computed once.

A trial is a clip followed by further clips of the same system, voice, mood and split until it holds 4 s of speech,
where there are any. It is measured at 1, 2 and 4 s of speech and at its end, at full band and through a telephone.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo_models.kit.audio.augment import active_frames
from rtemo_models.kit.audio.rooms import telephone
from rtemo_models.kit.progress import progress
from rtemo_models.systems.gem.data.cache import BAND_COUNT, FRAMES, TraceCache, traces_of
from rtemo_models.systems.gem.data.clips import FOLDS, SpoofClip, in_report
from rtemo_models.systems.gem.net import HOPS, Measures

SECONDS = ("1", "2", "4", "end")
BANDS = ("full", "telephone")
ENOUGH_S = 4.2
MOST_CLIPS = 4


@dataclass(frozen=True, slots=True)
class Trials:
    """Measured trials.

    Attributes:
        clips: The first clip of each trial, after which it is named.
        bands: `full`, `telephone`, or both.
        statistics: float16 [trials, bands, seconds, statistics].
        gate: float32 [trials, seconds, 4], what the recogniser says at that moment.
    """

    clips: list[SpoofClip]
    bands: tuple[str, ...]
    statistics: NDArray[np.float16]
    gate: NDArray[np.float32]

    def places(self, chosen: Iterable[SpoofClip]) -> list[int]:
        """Numbers of the trials that are named after `chosen`."""
        names = {c.name for c in chosen}
        return [k for k, clip in enumerate(self.clips) if clip.name in names]


def lengthened(corpus: TraceCache, folds: Iterable[int]) -> list[list[int]]:
    """Numbers of the clips of each trial, of everything that the folds report and of all dev clips."""
    names = {c.name for fold in folds for c in in_report(corpus.clips, fold)}
    names |= {c.name for c in corpus.clips if c.split == "dev"}
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for i, c in enumerate(corpus.clips):
        if c.name in names:
            groups[c.system, c.corpus, c.speaker, c.emotion, c.voice, c.split].append(i)
    seconds = np.diff(corpus.offsets) / 100
    trials = []
    for members in groups.values():
        for k in range(len(members)):
            order = [*members[k:], *members[:k]][:MOST_CLIPS]
            trials.append(order[: int(np.searchsorted(np.cumsum(seconds[order]), ENOUGH_S)) + 1])
    return trials


def open_trials(
    path: Path,
    corpus: TraceCache,
    gates: Sequence[NDArray[np.float32]],
    measures: Measures,
    folds: Sequence[int] = range(FOLDS),
    bands: Sequence[str] = BANDS,
) -> Trials:
    """Open the trials of some folds at `path` (.npz), measuring them first when it is absent."""
    listed = lengthened(corpus, folds)
    if not path.exists():
        width = measures.config.statistics
        statistics = np.empty((len(listed), len(bands), len(SECONDS), width), np.float16)
        gate = np.empty((len(listed), len(SECONDS), 4), np.float32)
        for k, members in enumerate(progress(listed, "trials")):
            gate_of_trial = np.concatenate([gates[i] for i in members])
            for b, band in enumerate(bands):
                statistics[k, b], ends = measured(measures, heard(corpus, members, band))
                if b == 0:
                    gate[k] = gate_of_trial[ends]
        part = path.with_suffix(".part.npz")
        np.savez(part, statistics=statistics, gate=gate)
        part.replace(path)
    made = np.load(path)
    clips = [corpus.clips[members[0]] for members in listed]
    return Trials(clips, tuple(bands), made["statistics"], made["gate"])


def heard(corpus: TraceCache, members: Sequence[int], band: str) -> NDArray[np.float32]:
    """Traces of a trial, float32 [hops, traces]."""
    if band == "full":
        return np.concatenate([corpus.traces(i) for i in members]).astype(np.float32)
    return np.concatenate([traces_of(telephone(corpus.audio.samples(i))) for i in members])


@torch.no_grad()
def measured(measures: Measures, traces: NDArray[np.float32]) -> tuple[NDArray[np.float32], list[int]]:
    """Statistics [seconds, statistics] when so many seconds of speech were heard, and the steps that was at."""
    x = torch.from_numpy(traces)[None]
    weight = active_frames(x[..., : FRAMES * BAND_COUNT]).unflatten(1, (-1, HOPS))
    spoken_s = 0.01 * weight.sum(2)[0].cumsum(0)
    last = weight.shape[1] - 1
    ends = [min(last, int(torch.searchsorted(spoken_s, float(s) - 1e-6))) for s in SECONDS[:-1]] + [last]
    return measures(x.unflatten(1, (-1, HOPS)), weight, ends)[0].numpy(), ends
