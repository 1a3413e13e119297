"""Clips: what is scored, as manifests list it, and calls made of genuine ones."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo.api import RtemoError

RATE_HZ = 16_000
PAUSE_S = 0.5
"""Between the clips that are strung together to a call."""
CALL_S = 60.0
_PAUSE_DBFS = -75.0
_TELEPHONE_DBFS = -26.0


@dataclass(frozen=True, slots=True)
class Clip:
    """One clip and all that trials say of it."""

    path: Path
    name: str
    label: int
    system: str = ""
    corpus: str = ""
    speaker: str = ""
    emotion: str = ""
    fold: str = ""

    def row(self) -> dict[str, object]:
        """Columns of a trial but for band, seconds, score and arm."""
        names = ("label", "system", "corpus", "speaker", "emotion", "fold")
        return {"clip": self.name} | {name: getattr(self, name) for name in names}


def read_clips(manifest: Path, folder: Path, split: str = "dev") -> list[Clip]:
    """Read a manifest.

    Columns: `path`, relative to `folder`, and `label` (1 synthetic) or `bona_fide` (1 genuine); as far as they are
    there `system`, `corpus` or `source`, `speaker`, `emotion`, `fold` and `split`. Rows of another split are left out,
    unless `split` is `all`.

    Raises:
        RtemoError: The manifest cannot be read, or a row says neither what is synthetic nor what is genuine.
    """
    try:
        with manifest.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError) as error:
        raise RtemoError(f"{manifest} cannot be read ({error})", "give a CSV manifest") from None
    return [_clip(row, folder, manifest) for row in rows if split in ("all", row.get("split") or split)]


def default_clips(data: Path, split: str = "dev", is_seen: bool = False) -> list[Clip]:
    """Clips of the data folder as it is: synthetic speech and its human references, and genuine emotional speech.

    Args:
        data: Folder of the corpora.
        split: Of the emotional speech.
        is_seen: Whether the detector was trained on the synthetic speech and its references.
    """
    clips = read_clips(data / "spoof" / "manifest.csv", data, "all")
    if is_seen:
        clips = [replace(clip, fold="seen") for clip in clips]
    with (data / "emotion" / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = [row | {"label": "0"} for row in csv.DictReader(file) if row["split"] == split]
    return clips + [_clip(row, data, data / "emotion" / "manifest.csv") for row in rows]


def at_most(clips: list[Clip], count: int | None, seed: int = 0) -> list[Clip]:
    """Keep so many clips of each system and of each speaker, drawn at random; all when `count` is None."""
    if count is None:
        return clips
    groups: dict[tuple[int, str, str], list[Clip]] = {}
    for clip in clips:
        groups.setdefault((clip.label, clip.system, clip.speaker or clip.corpus), []).append(clip)
    random = np.random.default_rng(seed)
    return [group[k] for group in groups.values() for k in sorted(random.permutation(len(group))[:count])]


def balanced(clips: list[Clip], count: int, seed: int = 0) -> list[Clip]:
    """Draw so many clips, half of them synthetic, systems and corpora in turn."""
    random = np.random.default_rng(seed)
    kept: list[Clip] = []
    for label, most in ((0, count // 2), (1, count - count // 2)):
        groups: dict[str, list[Clip]] = {}
        for clip in clips:
            if clip.label == label:
                groups.setdefault(clip.system if label else clip.corpus, []).append(clip)
        queues = [[group[k] for k in random.permutation(len(group))] for group in groups.values()]
        taken: list[Clip] = []
        while queues and len(taken) < most:
            queues = [queue for queue in queues if queue]
            taken += [queue.pop() for queue in queues]
        kept += taken[:most]
    return kept


def read_audio(path: Path, channel: int | None = None) -> NDArray[np.float32]:
    """Read a file as float32 at 16 kHz: one channel, or the mean of all.

    Raises:
        RtemoError: The file cannot be read.
    """
    import soundfile
    from scipy.signal import resample_poly

    try:
        samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        raise RtemoError(f"{path} cannot be read ({error})", "check the manifest and the data folder") from None
    mono = samples.mean(axis=1) if channel is None else samples[:, channel]
    return np.asarray(mono if rate_hz == RATE_HZ else resample_poly(mono, RATE_HZ, rate_hz), np.float32)


def in_band(samples: NDArray[np.float32], band: str) -> NDArray[np.float32]:
    """Give a clip as it is, or as a telephone line hands it on: at -26 dBFS, 300 to 3400 Hz, mu-law at 8 kHz."""
    if band == "full":
        return samples
    from rtemo_models.kit.audio.rooms import telephone

    rms = float(np.sqrt(np.mean(samples.astype(np.float64) ** 2)) + 1e-9)
    return telephone(np.clip(samples * (10 ** (_TELEPHONE_DBFS / 20) / rms), -1, 1).astype(np.float32))


@dataclass(frozen=True, slots=True)
class Call:
    """Genuine speech that is heard in one go."""

    name: str
    corpus: str
    samples: NDArray[np.float32]


def genuine_calls(data: Path, split: str = "dev") -> Iterator[Call]:
    """Genuine speech as calls: each speaker's emotional or neutral clips strung together, and the recorded calls.

    A clip alone would be over before a score rests on much; strung together, with half a second of faint noise in
    between, up to a minute each, they are heard as a caller is.
    """
    for table in ("emotion", "clean"):
        by: dict[tuple[str, str], list[Path]] = {}
        with (data / table / "manifest.csv").open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                if row["split"] == split:
                    by.setdefault((row["corpus"], row["speaker"]), []).append(data / row["path"])
        for (corpus, speaker), paths in by.items():
            for number, samples in enumerate(strung(paths)):
                yield Call(f"{speaker}-{number}", corpus, samples)
    for name, channels in (("contact_centre_8khz", (None,)), ("two_party_8khz", (0, 1))):
        for channel in channels:
            samples = read_audio(data / "calls" / f"{name}.flac", channel)
            yield Call(name if channel is None else f"{name}-{channel}", name, samples)


def strung(paths: list[Path], call_s: float = CALL_S) -> Iterator[NDArray[np.float32]]:
    """String clips together, a pause of faint noise after each, to calls that end with the clip that fills them."""
    random = np.random.default_rng(0)
    parts: list[NDArray[np.float32]] = []
    for path in paths:
        pause = random.normal(0, 10 ** (_PAUSE_DBFS / 20), round(PAUSE_S * RATE_HZ)).astype(np.float32)
        parts += [read_audio(path), pause]
        if sum(map(len, parts)) >= call_s * RATE_HZ:
            yield np.concatenate(parts)
            parts = []
    if parts:
        yield np.concatenate(parts)


def _clip(row: dict[str, str], folder: Path, manifest: Path) -> Clip:
    path = row.get("path") or ""
    label = row.get("label") or {"1": "0", "0": "1"}.get(row.get("bona_fide") or "", "")
    if not path or label not in ("0", "1"):
        raise RtemoError(
            f"{manifest} has a row without `path`, or without `label` or `bona_fide` ({path or 'no path'})",
            "give label 1 to synthetic clips and 0 to genuine ones",
        )
    system = row.get("system") or ""
    return Clip(
        path=folder / path,
        name=path,
        label=int(label),
        system=system if label == "1" else "",
        corpus=row.get("corpus") or row.get("source") or "",
        speaker=row.get("speaker") or "",
        emotion=row.get("emotion") or "",
        fold=row.get("fold") or "",
    )
