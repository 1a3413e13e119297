"""Views: what the network measures of every clip through several drawn channels, computed once.

What GEM measures is fixed, so a run of its training needs these statistics only, and takes seconds. A clip and its
resynthesis share crop and channel in every view.
"""

import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from rtemo_models.kit.audio.augment import active_frames
from rtemo_models.kit.audio.channel import Channel
from rtemo_models.kit.progress import progress
from rtemo_models.systems.gem.data.cache import BAND_COUNT, FRAMES, HOP_SAMPLES, TraceCache, traces_of
from rtemo_models.systems.gem.net import HOPS, Measures


@dataclass(frozen=True, slots=True)
class Views:
    """Statistics of every clip.

    Attributes:
        statistics: float16 [views, clips, statistics].
        gate: float32 [views, clips, 4], the recogniser's at the end of the crop.
    """

    statistics: NDArray[np.float16]
    gate: NDArray[np.float32]


def open_views(
    stem: Path,
    corpus: TraceCache,
    gates: Sequence[NDArray[np.float32]],
    channel: Channel,
    measures: Measures,
    count: int,
    crop_steps: Sequence[int],
    seed: int,
) -> Views:
    """Open `count` views at `stem`, computing what is missing, view by view."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    made = []
    for view in range(count):
        path = stem.with_name(f"{stem.name}-{view}.npz")
        if not path.exists():
            statistics, gate = make_view(view, corpus, gates, channel, measures, crop_steps, seed)
            part = path.with_name(path.name + ".part.npz")
            np.savez(part, statistics=statistics, gate=gate)
            part.replace(path)
            path.with_suffix(".json").write_text(json.dumps({"seed": seed, "crop_steps": list(crop_steps)}))
        made.append(np.load(path))
    return Views(np.stack([m["statistics"] for m in made]), np.stack([m["gate"] for m in made]))


@torch.no_grad()
def make_view(
    view: int,
    corpus: TraceCache,
    gates: Sequence[NDArray[np.float32]],
    channel: Channel,
    measures: Measures,
    crop_steps: Sequence[int],
    seed: int,
) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
    """Statistics [clips, statistics] and gates [clips, 4] of one view; zeros for dev clips, never trained on."""
    statistics = np.zeros((len(corpus), measures.config.statistics), np.float16)
    gate = np.zeros((len(corpus), 4), np.float32)
    for i in progress(range(len(corpus)), f"view {view}"):
        clip = corpus.clips[i]
        if clip.split != "train":
            continue
        # A copy draws what its original draws.
        random = np.random.default_rng((seed, view, zlib.crc32((clip.twin or clip.name).encode())))
        source = corpus.traces(i)
        steps = min(int(crop_steps[random.integers(len(crop_steps))]), len(source) // HOPS)
        begin = HOPS * int(random.random() * (len(source) // HOPS - steps + 1))
        clean = source[begin : begin + HOPS * steps, : FRAMES * BAND_COUNT].astype(np.float32)
        active = active_frames(torch.from_numpy(clean)[None])
        heard = channel(corpus.audio.samples(i)[begin * HOP_SAMPLES : (begin + HOPS * steps) * HOP_SAMPLES], random)
        late = int(random.integers(0, 11))  # speech as a detector finds it: late at onsets
        weight = torch.minimum(active, torch.nn.functional.pad(active, (late, 0))[:, : active.shape[1]])
        weight = weight if bool(weight.any()) else active
        x = torch.from_numpy(traces_of(heard)).reshape(1, steps, HOPS, -1)
        statistics[i] = measures(x, weight.reshape(1, steps, HOPS), [steps - 1])[0, 0].numpy()
        gate[i] = gates[i][begin // HOPS + steps - 1]
    return statistics, gate
