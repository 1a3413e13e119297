"""Recordings for the corpus: made-up voices, and everything that is none."""

import shutil
from pathlib import Path

import numpy as np
import soundfile

from rtemo.testing.voice import voice

RATE_HZ = 16_000


def organ(seconds: float) -> np.ndarray:
    """Chords of held notes."""
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    sound = np.zeros(len(time_s))
    for place in range(int(seconds / 2) + 1):
        part = slice(place * RATE_HZ * 2, (place + 1) * RATE_HZ * 2)
        for step in (1.0, 1.26, 1.5):
            for harmonic in (1, 2, 3):
                hz = (220.0, 293.7, 329.6)[place % 3] * step * harmonic
                sound[part] += np.sin(2 * np.pi * hz * time_s[part]) / harmonic
    return (0.05 * sound).astype(np.float32)


def write_recordings(folder: Path, talks: int = 2, seconds: float = 24.0) -> Path:
    """Some talks, and one of each kind that yields nothing, or only in part."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(0)
    for number in range(talks):
        soundfile.write(folder / f"talk{number}.wav", voice(seconds, seed=number + 1), RATE_HZ)
    talk = voice(seconds, seed=1)
    write = {
        "silence.wav": np.zeros(RATE_HZ * 8, np.float32),
        "music.wav": organ(10.0),
        "noisy.wav": talk + 0.1 * random.standard_normal(len(talk)).astype(np.float32),
        "sung.wav": talk + organ(seconds)[: len(talk)],
    }
    for name, sound in write.items():
        soundfile.write(folder / name, sound, RATE_HZ)
    shutil.copy(folder / "talk0.wav", folder / "twin.wav")
    soundfile.write(folder / "louder.flac", 1.7 * talk[3_333:], RATE_HZ)  # the same speech in another file
    soundfile.write(folder / "stereo.wav", np.stack([voice(seconds, seed=7)] * 2, 1), 48_000)
    whole = folder / "cut.wav"
    soundfile.write(whole, voice(seconds, seed=9), RATE_HZ)
    whole.write_bytes(whole.read_bytes()[: int(RATE_HZ * 2 * seconds * 0.6)])
    (folder / "notes.wav").write_text("this is no sound")
    (folder / "empty.mp3").write_bytes(b"")
    return folder
