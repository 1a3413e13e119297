"""Trains the Moonshine encoder on for emotion: `python -m rtemo_models.systems.merit.train.tutor`.

All layers learn, at a small rate, on crops with noise, filters, telephones and other playback speeds, over all corpora
at once with a class mask each. The result is a better teacher for the small streaming network than the frozen encoder
was: its frames carry more of emotion and its answers are better. Writes `tutor.pt` (averaged weights), `checkpoint.pt`
and `log.jsonl`; the same command again resumes.
"""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.audio.resample import resampled
from rtemo_models.kit.audio.rooms import reverberate, scaled_noise, synthetic_room, telephone
from rtemo_models.kit.command import Training, training
from rtemo_models.kit.corpora.caches import Caches, open_caches
from rtemo_models.kit.loop import Run, prefetch
from rtemo_models.kit.metrics import dev_rows, dev_scores
from rtemo_models.kit.run_folder import write
from rtemo_models.kit.schedule import cosine_share
from rtemo_models.systems.merit.data.batches import Sampler, Targets
from rtemo_models.systems.merit.data.teacher import find_encoder
from rtemo_models.systems.merit.net.moonshine import load_moonshine
from rtemo_models.systems.merit.net.tutor import Tutor
from rtemo_models.systems.merit.train.command import teacher_option
from rtemo_models.systems.merit.train.losses import accepted_cross_entropy, dimensional, masked_cross_entropy

RATIOS = ((1, 1), (1, 1), (10, 9), (10, 11), (20, 19), (20, 21), (8, 9), (8, 7))
CHECK_EVERY_STEPS = 700


