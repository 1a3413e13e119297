"""Mixtures for joint training: speech in noise as waveforms, made anew for every batch, with all targets.

Noise is a recording, several at once, other people talking, or made up; it
is filtered, may come and go, and stands at an SNR against the active speech. The clean side keeps its room and its
line: the enhancer is to take noise away and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.signal import butter, sosfilt
from torch import Tensor

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ, AudioCache
from rtemo_models.kit.audio.rooms import telephone
from rtemo_models.kit.audio.variants import VARIANTS
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.merit.data.batches import HOP_SAMPLES, Sampler, Targets
from rtemo_models.systems.merit.data.made_up_noise import MADE_UP, murmur, unit
from rtemo_models.systems.merit.data.recordings import Recordings
from rtemo_models.systems.merit.data.teacher import Panel


@dataclass(frozen=True, slots=True)
class Mixture:
    """Crops with all their targets; B clips of S steps of H hops."""

    noisy: Tensor
    """float32 [B, samples]."""
    clean: Tensor
    """float32 [B, samples]: what the enhancer should leave."""
    teacher: Tensor
    """float32 [B, S, width]: standardised teacher frames of the clean clip."""
    teacher_valid: Tensor
    """float32 [B, S]: 1 where the teacher heard something."""
    label: Tensor
    allowed: Tensor
    accepted: Tensor
    valence: Tensor
    arousal: Tensor
    """As in `batches.Batch`."""
    clip: Tensor
    """int64 [B]: index of the clip."""
    snr_db: Tensor
    """float32 [B]; infinite where nothing was added."""


def active_power(samples: NDArray[np.float32]) -> float:
    """Mean power of the 20 ms blocks within 30 dB of the loudest."""
    blocks = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    power = np.einsum("ij,ij->i", blocks, blocks, dtype=np.float64) / 320
    loud = power > power.max(initial=0.0) * 1e-3
    return float(power[loud].mean()) if loud.any() else 0.0


class NoiseMaker:
    """Draws noise of any length.

    Args:
        recordings: Gives recorded noise.
        talkers: Clips of speech, for babble.
        talker_rows: Which of them may be used.
    """

    def __init__(self, recordings: Recordings, talkers: AudioCache, talker_rows: Sequence[int]) -> None:
        self._recordings = recordings
        self._talkers, self._talker_rows = talkers, np.asarray(talker_rows)

    def __call__(self, count: int, random: np.random.Generator) -> tuple[NDArray[np.float32], bool]:
        """Noise of power 1, and whether it is a single other talker."""
        kind = random.random()
        one_talker = False
        if kind < 0.10:
            one_talker = random.random() < 0.4
            noise = sum(self._talker(count, random) for _ in range(1 if one_talker else random.integers(2, 8)))
        elif kind < 0.15:
            noise = murmur(sum(self._talker(count, random) for _ in range(random.integers(1, 6))), random)
        elif kind < 0.45:
            noise = MADE_UP[random.integers(len(MADE_UP))](count, random)
        else:
            noise = self._recording(count, random)
            if random.random() < 0.3:
                noise = unit(noise) + random.uniform(0.1, 1) * unit(self._recording(count, random))
        noise = np.asarray(noise, np.float32)
        if random.random() < 0.5:
            noise = _filtered(noise, random)
        if random.random() < 0.3:
            noise = noise * _coming_and_going(count, random)
        return unit(noise), one_talker

    def _recording(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        if random.random() < 0.5:
            return self._recordings.draw(count, random)
        speed = 2 ** random.uniform(-0.7, 0.7)
        noise = self._recordings.draw(int(count * speed) + 2, random)
        at = np.arange(count) * speed
        low = at.astype(np.int64)
        share = (at - low).astype(np.float32)
        return noise[low] * (1 - share) + noise[low + 1] * share

    def _talker(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        voice = self._talkers.samples(int(self._talker_rows[random.integers(len(self._talker_rows))]))
        at = (np.arange(count) + random.integers(len(voice))) % len(voice)
        return unit(voice[at]) * np.float32(random.uniform(0.3, 1))


def _filtered(x: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Through a random first-order tilt or band."""
    kind = random.integers(3)
    if kind == 0:
        sos = butter(1, random.uniform(500, 6000), "low", fs=SAMPLE_RATE_HZ, output="sos")
    elif kind == 1:
        sos = butter(1, random.uniform(80, 1500), "high", fs=SAMPLE_RATE_HZ, output="sos")
    else:
        low = random.uniform(80, 2000)
        sos = butter(1, [low, min(7900.0, low * random.uniform(2, 8))], "band", fs=SAMPLE_RATE_HZ, output="sos")
    return np.asarray(sosfilt(sos, x), np.float32)


def _coming_and_going(count: int, random: np.random.Generator) -> NDArray[np.float32]:
    """A slow random gain, -25 to 0 dB."""
    points = np.linspace(0, count, random.integers(3, 10))
    return (10 ** (np.interp(np.arange(count), points, random.uniform(-25, 0, len(points))) / 20)).astype(np.float32)


