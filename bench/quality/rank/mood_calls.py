"""Mood calls: clips of one speaker in a row, whose mood changes at known moments, and calls in which it does not."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.quality.enhancement.active_level import active_power
from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.corpora.clip import CIRCUMPLEX, Clip

RATE_HZ = 16_000
CORPORA = ("ravdess", "nemo", "ased")
"""Corpora in which a speaker has several moods, and of each more than a few seconds."""

SEGMENT_S = 24.0
STEADY_S = 90.0
_LEAST_S = 14.0  # of a mood, to stand in a call
_CLEAR_STEP = 0.5  # of arousal or valence on the circumplex: smaller ones are no change that anybody would ask for
_PAUSE_S = 0.3
_FLOOR = 1e-4
_CALLS = {"ravdess": 3, "nemo": 6, "ased": 2}
_SEGMENTS = 6


@dataclass(frozen=True, slots=True)
class MoodCall:
    """One call.

    Attributes:
        corpus: Where its clips are from.
        speaker: Who speaks.
        samples: float32 [k].
        moods: The mood of each segment.
        change_s: Where each segment but the first begins.
    """

    corpus: str
    speaker: str
    samples: NDArray[np.float32]
    moods: tuple[str, ...]
    change_s: tuple[float, ...]

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return len(self.samples) / RATE_HZ


def mood_calls(clips: Sequence[Clip], audio: AudioCache, split: str, seed: int = 0) -> list[MoodCall]:
    """Make calls of every speaker of a split: some that change, and one of each mood that does not.

    Within a call no clip comes twice. Neighbouring moods lie at least 0.5 apart in arousal or valence.
    """
    calls = []
    for (corpus, speaker), moods in sorted(_material(clips, split).items()):
        random = np.random.default_rng((seed, *map(ord, speaker)))
        for mood, rows in moods.items():
            calls.append(_call(corpus, speaker, [(mood, rows)], audio, random, STEADY_S))
        for _ in range(_CALLS[corpus]):
            order = _order(list(moods), random)
            if len(order) > 1:
                parts = [(mood, moods[mood]) for mood in order]
                calls.append(_call(corpus, speaker, parts, audio, random, SEGMENT_S))
    return calls


def in_noise(call: MoodCall, noises: Sequence[NDArray[np.float32]], snr_db: float, seed: int) -> MoodCall:
    """The same call in one of the noises, at a ratio to the active speech."""
    random = np.random.default_rng((7, seed))
    noise = noises[int(random.integers(len(noises)))]
    at = (np.arange(len(call.samples)) + int(random.integers(len(noise)))) % len(noise)
    power, _ = active_power(call.samples)
    gain = np.sqrt(power / (np.mean(np.square(noise, dtype=np.float64)) + 1e-12) / 10 ** (snr_db / 10))
    mixed = np.clip(call.samples + gain * noise[at], -1, 1).astype(np.float32)
    return MoodCall(call.corpus, call.speaker, mixed, call.moods, call.change_s)


def _material(clips: Sequence[Clip], split: str) -> dict[tuple[str, str], dict[str, list[int]]]:
    found: dict[tuple[str, str], dict[str, list[int]]] = {}
    for i, clip in enumerate(clips):
        if clip.split == split and clip.corpus in CORPORA and clip.emotion in CIRCUMPLEX:
            found.setdefault((clip.corpus, clip.speaker), {}).setdefault(clip.emotion, []).append(i)
    for moods in found.values():
        for mood in [m for m, rows in moods.items() if sum(clips[i].duration_s for i in rows) < _LEAST_S]:
            del moods[mood]
    return {who: moods for who, moods in found.items() if len(moods) > 1}


def _order(moods: list[str], random: np.random.Generator) -> list[str]:
    """Draw moods such that neighbours differ clearly; as many as there are, or as fit."""
    order: list[str] = []
    left = list(random.permutation(moods))
    while left and len(order) < _SEGMENTS:
        fits = [m for m in left if not order or _step(order[-1], m) >= _CLEAR_STEP]
        if not fits:
            break
        order.append(fits[0])
        left.remove(fits[0])
    return order


def _step(one: str, other: str) -> float:
    return max(abs(a - b) for a, b in zip(CIRCUMPLEX[one], CIRCUMPLEX[other], strict=True))


def _call(
    corpus: str,
    speaker: str,
    parts: Sequence[tuple[str, list[int]]],
    audio: AudioCache,
    random: np.random.Generator,
    segment_s: float,
) -> MoodCall:
    pieces: list[NDArray[np.float32]] = []
    change_s, heard = [], 0
    for mood, rows in parts:
        if pieces:
            change_s.append(heard / RATE_HZ)
        for piece in _segment(rows, audio, random, segment_s):
            pieces.append(piece)
            heard += len(piece)
        assert mood
    samples = np.concatenate(pieces)
    samples = samples + _FLOOR * random.standard_normal(len(samples)).astype(np.float32)
    return MoodCall(corpus, speaker, samples, tuple(mood for mood, _ in parts), tuple(change_s))


def _segment(
    rows: list[int], audio: AudioCache, random: np.random.Generator, segment_s: float
) -> Iterator[NDArray[np.float32]]:
    heard = 0
    for i in random.permutation(rows):
        if heard >= segment_s * RATE_HZ:
            return
        piece = np.concatenate([audio.samples(int(i)), np.zeros(round(_PAUSE_S * RATE_HZ), np.float32)])
        heard += len(piece)
        yield piece
