"""ClipStore: a folder of clips, what each expresses and how it is said, searched exactly.

Vectors are the square roots of the eight probabilities, so that a product of two is the Bhattacharyya coefficient of
what two clips express (or a clip and a text). All of them are compared: a matrix of 84,000 clips takes some ms.
"""

import csv
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, RtemoError
from rtemo.voice.colour import spectrum_of
from rtemo.voice.reference import HOP_SAMPLES, RATE_HZ, Melody, melody_of
from rtemo.voice.speaker import without_silence
from rtemo_models.systems.emo_corrector.mood import Mood

SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3")
MOST_CLIPS = 20_000
_LEAST_S = 0.5
_PLAIN = ("neutral", "calm")


class StoredClip(NamedTuple):
    """One clip.

    Attributes:
        path: Where it is.
        text: What is said in it; empty where nobody told.
        speaker: Who speaks: of the manifest, or else the folder that it lies in.
        mood: What it expresses.
        melody: Its pitch and level.
        rate_per_s: Peaks of level per second of speech, about one for each syllable.
        level_db: Mean level of its speech.
        spectrum_db: Its long-term spectrum, float64 [257]; without values where nobody looked.
    """

    path: Path
    text: str
    speaker: str
    mood: Mood
    melody: Melody
    rate_per_s: float
    level_db: float
    spectrum_db: NDArray[np.float64] = np.zeros(0)


class Found(NamedTuple):
    """A clip that was found, and how near it is, 0 to 1."""

    clip: StoredClip
    likeness: float


class ClipStore:
    """Clips that were heard.

    Args:
        clips: In any order.
    """

    def __init__(self, clips: Sequence[StoredClip]) -> None:
        self.clips = list(clips)
        self._matrix = np.stack([np.sqrt(clip.mood.probabilities) for clip in clips]) if clips else np.zeros((0, 8))
        self._texts = [plain_text(clip.text) for clip in clips]

    def search(self, wanted: NDArray[np.float64], k: int = 3, without_texts: Sequence[str] = ()) -> list[Found]:
        """Find the k clips that express most nearly what is wanted, exactly, the nearest first.

        Args:
            wanted: float64 [8], probabilities in the order of `EMOTIONS`.
            k: How many.
            without_texts: Clips that say one of these are left out: they would be found for their words.
        """
        barred = {plain_text(text) for text in without_texts} - {""}
        likeness = self._matrix @ np.sqrt(wanted)
        likeness[[text in barred for text in self._texts]] = -1.0
        order = np.argsort(-likeness, kind="stable")[:k]
        return [Found(self.clips[place], float(likeness[place])) for place in order if likeness[place] >= 0.0]

    def usual(self, speaker: str) -> tuple[float, float, float, float]:
        """Tell how a speaker usually speaks: median pitch, its range, rate and level.

        Over their calm and neutral clips, since a recording that is edited is mostly so; over all where there are none.
        """
        own = self._usual(speaker)
        if not own:
            return 0.0, 0.0, 0.0, 0.0
        return (
            float(np.exp(np.mean([np.log(clip.melody.median_hz) for clip in own]))),
            float(np.mean([clip.melody.range_semitones for clip in own])),
            float(np.mean([clip.rate_per_s for clip in own])),
            float(np.mean([clip.level_db for clip in own])),
        )

    def usual_spectrum_db(self, speaker: str) -> NDArray[np.float64]:
        """Give the long-term spectrum of how a speaker usually speaks, float64 [257]; without values if unknown."""
        found = [clip.spectrum_db for clip in self._usual(speaker) if len(clip.spectrum_db)]
        return np.asarray(np.mean(found, axis=0), np.float64) if found else np.zeros(0)

    def _usual(self, speaker: str) -> list[StoredClip]:
        own = [clip for clip in self.clips if clip.speaker == speaker and clip.melody.median_hz > 0]
        return [clip for clip in own if EMOTIONS[int(clip.mood.probabilities.argmax())] in _PLAIN] or own


def open_store(
    folder: Path,
    read: Callable[[Path], NDArray[np.float32]],
    hear: Callable[[NDArray[np.float32]], Mood],
    say: Callable[[str], None] = lambda line: None,
) -> ClipStore:
    """Hear every clip of a folder; one that cannot be read is named and left out.

    Texts and speakers come from `manifest.csv` in it (columns path, text, speaker), where there is one.

    Raises:
        RtemoError: There is no clip that can be heard.
    """
    told = _manifest(folder)
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)[:MOST_CLIPS]
    clips = []
    for path in paths:
        try:
            samples = read(path)
            if len(samples) < _LEAST_S * RATE_HZ:
                continue
            row = told.get(path.relative_to(folder).as_posix(), {})
            clips.append(heard_clip(path, samples, hear(samples), row.get("text", ""), row.get("speaker", "")))
        except (RtemoError, ValueError) as error:
            say(f"{path.name} is left out ({error})")
    if not clips:
        raise RtemoError(f"there is no clip in {folder} that can be heard", "name a folder of sound files")
    return ClipStore(clips)


def heard_clip(path: Path, samples: NDArray[np.float32], mood: Mood, text: str = "", speaker: str = "") -> StoredClip:
    """Put together what is known of a clip, float32 [k] at 16 kHz."""
    speech = without_silence(samples)
    melody = melody_of(samples)
    level_db = 10.0 * float(np.log10(np.mean(speech.astype(np.float64) ** 2) + 1e-12)) if len(speech) else -120.0
    spectrum_db = 10.0 * np.log10(spectrum_of(speech))
    return StoredClip(path, text, speaker or path.parent.name, mood, melody, rate_of(melody), level_db, spectrum_db)


def rate_of(melody: Melody) -> float:
    """Count peaks of the level that rise 3 dB over what lies between them, per second of what is loud."""
    level = np.convolve(melody.level_db, np.ones(5) / 5, mode="same") if len(melody.level_db) >= 5 else melody.level_db
    if not len(level):
        return 0.0
    loud = level > level.max() - 25.0
    peaks, low, high = 0, np.inf, -np.inf
    for value, is_loud in zip(level, loud, strict=True):
        if not is_loud:
            low, high = float(value), -np.inf
            continue
        if value > low + 3.0 and value > high:
            if high == -np.inf:
                peaks += 1
            high = float(value)
        elif value < high - 3.0:
            low, high = float(value), -np.inf
        low = min(low, float(value))
    return peaks / max(loud.sum() * HOP_SAMPLES / RATE_HZ, 0.1)


def plain_text(text: str) -> str:
    """Write a text without case and punctuation."""
    return " ".join(re.findall(r"\w+", text.lower()))


def _manifest(folder: Path) -> dict[str, dict[str, str]]:
    try:
        with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
            return {
                row["path"]: {key: value or "" for key, value in row.items() if key} for row in csv.DictReader(file)
            }
    except (OSError, KeyError, UnicodeDecodeError, csv.Error):
        return {}
