"""Batches for training: corpora and classes in balance, random crops, the teacher's frames at the right moments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo.api import EMOTIONS
from rtemo_models.kit.audio.augment import FLOOR_LOG, Augment, active_frames, mask, speech_weights
from rtemo_models.kit.audio.variants import VARIANTS
from rtemo_models.kit.corpora.clip import NEUTRAL_CORPORA, Clip, classes_of
from rtemo_models.systems.merit.data.frames import FrameCache
from rtemo_models.systems.merit.data.teacher import Panel, TeacherCache

HOP_SAMPLES = 160
NEUTRAL, CALM = EMOTIONS.index("neutral"), EMOTIONS.index("calm")


@dataclass(frozen=True, slots=True)
class Batch:
    """Crops with all their targets; B clips of S steps."""

    logmel: Tensor
    """float32 [B, S, hops, mel_count], distorted: what the student hears."""
    weight: Tensor
    """float32 [B, S, hops]: which frames count as speech."""
    teacher: Tensor
    """float32 [B, S, 288]: standardised teacher frames of the clean clip."""
    teacher_valid: Tensor
    """float32 [B, S]: 1 where the teacher heard something."""
    label: Tensor
    """int64 [B]: emotion, or -1."""
    allowed: Tensor
    """bool [B, 8]: emotions the clip's corpus knows."""
    accepted: Tensor
    """bool [B, 8]: emotions that count as right among all eight; see `Targets`."""
    valence: Tensor
    """float32 [B]: circumplex target, NaN if unknown."""
    arousal: Tensor
    """float32 [B]: circumplex target, NaN if unknown."""
    clip: Tensor
    """int64 [B]: index of the clip."""


class Targets:
    """Targets of all clips as arrays.

    Among all eight emotions a clip's label alone counts as right, with one exception: calm in a corpus that knows no
    neutral also counts as neutral. The reverse would make calm the answer to any unexcited voice, since few corpora
    speak against it. Neutral read speech is neutral.
    """

    def __init__(self, clips: Sequence[Clip]) -> None:
        known = classes_of(clips)
        n = len(clips)
        self.label = np.array([c.label for c in clips], np.int64)
        self.allowed = np.zeros((n, len(EMOTIONS)), bool)
        self.accepted = np.zeros((n, len(EMOTIONS)), bool)
        pairs = np.array([c.valence_arousal for c in clips], np.float32)
        self.valence, self.arousal = pairs[:, 0], pairs[:, 1]
        for i, clip in enumerate(clips):
            if clip.corpus in NEUTRAL_CORPORA:
                self.accepted[i, NEUTRAL] = True
            elif clip.label >= 0:
                self.allowed[i, list(known[clip.corpus])] = True
                self.accepted[i, clip.label] = True
                if clip.label == CALM and not self.allowed[i, NEUTRAL]:
                    self.accepted[i, NEUTRAL] = True


class Sampler:
    """Draws clips: a corpus by its share, then a class of it evenly, then a clip of it evenly."""

    def __init__(self, clips: Sequence[Clip], chosen: Sequence[int], shares: Mapping[str, float]) -> None:
        groups: dict[str, dict[str, list[int]]] = {}
        for i in chosen:
            corpus = "clean" if clips[i].corpus in NEUTRAL_CORPORA else clips[i].corpus
            key = clips[i].emotion or clips[i].level or clips[i].corpus
            groups.setdefault(corpus, {}).setdefault(key, []).append(i)
        self._groups = [[np.array(v) for v in groups[c].values()] for c in groups if shares.get(c, 0) > 0]
        wanted = np.array([shares[c] for c in groups if shares.get(c, 0) > 0])
        self._shares = wanted / wanted.sum()

    def draw(self, count: int, random: np.random.Generator) -> NDArray[np.int64]:
        """Draw `count` clips, int64 [count]."""
        drawn = np.empty(count, np.int64)
        for k, group in enumerate(random.choice(len(self._groups), count, p=self._shares)):
            members = self._groups[group][random.integers(len(self._groups[group]))]
            drawn[k] = members[random.integers(len(members))]
        return drawn


class Crops(Protocol):
    """Settings that say how long crops are."""

    @property
    def seed(self) -> int:
        """Seed."""

    @property
    def batch_steps(self) -> int:
        """Steps of all clips in a batch."""

    @property
    def crop_steps(self) -> Sequence[int]:
        """Lengths of crops, one drawn for a whole batch."""