class MixtureMaker:
    """Makes the batch of a step; the same seed and step always give the same batch, so training can resume.

    Args:
        clips: All clips, as in the caches.
        sampler: Draws the clips of a batch.
        voices: Variant name → waveforms of all clips.
        noise: Makes noise.
        teachers: Playback speed → teacher frames of all clips.
        mean, deviation: float32 [width], standardise the teacher's frames.
        delay_samples: How far the student may lag the teacher, see `batches.BatchMaker`.
        variant_shares: Variant name → how often it is drawn.
        hops_per_step: Hops per step of the listener.
        snr_db: Lowest and highest SNR.
        quiet_share: Share of clips to which no noise is added.
        line_share: Share of mixtures that go over a telephone line as a whole.
        seed: Seed.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        sampler: Sampler,
        voices: Mapping[str, AudioCache],
        noise: NoiseMaker,
        teachers: Mapping[str, Panel],
        mean: NDArray[np.float32],
        deviation: NDArray[np.float32],
        *,
        delay_samples: int,
        variant_shares: Mapping[str, float],
        hops_per_step: int,
        snr_db: tuple[float, float],
        quiet_share: float,
        line_share: float,
        seed: int,
    ) -> None:
        self._sampler, self._voices, self._noise, self._teachers = sampler, voices, noise, teachers
        self._mean, self._deviation = mean, deviation
        self._delay, self._hops, self._seed = delay_samples, hops_per_step, seed
        self._snr_db, self._quiet_share, self._line_share = snr_db, quiet_share, line_share
        self._targets = Targets(clips)
        self._variants = [v for v in VARIANTS if variant_shares.get(v.name, 0) > 0]
        wanted = np.array([variant_shares[v.name] for v in self._variants])
        self._variant_shares = wanted / wanted.sum()

    def make(self, step: int, batch: int, steps: int) -> Mixture:
        """Make the batch of training step `step`: `batch` crops of `steps` steps."""
        random = np.random.default_rng((self._seed, step))
        chosen = self._sampler.draw(batch, random)
        step_samples = self._hops * HOP_SAMPLES
        count = steps * step_samples
        clean, noisy = np.zeros((batch, count), np.float32), np.zeros((batch, count), np.float32)
        teacher = np.zeros((batch, steps, len(self._mean)), np.float32)
        valid, snr = np.zeros((batch, steps), np.float32), np.full(batch, np.inf, np.float32)
        for b, i in enumerate(chosen):
            variant = self._variants[random.choice(len(self._variants), p=self._variant_shares)]
            source = self._voices[variant.name].samples(int(i))
            # A short clip is placed at random in silence, a long one is cropped at random.
            start = int(random.integers(min(0, len(source) - count), max(0, len(source) - count) + 1))
            begin, end = max(0, -start), min(count, len(source) - start)
            clean[b, begin:end] = source[start + begin : start + end]
            clean[b], noisy[b], snr[b] = self._mix(clean[b], random)
            heard = start + step_samples * (np.arange(steps) + 1) - self._delay
            valid[b] = (heard > 0) & (heard < len(source))
            teacher[b] = self._teachers[variant.speed].at(int(i), heard)
        t = self._targets
        return Mixture(
            torch.from_numpy(noisy),
            torch.from_numpy(clean),
            (torch.from_numpy(teacher) - torch.from_numpy(self._mean)) / torch.from_numpy(self._deviation),
            torch.from_numpy(valid),
            torch.from_numpy(t.label[chosen]),
            torch.from_numpy(t.allowed[chosen]),
            torch.from_numpy(t.accepted[chosen]),
            torch.from_numpy(t.valence[chosen]),
            torch.from_numpy(t.arousal[chosen]),
            torch.from_numpy(chosen),
            torch.from_numpy(snr),
        )

    def _mix(
        self, clean: NDArray[np.float32], random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
        """Clean and noisy crop at a drawn level, and the SNR."""
        power = active_power(clean)
        gain = 10 ** (random.uniform(-42, -14) / 20) / np.sqrt(power + 1e-9)
        clean = clean * np.float32(min(gain, 1e3))
        hiss = random.standard_normal(len(clean)).astype(np.float32) * np.float32(10 ** (random.uniform(-95, -70) / 20))
        if random.random() < self._quiet_share:
            noisy, snr_db = clean + hiss, np.inf
        else:
            noise, one_talker = self._noise(len(clean), random)
            low, high = self._snr_db
            snr_db = random.uniform(min(high, max(low, 0.0)) if one_talker else low, high)
            noise = noise * np.float32(np.sqrt(active_power(clean) + 1e-12) * 10 ** (-snr_db / 20))
            noisy = clean + noise + hiss
        loudest = float(np.abs(noisy).max())
        if loudest > 0.99:
            clean, noisy = clean * (0.99 / loudest), noisy * (0.99 / loudest)
        if random.random() < self._line_share:
            low_hz, high_hz = random.uniform(150, 350), random.uniform(3000, 3800)
            mu_law = random.random() < 0.7
            clean, noisy = telephone(clean, low_hz, high_hz, False), telephone(noisy, low_hz, high_hz, mu_law)
        return clean, noisy, snr_db
