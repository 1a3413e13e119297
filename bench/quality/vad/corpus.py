"""Speech of known boundaries: trimmed clips and synthesised words between silences, in noise, at two bandwidths."""

import csv
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from scipy.signal import butter, resample_poly, sosfilt

RATE_HZ = 16_000
HOP = 160
SPEECH_DBFS = -26.0
WORDS = ("yes", "no", "okay", "stop", "right", "hello", "thank you", "I see", "not now", "go on")
SENTENCES = (
    "I have been waiting for twenty minutes.",
    "Could you please check the order again?",
    "That is wonderful news, thank you so much.",
    "My number is four seven one, nine two, eight.",
)


@dataclass
class Mixture:
    """One minute of test audio with its truth."""

    kind: str
    snr_db: float
    band: str
    samples: np.ndarray
    turns: list[tuple[int, int]]
    """First sample of each clip's speech, and one past its last."""
    is_speech: np.ndarray
    """bool, one per hop; pauses of 200 ms and more within a clip are no speech."""


def mixtures(data: Path, split: str, seed: int, *, duration_s: float = 60.0) -> Iterator[Mixture]:
    """Make one mixture per kind of noise, signal-to-noise ratio and bandwidth, and clean ones."""
    random = np.random.default_rng(seed)
    clips = _synthesised() + _recorded(data, split, random)
    noises = _noises(data, split)
    for band in ("wide", "telephone"):
        for _ in range(4):
            yield _mixture(clips, None, "none", np.inf, band, duration_s, random)
        for snr_db in (20.0, 10.0, 0.0):
            for kind, noise in noises.items():
                yield _mixture(clips, noise, kind, snr_db, band, duration_s, random)


def telephone(samples: np.ndarray) -> np.ndarray:
    """Pass samples through a 300-3400 Hz line: 8 kHz, mu-law, and back."""
    narrow = sosfilt(butter(4, (300, 3400), "bandpass", fs=8000, output="sos"), resample_poly(samples, 1, 2))
    x = np.clip(narrow, -1, 1)
    code = np.round(np.sign(x) * np.log1p(255 * np.abs(x)) / np.log(256) * 127) / 127
    decoded = np.sign(code) * np.expm1(np.abs(code) * np.log(256)) / 255
    return resample_poly(decoded, 2, 1).astype(np.float32)


def _mixture(clips, noise, kind, snr_db, band, duration_s, random) -> Mixture:
    size = int(duration_s * RATE_HZ)
    speech = np.zeros(size, np.float32)
    is_speech = np.zeros(size // HOP, bool)
    turns = []
    at = int(random.uniform(1.0, 2.0) * RATE_HZ) // HOP * HOP
    while True:
        clip, active = clips[random.integers(len(clips))]
        if at + len(clip) > size:
            break
        gain = 10 ** ((SPEECH_DBFS + random.uniform(-6, 6)) / 20)
        speech[at : at + len(clip)] += gain * clip
        is_speech[at // HOP : at // HOP + len(active)] = active
        turns.append((at, at + len(clip)))
        at += (len(clip) + int(random.uniform(0.8, 3.0) * RATE_HZ)) // HOP * HOP
    if noise is None:
        background = random.standard_normal(size) * 10 ** (-80 / 20)
    else:
        start = random.integers(len(noise))
        background = np.resize(np.roll(noise, -start), size)
        power = np.mean(speech.reshape(-1, HOP)[is_speech] ** 2)
        background = background * np.sqrt(power / np.mean(background**2) / 10 ** (snr_db / 10))
    samples = np.clip(speech + background, -1, 1).astype(np.float32)
    if band == "telephone":
        samples = telephone(samples)
    return Mixture(kind, snr_db, band, samples, turns, is_speech)


def _recorded(data: Path, split: str, random) -> list[tuple[np.ndarray, np.ndarray]]:
    paths = []
    for table, corpora in (("clean", None), ("emotion", ("ravdess", "nemo"))):
        with (data / table / "manifest.csv").open() as file:
            rows = [row for row in csv.DictReader(file) if row["split"] == split]
        rows = [row for row in rows if (corpora is None or row["corpus"] in corpora) and float(row["duration_s"]) < 15]
        paths += [rows[i]["path"] for i in random.permutation(len(rows))[:60]]
    return [clip for path in paths if (clip := _trim(read_audio(data / path))) is not None]


def _noises(data: Path, split: str) -> dict[str, np.ndarray]:
    with (data / "noise" / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == split]
    kinds = sorted({row["kind"] for row in rows})
    parts = {kind: [read_audio(data / row["path"]) for row in rows if row["kind"] == kind][:8] for kind in kinds}
    return {kind: np.concatenate([x / (np.sqrt(np.mean(x**2)) + 1e-9) for x in parts[kind]]) for kind in kinds}


def _synthesised() -> list[tuple[np.ndarray, np.ndarray]]:
    if shutil.which("espeak-ng") is None:
        return []
    clips = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "word.wav"
        for number, text in enumerate(WORDS + SENTENCES):
            voice = ("en-us", "en-gb+f3", "en-us+m3")[number % 3]
            subprocess.run(["espeak-ng", "-v", voice, "-s", "165", "-w", path, text], check=True)
            clip = _trim(read_audio(path))
            if clip is not None:
                clips.append(clip)
    return clips


def read_audio(path: Path) -> np.ndarray:
    """Read a file as mono float32 at 16 kHz."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return mono if rate_hz == RATE_HZ else resample_poly(mono, RATE_HZ, rate_hz).astype(np.float32)


def _trim(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Cut a clip to its speech, found by energy, at unit active level; None when it is too noisy to tell."""
    hops = samples[: len(samples) // HOP * HOP].reshape(-1, HOP)
    level_db = 10 * np.log10(np.mean(hops**2, axis=1) + 1e-10)
    if len(hops) < 10 or np.percentile(level_db, 95) - np.percentile(level_db, 3) < 40:
        return None
    threshold_db = np.percentile(level_db, 95) - 32
    active = _close(level_db > threshold_db, 20, 3)
    where = np.flatnonzero(active)
    if not len(where):
        return None
    first, last = where[0], where[-1] + 1
    active, clip = active[first:last], samples[first * HOP : last * HOP].copy()
    return clip / np.sqrt(np.mean(clip.reshape(-1, HOP)[active] ** 2)), active


def _close(active: np.ndarray, gap_hops: int, burst_hops: int) -> np.ndarray:
    """Fill gaps shorter than `gap_hops`, then drop bursts shorter than `burst_hops`."""
    out = active.copy()
    for value, shortest in ((False, gap_hops), (True, burst_hops)):
        runs = np.flatnonzero(np.diff(np.concatenate([[0], (out == value).astype(int), [0]])))
        for start, end in runs.reshape(-1, 2):
            if end - start < shortest and (value or (start > 0 and end < len(out))):
                out[start:end] = not value
    return out
