"""Trains the vocoder: `python -m rtemo_models.systems.vocoder.train.vocoder`.

A run writes `checkpoint.pt` (to resume: run the same command again), `average.pt` (the averaged weights, which are
used) and `log.jsonl` into its folder. With `--score N` nothing is trained: N dev clips go through mel bands and
back.
"""

import json
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ, AudioCache, open_audio
from rtemo_models.kit.command import Training, training
from rtemo_models.kit.corpora.clip import read_clips
from rtemo_models.kit.loop import Run, decayed_groups
from rtemo_models.kit.nets.vocoder import (
    FFT_SAMPLES,
    FLOOR,
    HOP_SAMPLES,
    Samples,
    Vocoder,
    VocoderConfig,
    load_vocoder,
    mel_matrices,
    mel_of,
    spectrum,
    vocode,
    window_of,
)
from rtemo_models.kit.run_folder import save_net
from rtemo_models.kit.schedule import cosine_share
from rtemo_models.systems.vocoder.net import RESOLUTIONS, critics_of

REPORT_EVERY_STEPS = 250
GRIFFIN_LIM_ITERATIONS = 32


class VocoderRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of a training run of the vocoder; see the comments in the recipe's file."""

    seed: int
    corpora: tuple[str, ...]
    steps: int
    critics_from: int
    batch: int
    crop_hops: int
    rate_peak: float
    critic_rate: float
    critic_width: int
    warm_steps: int
    average_decay: float
    mel_weight: float
    spectrum_weight: float
    critic_weight: float
    feature_weight: float
    net: dict[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Crops:
    """Crops drawn from clips: every corpus as often as every other, the same at the same step of any run."""

    audio: Sequence[Samples] | AudioCache
    groups: Mapping[str, NDArray[np.int64]]
    seed: int

    def make(self, step: int, batch: int, count: int) -> Tensor:
        """Crops of `count` samples, float32 [batch, count]; their clips peak at -20 to -1 dB of full scale."""
        random = np.random.default_rng([self.seed, step])
        names = sorted(self.groups)
        rows = np.zeros((batch, count), np.float32)
        for row in rows:
            clip = self._clip(int(random.choice(self.groups[names[int(random.integers(len(names)))]])))
            starts = random.integers(0, max(1, len(clip) - count + 1), 2)
            cuts = [clip[start : start + count] for start in starts]
            cut = max(cuts, key=lambda x: float(np.square(x).sum()))  # pauses teach little
            gain = 10 ** (random.uniform(-20, -1) / 20) / max(1e-3, float(np.abs(clip).max(initial=0.0)))
            row[: len(cut)] = gain * cut
        return torch.from_numpy(rows)

    def _clip(self, i: int) -> Samples:
        return self.audio.samples(i) if isinstance(self.audio, AudioCache) else self.audio[i]


def open_crops(data_dir: Path, folder: Path, corpora: Sequence[str], split: str, seed: int) -> Crops:
    """Crops of the clips of one split, decoded under `folder` first where they are not (a minute of one core)."""
    clips = [c for c in read_clips(data_dir) if c.split == split and c.corpus in corpora]
    groups: dict[str, list[int]] = defaultdict(list)
    for i, clip in enumerate(clips):
        groups[clip.corpus].append(i)
    audio = open_audio(folder / split, data_dir, [c.path for c in clips])
    return Crops(audio, {name: np.asarray(found) for name, found in groups.items()}, seed)


@dataclass(frozen=True, slots=True)
class Heard:
    """What the distances compare: log mel bands, and magnitudes at every resolution, each [batch, bins, frames]."""

    mel: Tensor
    magnitudes: list[Tensor]


def hear(samples: Tensor) -> Heard:
    """Mel bands and magnitudes of float32 [batch, samples]; the transform under the mel bands is made once."""
    magnitudes = [magnitude_of(spectrum(samples, frame, hop)) for frame, hop in RESOLUTIONS]
    whole = magnitudes[RESOLUTIONS.index((FFT_SAMPLES, HOP_SAMPLES))]
    return Heard((whole.transpose(1, 2) @ mel_matrices()[0]).clamp_min(FLOOR).log(), magnitudes)


def magnitude_of(spectra: Tensor) -> Tensor:
    """Magnitudes whose slope stays finite at 0."""
    return (spectra.real.square() + spectra.imag.square() + 1e-10).sqrt()


def spectrum_loss(made: Heard, wanted: Heard) -> Tensor:
    """Spectral convergence and distance of log magnitudes, mean of three resolutions (Yamamoto et al. 2020)."""
    total = torch.zeros(())
    for mine, its in zip(made.magnitudes, wanted.magnitudes, strict=True):
        distance = torch.linalg.vector_norm(mine - its) / torch.linalg.vector_norm(its).clamp_min(1e-3)
        total = total + distance + F.l1_loss((mine + 1e-3).log(), (its + 1e-3).log())
    return total / len(RESOLUTIONS)


class VocoderRun(Run[Vocoder]):
    """One training run in its folder."""

    def __init__(self, recipe: VocoderRecipe, crops: Crops, folder: Path) -> None:
        super().__init__(
            folder,
            seed=recipe.seed,
            steps=recipe.steps,
            report_every_steps=REPORT_EVERY_STEPS,
            average_decay=recipe.average_decay,
        )
        self.recipe, self.crops = recipe, crops
        net = Vocoder(VocoderConfig(**recipe.net))
        self.critics = critics_of(recipe.critic_width)
        groups = [group | {"pace": recipe.rate_peak} for group in decayed_groups(net)]
        optimiser = torch.optim.AdamW(groups, recipe.rate_peak, (0.8, 0.99), weight_decay=0.01)
        heard = [{"params": list(self.critics.parameters()), "pace": recipe.critic_rate}]
        self.critic_optimiser = torch.optim.AdamW(heard, recipe.critic_rate, (0.8, 0.99))
        self.begin(net, optimiser, critics=self.critics, critic_optimiser=self.critic_optimiser)

    def rate_at(self, step: int) -> float:
        """Share of both peak rates: a short ramp, times half a cosine down to a fiftieth."""
        recipe = self.recipe
        return cosine_share(step, recipe.steps, recipe.warm_steps, floor=0.02, warmup_overlaps=True)

    def write(self) -> None:
        """Write the averaged weights."""
        save_net(self.average, self.folder / "average.pt")

    def update(self, step: int) -> dict[str, Tensor | float]:
        """One step of the vocoder, and of one critic once they listen; gives the losses."""
        recipe = self.recipe
        wanted = self.crops.make(step, recipe.batch, recipe.crop_hops * HOP_SAMPLES)
        its = hear(wanted)
        made = self.net(its.mel)
        mine = hear(made)
        losses = {"mel": F.l1_loss(mine.mel, its.mel), "spectrum": spectrum_loss(mine, its)}
        weights = {"mel": recipe.mel_weight, "spectrum": recipe.spectrum_weight}
        said: dict[str, Tensor | float] = {}
        if step >= recipe.critics_from:
            critic = self.critics[step % len(self.critics)]  # one at a time: three would take most of the time
            heard, said["critic"] = self._teach(critic, wanted, made.detach())
            critic.requires_grad_(False)
            opinion, noticed = critic(made)
            critic.requires_grad_(True)
            losses["fooled"] = (1 - opinion).clamp_min(0).mean()
            losses["features"] = torch.stack([F.l1_loss(m, h) for m, h in zip(noticed, heard, strict=True)]).mean()
            weights |= {"fooled": recipe.critic_weight, "features": recipe.feature_weight}
        total = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        self.learn(total, most_norm=10.0)
        return said | losses

    def _teach(self, critic: nn.Module, wanted: Tensor, made: Tensor) -> tuple[list[Tensor], float]:
        """One step of a critic by the hinge loss; gives what it hears in genuine crops, and its loss."""
        opinions, heard = critic(torch.cat([wanted, made]))
        genuine, copied = opinions.chunk(2)
        loss = (1 - genuine).clamp_min(0).mean() + (1 + copied).clamp_min(0).mean()
        self.critic_optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.critic_optimiser.step()
        return [h.detach()[: len(wanted)] for h in heard], float(loss.detach())


def griffin_lim(mel: NDArray[np.float32]) -> Samples:
    """The wave of log mel bands [frames, bands] by Griffin and Lim (1984), momentum .99: what needs no training."""
    magnitude = (torch.from_numpy(mel).exp() @ torch.linalg.pinv(mel_matrices()[0])).clamp_min(1e-5).T[None]
    window = window_of(FFT_SAMPLES)
    turns = torch.rand(magnitude.shape, generator=torch.Generator().manual_seed(0))
    angles, before = torch.polar(torch.ones_like(turns), 2 * math.pi * turns), torch.zeros(())
    for _ in range(GRIFFIN_LIM_ITERATIONS):
        found = spectrum(
            torch.istft(magnitude * angles, FFT_SAMPLES, HOP_SAMPLES, window=window), FFT_SAMPLES, HOP_SAMPLES
        )
        angles = found - 0.99 / 1.99 * before
        angles = angles / (angles.abs() + 1e-9)
        before = found
    made: Samples = torch.istft(magnitude * angles, FFT_SAMPLES, HOP_SAMPLES, window=window)[0].numpy()
    return made


def score(net: Vocoder, clips: Sequence[Samples]) -> dict[str, dict[str, float]]:
    """Mean mel L1, wide-band PESQ and STOI of clips by the vocoder and by Griffin-Lim, from the same mel bands."""
    from pesq import PesqError, pesq  # type: ignore[import-untyped]
    from pystoi import stoi  # type: ignore[import-untyped]

    rows: dict[str, list[tuple[float, float, float]]] = {"vocoder": [], "griffin-lim": []}
    vocoder_s = 0.0
    for clip in clips:
        whole = clip[: len(clip) // HOP_SAMPLES * HOP_SAMPLES]
        started_s = time.monotonic()
        copied = vocode(net, whole)
        vocoder_s += time.monotonic() - started_s
        for name, made in (("vocoder", copied), ("griffin-lim", griffin_lim(mel_of(whole)))):
            distance = float(np.abs(mel_of(made) - mel_of(whole)).mean())
            quality = float(pesq(SAMPLE_RATE_HZ, whole, made, "wb", on_error=PesqError.RETURN_VALUES))
            rows[name].append((distance, quality, float(stoi(whole, made, SAMPLE_RATE_HZ))))
    means = {
        name: {
            "mel_l1": float(np.mean([r[0] for r in found])),
            "pesq_wb": float(np.mean([r[1] for r in found if r[1] > 0])),
            "stoi": float(np.mean([r[2] for r in found])),
        }
        for name, found in rows.items()
    }
    means["vocoder"]["s_per_s"] = vocoder_s / (sum(map(len, clips)) / SAMPLE_RATE_HZ)
    return means


def dev_clips(crops: Crops, count: int) -> list[Samples]:
    """Dev clips of at least 1.5 s, as many of each corpus, at a peak of -6 dB of full scale."""
    random = np.random.default_rng(crops.seed)
    orders = {name: list(random.permutation(found)) for name, found in sorted(crops.groups.items())}
    chosen: list[Samples] = []
    while len(chosen) < count and any(orders.values()):
        for order in orders.values():
            clip = np.zeros(0, np.float32)
            while order and len(clip) < 1.5 * SAMPLE_RATE_HZ:
                clip = crops._clip(int(order.pop()))
            if len(clip) >= 1.5 * SAMPLE_RATE_HZ and np.abs(clip).max() > 1e-2:
                chosen.append((0.5 / np.abs(clip).max() * clip).astype(np.float32))
    return chosen[:count]


@training(
    __doc__,
    Path(__file__).parents[1] / "recipes" / "vocoder.toml",
    "vocoder",
    click.option(
        "--score", "clips", type=int, metavar="CLIPS", help="Score the averaged weights on this many dev clips."
    ),
)
def main(job: Training, clips: int | None) -> None:
    """Command line."""
    recipe, cache = job.recipe(VocoderRecipe), job.work / "cache"
    if not clips:
        crops = open_crops(job.data, cache, recipe.corpora, "train", recipe.seed)
        VocoderRun(recipe, crops, job.folder).train(job.until)
        return
    dev = open_crops(job.data, cache, recipe.corpora, "dev", recipe.seed)
    said = score(load_vocoder(job.folder / "average.pt"), dev_clips(dev, clips))
    (job.folder / "score.json").write_text(json.dumps(said, indent=1) + "\n")
    print(json.dumps(said, indent=1))


if __name__ == "__main__":
    main()
