"""Trains the Moonshine encoder on for emotion: `python -m rtemo_models.systems.merit.train.tutor`.

All layers learn, at a small rate, on crops with noise, filters, telephones and other playback speeds, over all corpora
at once with a class mask each. The result is a better teacher for the small streaming network than the frozen encoder
was: its frames carry more of emotion and its answers are better. Writes `tutor.pt` (averaged weights), `checkpoint.pt`
and `log.jsonl`; the same command again resumes.
"""

import argparse
import copy
import math
import queue
import threading
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.audio.resample import resampled
from rtemo_models.kit.audio.rooms import reverberate, scaled_noise, synthetic_room, telephone
from rtemo_models.kit.corpora.caches import open_caches
from rtemo_models.kit.corpora.clip import Clip, classes_of
from rtemo_models.kit.progress import progress
from rtemo_models.kit.run_folder import follow, keep, log, resume, write
from rtemo_models.systems.merit.data.batches import Sampler, Targets
from rtemo_models.systems.merit.data.teacher import find_encoder
from rtemo_models.systems.merit.net.moonshine import load_moonshine
from rtemo_models.systems.merit.net.tutor import Tutor
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


def batches(
    recipe: TutorRecipe, sampler: Sampler, audio: AudioCache, noises: AudioCache, noise_rows: list[int], first: int
) -> Iterator[tuple[NDArray[np.int64], Tensor]]:
    """Clips and their crops, float32 [batch, samples], from step `first` on; made ahead in a thread."""
    ready: queue.Queue[tuple[NDArray[np.int64], Tensor]] = queue.Queue(3)

    def work() -> None:
        for step in range(first, recipe.steps):
            random = np.random.default_rng((recipe.seed, step))
            crop = int(16_000 * recipe.crops_s[random.integers(len(recipe.crops_s))])
            chosen = sampler.draw(max(4, round(recipe.batch_s * 16_000 / crop)), random)
            x = np.zeros((len(chosen), crop), np.float32)
            for b, i in enumerate(chosen):
                up, down = RATIOS[random.integers(len(RATIOS))]
                samples = audio.samples(int(i))
                need = crop * down // up + 64
                start = random.integers(max(0, len(samples) - need) + 1)
                samples = samples[start : start + need]
                samples = resampled(samples, up, down)[:crop]
                at = random.integers(crop - len(samples) + 1)
                x[b, at : at + len(samples)] = samples
                x[b] = degraded(x[b], noises, noise_rows, random)
            ready.put((chosen, torch.from_numpy(x)))

    threading.Thread(target=work, daemon=True).start()
    for _ in range(first, recipe.steps):
        yield ready.get()


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
    net.train()
    return np.stack(found)


def recalls(clips: list[Clip], chosen: list[int], said: NDArray[np.float32]) -> dict[str, float]:
    """Unweighted average recall of each corpus over its own classes; Spearman's rho of arousal for BAVED."""
    from scipy.stats import spearmanr

    known, scores = classes_of(clips), {}
    for corpus, classes in known.items():
        rows = [k for k, i in enumerate(chosen) if clips[i].corpus == corpus]
        if rows:
            best = np.array(classes)[said[rows][:, list(classes)].argmax(1)]
            truth = np.array([clips[chosen[k]].label for k in rows])
            scores[corpus] = round(float(np.mean([np.mean(best[truth == c] == c) for c in np.unique(truth)])), 4)
    scores["mean"] = round(float(np.mean(list(scores.values()))), 4)
    rows = [k for k, i in enumerate(chosen) if clips[i].corpus == "baved"]
    if rows:
        levels = [int(clips[chosen[k]].level) for k in rows]
        scores["baved_rho"] = round(float(spearmanr(levels, said[rows, 8]).statistic), 4)
    return scores


def rate_at(step: int, recipe: TutorRecipe) -> float:
    """Share of the peak rate: linear warm-up, then half a cosine."""
    if step < recipe.warmup_steps:
        return (step + 1) / recipe.warmup_steps
    done = (step - recipe.warmup_steps) / max(1, recipe.steps - recipe.warmup_steps)
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--config", type=Path, required=True, help="tutor.toml")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of the caches and runs")
    parser.add_argument("--run", default="tutor")
    parser.add_argument("--teacher", type=Path, help="encoder_model.ort; default: from moonshine-voice")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    recipe = msgspec.convert(tomllib.loads(options.config.read_text(encoding="utf-8")), TutorRecipe)
    caches = open_caches(options.data, options.work / "cache")
    folder = options.work / options.run
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(recipe.seed)
    net = Tutor(load_moonshine(find_encoder(options.teacher), recipe.skip_share))
    average = copy.deepcopy(net).requires_grad_(False)
    slow = list(net.encoder.parameters())
    fast = [p for name, p in net.named_parameters() if not name.startswith("encoder.")]
    optimiser = torch.optim.AdamW(
        [{"params": slow, "peak": recipe.encoder_rate}, {"params": fast, "peak": recipe.head_rate}],
        recipe.encoder_rate,
        weight_decay=recipe.weight_decay,
    )
    first = resume(folder, net, average, optimiser)
    rows = [i for i, c in enumerate(caches.clips) if c.split == "train" and c.corpus not in recipe.hold_out]
    dev = [i for i, c in enumerate(caches.clips) if c.split == "dev" and (c.label >= 0 or c.corpus == "baved")][::3]
    targets = Targets(caches.clips)
    noise_rows = [i for i, split in enumerate(caches.noise_split) if split == "train"]
    made = batches(
        recipe, Sampler(caches.clips, rows, recipe.shares), caches.audio, caches.noise_audio, noise_rows, first
    )
    started_s, sums = time.monotonic(), dict.fromkeys(("masked", "accepted", "dimensional"), 0.0)
    for step in progress(range(first, recipe.steps), "tutor"):
        torch.manual_seed(recipe.seed * 1_000_003 + step)
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * rate_at(step, recipe)
        chosen, samples = next(made)
        with torch.autocast("cpu", torch.bfloat16):
            frames = net.frames(samples, recipe.mask_share)
        logits, arousal, valence = net(frames.float())
        take = {
            k: torch.from_numpy(getattr(targets, k)[chosen])
            for k in ("label", "allowed", "accepted", "arousal", "valence")
        }
        losses = {
            "masked": masked_cross_entropy(logits[:, None], take["label"], take["allowed"], recipe.smoothing),
            "accepted": accepted_cross_entropy(logits[:, None], take["accepted"]),
            "dimensional": dimensional(arousal[:, None], take["arousal"])
            + dimensional(valence[:, None], take["valence"]),
        }
        loss = losses["masked"] + recipe.accepted_weight * losses["accepted"]
        loss = loss + recipe.dimensional_weight * losses["dimensional"]
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 2.0)
        optimiser.step()
        follow(average, net, step, recipe.average_decay)
        for name, value in losses.items():
            sums[name] += float(value.detach())
        if (step + 1) % CHECK_EVERY_STEPS == 0 or step + 1 == recipe.steps:
            line: dict[str, Any] = {"step": step + 1, "elapsed_s": round(time.monotonic() - started_s)}
            line |= {
                name: round(value / max(1, (step + 1 - first) % CHECK_EVERY_STEPS or CHECK_EVERY_STEPS), 4)
                for name, value in sums.items()
            }
            line["dev"] = recalls(caches.clips, dev, answers(average, caches.audio, dev))
            sums = dict.fromkeys(sums, 0.0)
            log(folder, line)
            keep(folder, step + 1, net, average, optimiser)
            write(folder / "tutor.pt", average.state_dict())


if __name__ == "__main__":
    main()