class TutorRecipe(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings of the tutor's training."""

    seed: int
    steps: int
    batch_s: float
    crops_s: tuple[float, ...]
    encoder_rate: float
    head_rate: float
    warmup_steps: int
    weight_decay: float
    average_decay: float
    smoothing: float
    accepted_weight: float
    dimensional_weight: float
    mask_share: float
    skip_share: float
    shares: dict[str, float]
    hold_out: tuple[str, ...] = ()


def degraded(
    samples: NDArray[np.float32], noises: AudioCache, rows: list[int], random: np.random.Generator
) -> NDArray[np.float32]:
    """A crop as another room, line and place would have it; level -45 to -15 dBFS."""
    if random.random() < 0.25:
        samples = reverberate(samples, synthetic_room(random))
    if random.random() < 0.5:
        noise = noises.samples(rows[random.integers(len(rows))])
        at = (np.arange(len(samples)) + random.integers(len(noise))) % len(noise)
        samples = samples + scaled_noise(samples, noise[at], random.uniform(3, 30))
    rms = float(np.sqrt(np.mean(samples**2)) + 1e-6)
    samples = np.clip(samples * (10 ** (random.uniform(-40, -15) / 20) / rms), -1, 1).astype(np.float32)
    if random.random() < 0.12:
        samples = telephone(samples, random.uniform(150, 350), random.uniform(3000, 3800), random.random() < 0.7)
    return samples


def batch_of(
    recipe: TutorRecipe, sampler: Sampler, audio: AudioCache, noises: AudioCache, noise_rows: list[int], step: int
) -> tuple[NDArray[np.int64], Tensor]:
    """The clips of a step and their crops, float32 [batch, samples]."""
    random = np.random.default_rng((recipe.seed, step))
    crop = int(16_000 * recipe.crops_s[random.integers(len(recipe.crops_s))])
    chosen = sampler.draw(max(4, round(recipe.batch_s * 16_000 / crop)), random)
    x = np.zeros((len(chosen), crop), np.float32)
    for b, i in enumerate(chosen):
        up, down = RATIOS[random.integers(len(RATIOS))]
        samples = audio.samples(int(i))
        need = crop * down // up + 64
        start = random.integers(max(0, len(samples) - need) + 1)
        samples = resampled(samples[start : start + need], up, down)[:crop]
        at = random.integers(crop - len(samples) + 1)
        x[b, at : at + len(samples)] = samples
        x[b] = degraded(x[b], noises, noise_rows, random)
    return chosen, torch.from_numpy(x)


@torch.no_grad()
def answers(net: Tutor, audio: AudioCache, chosen: list[int]) -> NDArray[np.float32]:
    """Logits, arousal and valence of whole clips, float32 [clips, 10]."""
    net.eval()
    found = []
    for i in chosen:
        samples = audio.samples(i)
        x = torch.from_numpy(np.pad(samples, (0, max(0, 1600 - len(samples)))))[None]
        with torch.autocast("cpu", torch.bfloat16):
            frames = net.frames(x)
        logits, arousal, valence = net(frames.float())
        found.append(torch.cat([logits[0], arousal, valence]).numpy())
    return np.stack(found)


class TutorRun(Run[Tutor]):
    """One training run in its folder."""

    def __init__(self, recipe: TutorRecipe, caches: Caches, encoder: Path, folder: Path) -> None:
        super().__init__(
            folder,
            seed=recipe.seed,
            steps=recipe.steps,
            report_every_steps=CHECK_EVERY_STEPS,
            average_decay=recipe.average_decay,
            title="tutor",
        )
        self.recipe, self.caches = recipe, caches
        net = Tutor(load_moonshine(encoder, recipe.skip_share))
        fast = [p for name, p in net.named_parameters() if not name.startswith("encoder.")]
        optimiser = torch.optim.AdamW(
            [
                {"params": list(net.encoder.parameters()), "pace": recipe.encoder_rate},
                {"params": fast, "pace": recipe.head_rate},
            ],
            recipe.encoder_rate,
            weight_decay=recipe.weight_decay,
        )
        self._targets = Targets(caches.clips)
        self.begin(net, optimiser)

    def rate_at(self, step: int) -> float:
        """Share of both peak rates: linear warm-up, then half a cosine down to a hundredth."""
        return cosine_share(step, self.steps, self.recipe.warmup_steps, floor=0.01)

    def start(self, first: int, last: int) -> None:
        """Make batches ahead."""
        recipe, made = self.recipe, self.caches
        rows = [i for i, c in enumerate(made.clips) if c.split == "train" and c.corpus not in recipe.hold_out]
        noise_rows = [i for i, split in enumerate(made.noise_split) if split == "train"]
        sampler = Sampler(made.clips, rows, recipe.shares)
        self._batches = prefetch(
            lambda step: batch_of(recipe, sampler, made.audio, made.noise_audio, noise_rows, step), first, last, ahead=3
        )

    def update(self, step: int) -> dict[str, Tensor]:
        """Learn a batch."""
        recipe, targets = self.recipe, self._targets
        chosen, samples = next(self._batches)
        with torch.autocast("cpu", torch.bfloat16):
            frames = self.net.frames(samples, recipe.mask_share)
        logits, arousal, valence = self.net(frames.float())
        label, allowed, accepted, aroused, pleased = (
            torch.from_numpy(values[chosen])
            for values in (targets.label, targets.allowed, targets.accepted, targets.arousal, targets.valence)
        )
        losses = {
            "masked": masked_cross_entropy(logits[:, None], label, allowed, recipe.smoothing),
            "accepted": accepted_cross_entropy(logits[:, None], accepted),
            "dimensional": dimensional(arousal[:, None], aroused) + dimensional(valence[:, None], pleased),
        }
        loss = losses["masked"] + recipe.accepted_weight * losses["accepted"]
        self.learn(loss + recipe.dimensional_weight * losses["dimensional"])
        return losses

    def write(self) -> None:
        """Write the averaged weights."""
        write(self.folder / "tutor.pt", self.average.state_dict())

    def report(self) -> dict[str, Any]:
        """Recall on every third dev clip."""
        clips = self.caches.clips
        dev = dev_rows(clips)[::3]
        said = answers(self.average, self.caches.audio, dev)
        return {"dev": dev_scores(clips, dev, said, said[:, 8])}


@training(__doc__, Path(__file__).parents[1] / "recipes" / "tutor.toml", "tutor", teacher_option, threads=2)
def main(job: Training, teacher_path: Path | None) -> None:
    """Command line."""
    caches = open_caches(job.data, job.work / "cache")
    TutorRun(job.recipe(TutorRecipe), caches, find_encoder(teacher_path), job.folder).train(job.until)


if __name__ == "__main__":
    main()
