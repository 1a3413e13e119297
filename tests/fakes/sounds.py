"""Sounds for the tests of the sources: tones, and files of them."""

from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray


def tone(duration_s: float, rate_hz: int, frequency_hz: float = 440.0, amplitude: float = 0.5) -> NDArray[np.float32]:
    """A sine, float32 [k]."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def chord(duration_s: float, rate_hz: int, channels: int) -> NDArray[np.float32]:
    """A different tone on every channel, float32 [k, channels]."""
    return np.stack([tone(duration_s, rate_hz, 200.0 + 100.0 * channel) for channel in range(channels)], axis=1)


def write_sound(path: Path, samples: NDArray[np.float32], rate_hz: int, **options: str) -> Path:
    """Write a file and return its path."""
    soundfile.write(path, samples, rate_hz, **options)
    return path


def main_frequency_hz(samples: NDArray[np.float32], rate_hz: int) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(samples.shape[0])))
    return float(np.argmax(spectrum)) * rate_hz / samples.shape[0]
