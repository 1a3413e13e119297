"""Speech from synthesisers that are programs: espeak-ng (formants), flite and festival (units and diphones).

Moods are the few settings that such programs have: pitch, its range, rate and loudness. The directions are those that
reviews of emotional speech agree on (Scherer 2003, "Vocal communication of emotion", Speech Communication 40): joy and
anger high and fast, sadness low, slow and flat.
"""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo.api.errors import RtemoError
from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.resample import at_rate

PROGRAM = {"espeak-ng": "espeak-ng", "flite": "flite", "festival": "text2wave"}
"""System → program."""

VOICES = {
    "espeak-ng": ("en-us", "en-us+f2", "en-us+m3", "en-gb", "en-gb+f4", "en-gb+m7", "en-gb-scotland+f3", "en-us+m1"),
    "flite": ("awb", "rms", "slt", "kal16"),
    "festival": ("kal_diphone",),
}


@dataclass(frozen=True, slots=True)
class Mood:
    """How a mood sounds against a neutral voice."""

    pitch: float
    """Factor of mean pitch."""
    range: float
    """Factor of pitch range."""
    rate: float
    """Factor of rate."""


MOODS = {
    "neutral": Mood(1.0, 1.0, 1.0),
    "happy": Mood(1.25, 1.6, 1.1),
    "angry": Mood(1.12, 1.8, 1.2),
    "sad": Mood(0.88, 0.5, 0.78),
    "fear": Mood(1.35, 0.8, 1.25),
    "surprise": Mood(1.4, 2.0, 1.0),
}
"""Emotion → mood."""


def is_installed(system: str) -> bool:
    """Whether the system's program is on this machine."""
    return shutil.which(PROGRAM[system]) is not None


def speak(system: str, voice: str, emotion: str, text: str, random: np.random.Generator) -> NDArray[np.float32]:
    """Say a text in a mood, with a little chance in every setting.

    Returns:
        float32 [samples] at 16 kHz.

    Raises:
        RtemoError: The program is missing or fails.
    """
    if not is_installed(system):
        raise RtemoError(f"the program {PROGRAM[system]} is not installed", f"install {system}, or leave it out")
    mood = MOODS[emotion]
    pitch, wide, rate = (value * random.uniform(0.92, 1.08) for value in (mood.pitch, mood.range, mood.rate))
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "said.wav"
        command = commands(system, voice, pitch, wide, rate, text, out)
        told = text.encode() if system == "festival" else None
        made = subprocess.run(command, input=told, capture_output=True, timeout=120, check=False)
        if made.returncode or not out.exists() or out.stat().st_size < 1000:
            raise RtemoError(f"{command[0]} failed: {made.stderr.decode(errors='replace').strip()[-200:]}")
        return read_16_khz(out)


def commands(system: str, voice: str, pitch: float, wide: float, rate: float, text: str, out: Path) -> list[str]:
    """The command line that says a text into a file; factors are against the voice's own pitch, range and rate."""
    if system == "espeak-ng":
        # 0-99 around 50, about half an octave to either side; words per minute around 165
        place = int(np.clip(50 + 70 * np.log2(pitch), 0, 99))
        return ["espeak-ng", "-v", voice, "-p", str(place), "-s", str(int(165 * rate)), "-w", str(out), text]
    if system == "flite":
        mean_hz = {"slt": 185.0, "awb": 120.0}.get(voice, 105.0) * pitch
        settings = {
            "int_f0_target_mean": mean_hz,
            "int_f0_target_stddev": 12.0 * wide,
            "duration_stretch": 1 / rate,
        }
        pairs = [word for key, value in settings.items() for word in ("--setf", f"{key}={value:.3f}")]
        return ["flite", "-voice", voice, *pairs, "-t", text, "-o", str(out)]
    target = f"(set! int_lr_params '((target_f0_mean {105 * pitch:.1f}) (target_f0_std {14 * wide:.1f}) "
    target += "(model_f0_mean 170) (model_f0_std 34)))"
    stretch = f"(Parameter.set 'Duration_Stretch {1 / rate:.3f})"
    return ["text2wave", "-eval", f"(voice_{voice})", "-eval", target, "-eval", stretch, "-o", str(out)]


def read_16_khz(path: Path) -> NDArray[np.float32]:
    """Read a file as mono at 16 kHz."""
    import soundfile

    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    return at_rate(mono, rate_hz, SAMPLE_RATE_HZ)
