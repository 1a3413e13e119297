"""What turn-taking is measured on: read clips that end in silence, and a telephone call of two parties."""

import csv
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile

from bench.quality.turns.pauses import RATE_HZ, Pause, find_pauses
from rtemo.dsp.resample import resample

_AFTER_S = 2.5
_FLOOR_S = 0.2
_TURN_S = 0.8  # speech of the other party from which on it is a turn and no sign of listening
_BRIDGE_S = 0.3
_OVERLAP_S = 0.2
_ALONE_S = 2.0
_BATCH = 32


class Judged(NamedTuple):
    """A pause, whose it is, and whether it ended the turn."""

    speaker: str
    corpus: str
    pause: Pause
    is_end: bool
    sound: np.ndarray


def read_clips(data: Path, split: str, corpora: tuple[str, ...], most: int | None = None) -> list[Judged]:
    """Find the pauses of read speech; the last of each clip ends it, the others do not.

    After each clip, 2.5 s of its own quietest stretch follow, so that the room goes on when the voice does not.
    """
    with (data / "clean" / "manifest.csv").open() as file:
        lines = [line for line in csv.DictReader(file) if line["split"] == split and line["corpus"] in corpora]
    lines.sort(key=lambda line: float(line["duration_s"]))
    if most is not None:
        lines = lines[:: max(1, len(lines) // most)][:most]
    found = []
    for at in range(0, len(lines), _BATCH):
        batch = lines[at : at + _BATCH]
        sounds = [_with_room(soundfile.read(data / line["path"], dtype="float32")[0]) for line in batch]
        pauses, _ = find_pauses(sounds)
        for pause in pauses:
            line = batch[pause.sound]
            is_end = pause.resumes is None
            found.append(Judged(line["speaker"], line["corpus"], pause, is_end, sounds[pause.sound]))
    return found


def two_party_call(data: Path) -> list[Judged]:
    """Find the pauses of both parties of the call.

    A pause ends the turn where the other party begins a turn of at least 0.8 s before the speaker goes on, or where
    nobody speaks for 2 s. Pauses in which the other one was speaking already belong to neither.
    """
    audio, rate_hz = soundfile.read(data / "calls" / "two_party_8khz.flac", dtype="float32", always_2d=True)
    sounds = [resample(np.ascontiguousarray(audio[:, channel]), rate_hz, RATE_HZ) for channel in (0, 1)]
    pauses, voice = find_pauses(sounds)
    turns = [_turns(one) for one in voice]
    resumptions = [np.array([start for start, _ in _stretches(one)]) * 160 for one in voice]
    found = []
    for pause in pauses:
        others = turns[1 - pause.sound]
        begin = pause.voice_end - _OVERLAP_S * RATE_HZ
        own = resumptions[pause.sound]
        later = own[own > pause.voice_end + 160]
        until = float(later[0]) if len(later) else np.inf
        if any(start < begin and end > pause.voice_end for start, end in others):
            continue
        is_end = any(begin <= start < until for start, _ in others) or until - pause.voice_end > _ALONE_S * RATE_HZ
        name = ("agent", "caller")[pause.sound]
        found.append(Judged(name, "two-party call", pause, is_end, sounds[pause.sound]))
    return found


def _with_room(sound: np.ndarray) -> np.ndarray:
    size = round(_FLOOR_S * RATE_HZ)
    count = max(1, len(sound) // size)
    parts = [sound[k * size : (k + 1) * size] for k in range(count)]
    quietest = min(parts, key=lambda part: float(np.mean(np.square(part))) + (len(part) < size))
    mirrored = np.concatenate([quietest, quietest[::-1]])
    return np.concatenate([sound, np.tile(mirrored, -(-round(_AFTER_S * RATE_HZ) // len(mirrored)))]).astype(np.float32)


def _stretches(voice: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], voice, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _turns(voice: np.ndarray) -> list[tuple[int, int]]:
    """Join stretches of voice that belong together; give those that are long enough for a turn, in samples."""
    joined: list[list[int]] = []
    for start, end in _stretches(voice):
        if joined and start - joined[-1][1] < _BRIDGE_S * 100:
            joined[-1][1] = end
        else:
            joined.append([start, end])
    return [(start * 160, end * 160) for start, end in joined if end - start >= _TURN_S * 100]
