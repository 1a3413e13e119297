"""Speech and speech-like signals whose pitch and rate are known."""

import io
import shutil
import subprocess

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray
from scipy import signal

from rtemo.dsp.resample import resample

RATE_HZ = 16_000
PANGRAM = (
    "The old man was really angry about the weather, and we all know why my lawyer may allow you a rural alarm. "
    "The north wind and the sun were arguing one day about which of them was stronger."
)

SYLLABLES = {
    PANGRAM: 50,
    "Please send the second packet back to the post office before the end of this week. Seven people waited there, "
    "but nobody could help them until the manager came down and spoke to each person about the problem.": 53,
    "I bought two tickets to the city museum on Saturday, because my cousin told me about a good picture.": 28,
}
"""Text and its number of syllables."""


def espeak(text: str, *options: str) -> NDArray[np.float32]:
    """Speech from espeak-ng at 16 kHz; skips the test where it is not installed."""
    program = shutil.which("espeak-ng")
    if program is None:
        pytest.skip("espeak-ng is not installed")
    wave = subprocess.run([program, "-m", "--stdout", *options, text], capture_output=True, check=True).stdout
    samples, rate_hz = soundfile.read(io.BytesIO(wave), dtype="float32")
    return resample(samples, rate_hz, RATE_HZ)


def vowel(
    pitch_hz: NDArray[np.float64], formants_hz: tuple[float, ...] = (700.0, 1_220.0, 2_600.0)
) -> NDArray[np.float64]:
    """Glottal pulses at a pitch given per sample, through formant resonators; power 0.01."""
    phase = np.cumsum(pitch_hz) / RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0)
    source = signal.lfilter([1.0], [1.0, -0.95], pulses - pulses.mean())
    for hz, bandwidth_hz in zip(formants_hz, (80.0, 100.0, 140.0), strict=True):
        radius = np.exp(-np.pi * bandwidth_hz / RATE_HZ)
        source = signal.lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * hz / RATE_HZ), radius**2], source)
    return source * (0.1 / np.sqrt(np.mean(source**2)))


def with_noise(clean: NDArray[np.float64], snr_db: float, seed: int = 0) -> NDArray[np.float32]:
    """The signal with white noise at a ratio of mean powers."""
    noise = np.random.default_rng(seed).standard_normal(clean.size)
    noise *= np.sqrt(np.mean(np.square(clean, dtype=np.float64)) / 10.0 ** (snr_db / 10.0))
    return (clean + noise).astype(np.float32)