def crop_of(recipe: Crops, step: int) -> tuple[int, int]:
    """How many crops of how many steps the batch of a training step has."""
    random = np.random.default_rng((recipe.seed, 1, step))
    steps = recipe.crop_steps[random.integers(len(recipe.crop_steps))]
    return recipe.batch_steps // steps, steps


def frame_statistics(
    teacher: TeacherCache | Panel, chosen: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of the teacher's frames over up to 1500 training clips."""
    some = np.random.default_rng(0).permutation(chosen)[:1500]
    frames = np.concatenate([teacher.frames(int(i)) for i in some]).astype(np.float64)
    return frames.mean(0).astype(np.float32), (frames.std(0) + 1e-3).astype(np.float32)


class BatchMaker:
    """Makes the batch of a step; the same seed and step always give the same batch, so training can resume.

    Args:
        clips: All clips, as in the caches.
        sampler: Draws the clips of a batch.
        frames: Variant name → log-mel frames of all clips.
        teachers: Playback speed → teacher frames of all clips.
        mean, deviation: float32 [288], standardise the teacher's frames.
        augment: Distorts the student's frames.
        delay_samples: How far the student may lag the teacher: a causal network is asked about the moment that long
            ago, which gives it right context without look-ahead; pooling does not mind.
        variant_shares: Variant name → how often it is drawn.
        hops_per_step: Log-mel frames per step.
        seed: Seed.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        sampler: Sampler,
        frames: Mapping[str, FrameCache],
        teachers: Mapping[str, TeacherCache],
        mean: NDArray[np.float32],
        deviation: NDArray[np.float32],
        augment: Augment,
        delay_samples: int,
        variant_shares: Mapping[str, float],
        hops_per_step: int,
        seed: int,
    ) -> None:
        self._sampler, self._frames, self._teachers = sampler, frames, teachers
        self._mean, self._deviation, self._augment = mean, deviation, augment
        self._delay, self._hops, self._seed = delay_samples, hops_per_step, seed
        self._targets = Targets(clips)
        self._variants = [v for v in VARIANTS if variant_shares.get(v.name, 0) > 0]
        wanted = np.array([variant_shares[v.name] for v in self._variants])
        self._variant_shares = wanted / wanted.sum()

    def make(self, step: int, batch: int, steps: int) -> Batch:
        """Make the batch of training step `step`: `batch` crops of `steps` steps."""
        random = np.random.default_rng((self._seed, step))
        chosen = self._sampler.draw(batch, random)
        count = steps * self._hops
        logmel = np.full((batch, count, 64), FLOOR_LOG, np.float32)
        inside = np.zeros((batch, count), np.float32)
        teacher = np.zeros((batch, steps, len(self._mean)), np.float32)
        valid = np.zeros((batch, steps), np.float32)
        for b, i in enumerate(chosen):
            variant = self._variants[random.choice(len(self._variants), p=self._variant_shares)]
            source = self._frames[variant.name].frames(i)
            # A short clip is placed at random in silence, a long one is cropped at random.
            start = random.integers(min(0, len(source) - count), max(0, len(source) - count) + 1)
            begin, end = max(0, -start), min(count, len(source) - start)
            logmel[b, begin:end] = source[start + begin : start + end]
            inside[b, begin:end] = 1
            heard = (start + self._hops * (np.arange(steps) + 1)) * HOP_SAMPLES - self._delay
            valid[b] = (heard > 0) & (heard < len(source) * HOP_SAMPLES)
            teacher[b] = self._teachers[variant.speed].at(i, heard)
        x = torch.from_numpy(logmel)
        active = active_frames(x) * torch.from_numpy(inside)
        x = mask(self._augment(x, active, random), random)
        t = self._targets
        return Batch(
            x.unflatten(1, (-1, self._hops)),
            speech_weights(active, self._hops, random) * torch.from_numpy(inside).unflatten(1, (-1, self._hops)),
            (torch.from_numpy(teacher) - torch.from_numpy(self._mean)) / torch.from_numpy(self._deviation),
            torch.from_numpy(valid),
            torch.from_numpy(t.label[chosen]),
            torch.from_numpy(t.allowed[chosen]),
            torch.from_numpy(t.accepted[chosen]),
            torch.from_numpy(t.valence[chosen]),
            torch.from_numpy(t.arousal[chosen]),
            torch.from_numpy(chosen),
        )
