"""Recordings strung together from clips, so that speakers, moods, cuts and what lies under the speech are known."""

import csv
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.quality.vad.corpus import read_audio
from bench.quality.vad.telephony import music

RATE_HZ = 16_000
NEUTRAL = ("librispeech",)
CORPORA = ("ravdess", "nemo", "ased", "ketts", "crema", *NEUTRAL)
"""Corpora of whole sentences with several speakers in each split."""

MUSIC = ("chords", "melody", "strings", "pop")
_LEVEL = 0.06
_NOISE_DB, _MUSIC_DB = 3.0, 0.0

Samples = NDArray[np.float32]
Pools = dict[str, dict[str, dict[str, list[dict[str, str]]]]]
"""Corpus → speaker → emotion → rows of the manifest that are left."""


@dataclass(frozen=True, slots=True)
class Span:
    """One clip in a recording, from its first to its last sound, in samples."""

    start: int
    end: int
    speaker: str
    emotion: str
    gender: str
    under: str
    """`clean`, `noise` or `music`."""


@dataclass(slots=True)
class Strung:
    """A recording and what is known of it."""

    name: str
    samples: Samples
    spans: list[Span] = field(default_factory=list)


def string_recordings(
    data: Path, split: str, minutes: float, seed: int, dirty: float = 0.0, count_speakers: int = 0
) -> list[Strung]:
    """String clips of a split to recordings of about five minutes, each of one corpus; no clip is used twice.

    Acted corpora give up to five speakers with all their moods, neutral speech up to twelve with one clip each.

    Args:
        data: Folder with the manifests.
        split: train or dev.
        minutes: In all; less, where there are too few clips.
        seed: Of every draw.
        dirty: Share of turns under which noise lies, and of those under which music does.
        count_speakers: In each recording; drawn where 0.
    """
    random = np.random.default_rng(seed)
    pools = _pools(data, split, random)
    noises = _noises(data, split) if dirty else []
    found: list[Strung] = []
    length = 0
    corpora = list(CORPORA)
    while corpora and length < minutes * 60 * RATE_HZ:
        corpus = corpora.pop(0)
        speakers = [one for one in sorted(pools[corpus]) if any(pools[corpus][one].values())]
        if len(speakers) < 2:
            continue
        corpora.append(corpus)
        most = count_speakers or (12 if corpus in NEUTRAL else int(random.integers(2, 6)))
        chosen = random.choice(speakers, min(len(speakers), most), replace=False).tolist()
        recording = _string(
            data, f"{corpus}-{len(found)}", {one: pools[corpus][one] for one in chosen}, random, dirty, noises
        )
        length += len(recording.samples)
        found.append(recording)
    return found


def _pools(data: Path, split: str, random: np.random.Generator) -> Pools:
    pools: Pools = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for manifest in ("emotion", "clean"):
        with (data / manifest / "manifest.csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == split and row["corpus"] in CORPORA]
        for index in random.permutation(len(rows)).tolist():
            row = rows[index]
            pools[row["corpus"]][row["speaker"]][row.get("emotion") or "neutral"].append(row)
    return pools


def _string(
    data: Path,
    name: str,
    pools: dict[str, dict[str, list[dict[str, str]]]],
    random: np.random.Generator,
    dirty: float,
    noises: list[Samples],
) -> Strung:
    parts: list[Samples] = [np.zeros(int(random.uniform(0.3, 1.5) * RATE_HZ), np.float32)]
    at = len(parts[0])
    recording = Strung(name, np.zeros(0, np.float32))
    before = ""
    while at < 300 * RATE_HZ:
        free = [one for one in sorted(pools) if any(pools[one].values())]
        if not free:
            break
        speaker = str(random.choice([one for one in free if one != before] or free))
        emotion = str(random.choice([mood for mood in sorted(pools[speaker]) if pools[speaker][mood]]))
        under = str(random.choice(["clean", "noise", "music"], p=[1 - 2 * dirty, dirty, dirty]))
        before = speaker
        turn: list[Samples] = []
        start = at
        for place in range(min(int(random.integers(1, 4)), len(pools[speaker][emotion]))):
            row = pools[speaker][emotion].pop()
            sound = _trimmed(read_audio(data / row["path"]).astype(np.float32))
            if place:
                gap = np.zeros(int(random.uniform(0.35, 0.7) * RATE_HZ), np.float32)
                turn.append(gap)
                at += len(gap)
            recording.spans.append(Span(at, at + len(sound), speaker, emotion, row.get("gender", ""), under))
            turn.append(sound)
            at += len(sound)
        whole = np.concatenate(turn)
        parts.append(_over(whole, under, random, noises))
        handover = random.uniform(0.05, 0.25) if random.random() < 0.2 else random.uniform(0.35, 1.2)
        parts.append(np.zeros(int(handover * RATE_HZ), np.float32))
        at = start + len(whole) + len(parts[-1])
    recording.samples = np.concatenate(parts)
    recording.samples += (10 ** (-66 / 20) * random.standard_normal(len(recording.samples))).astype(np.float32)
    return recording


def _over(turn: Samples, under: str, random: np.random.Generator, noises: list[Samples]) -> Samples:
    if under == "clean":
        return turn
    if under == "noise":
        other = np.resize(noises[int(random.integers(len(noises)))], len(turn))
        below_db = _NOISE_DB
    else:
        kind = MUSIC[int(random.integers(len(MUSIC)))]
        other = music(kind, len(turn) / RATE_HZ, int(random.integers(1 << 16)))[: len(turn)].astype(np.float32)
        below_db = _MUSIC_DB
    gain = np.sqrt(np.mean(turn**2) / (np.mean(other**2) + 1e-12)) / 10 ** (below_db / 20)
    return np.asarray(turn + gain * other, np.float32)


def _trimmed(sound: Samples) -> Samples:
    """Cut away what is 35 dB below the loud parts, or hardly above the room, at either end; bring it to one level."""
    hop = 160
    count = len(sound) // hop
    level = 10 * np.log10((sound[: count * hop].reshape(count, hop).astype(np.float64) ** 2).mean(axis=1) + 1e-12)
    loud = np.flatnonzero(level >= max(np.percentile(level, 95) - 35.0, np.percentile(level, 5) + 8.0))
    loud = loud if len(loud) else np.arange(count)
    cut = sound[loud[0] * hop : (loud[-1] + 1) * hop]
    return np.asarray(cut * (_LEVEL / max(float(np.sqrt(np.mean(cut**2))), 1e-6)), np.float32)


def _noises(data: Path, split: str) -> list[Samples]:
    with (data / "noise" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split and row["kind"] != "babble"]
    return [read_audio(data / row["path"]).astype(np.float32) for row in rows]
