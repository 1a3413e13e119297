"""Waveform augmentation: rooms, the telephone, clipping; everything that log-mel frames cannot imitate."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ
from rtemo_models.kit.audio.resample import resampled

HELD_OUT_ROOMS = ("reverb_Genesis_6_Studio_Live_Room", "RIRs_rir3", "reverb_Arthur_Sykes_Rymer_Auditorium")
"""Rooms kept for evaluation; never trained on."""


def read_rooms(rir_dir: Path, held_out: bool = False) -> list[NDArray[np.float32]]:
    """Measured impulse responses from 2.5 ms before the direct sound, its energy 1; without near-identical angles.

    Args:
        rir_dir: Folder of FLAC files, one channel or two.
        held_out: Return the rooms kept for evaluation instead of those for training.
    """
    import soundfile

    responses = []
    for path in sorted(rir_dir.glob("*.flac")):
        if "Anechoic" in path.name or (path.stem in HELD_OUT_ROOMS) != held_out:
            continue
        data, _ = soundfile.read(path, dtype="float32", always_2d=True)
        for channel in range(data.shape[1]):
            h = data[max(0, int(np.argmax(np.abs(data[:, channel]))) - 40) :, channel][:SAMPLE_RATE_HZ]
            energy = float(np.sum(h * h))
            if energy > 0:
                responses.append(h / np.sqrt(energy))
    return responses


def synthetic_room(random: np.random.Generator) -> NDArray[np.float32]:
    """A room that was never measured: direct sound plus exponentially decaying coloured noise.

    Reverberation time is 0.1-0.9 s and direct-to-reverberant ratio -3 to 15 dB; high frequencies die earlier.
    """
    rt60_s = random.uniform(0.1, 0.9)
    h_samples = int(SAMPLE_RATE_HZ * min(1.0, rt60_s))
    time_s = np.arange(h_samples) / SAMPLE_RATE_HZ
    noise = random.standard_normal(h_samples)
    dull = np.convolve(noise, np.ones(4) / 4, "same")
    mix = np.exp(-time_s * random.uniform(2, 10))
    tail = (mix * noise + (1 - mix) * 2 * dull) * 10 ** (-3 * time_s / rt60_s)
    tail[: int(SAMPLE_RATE_HZ * random.uniform(0.001, 0.01))] = 0
    tail *= 10 ** (-random.uniform(-3, 15) / 20) / np.sqrt(np.sum(tail**2) + 1e-12)
    tail[0] = 1.0
    return (tail / np.sqrt(np.sum(tail**2))).astype(np.float32)


def reverberate(samples: NDArray[np.float32], response: NDArray[np.float32]) -> NDArray[np.float32]:
    """Put a clip into a room; same length, the direct sound stays where it was (within 2.5 ms)."""
    from scipy.signal import fftconvolve

    return fftconvolve(samples, response)[: len(samples)].astype(np.float32)


def mu_law_round_trip(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Quantise to 8-bit mu-law and back (the continuous form of ITU-T G.711's curve, mu = 255)."""
    squeezed = np.sign(samples) * np.log1p(255 * np.minimum(np.abs(samples), 1)) / np.log(256)
    steps = np.round(squeezed * 127) / 127
    return (np.sign(steps) * np.expm1(np.abs(steps) * np.log(256)) / 255).astype(np.float32)


def telephone(
    samples: NDArray[np.float32], low_hz: float = 300.0, high_hz: float = 3400.0, mu_law: bool = True
) -> NDArray[np.float32]:
    """Send a clip through a telephone: band-limit, 8 kHz, 8-bit mu-law, and back to 16 kHz; same length."""
    from scipy.signal import butter, sosfilt

    narrow = resampled(samples, 1, 2)
    band = butter(4, [low_hz, min(high_hz, 3900.0)], "bandpass", fs=8000, output="sos")
    narrow = sosfilt(band, narrow).astype(np.float32)
    if mu_law:
        narrow = mu_law_round_trip(narrow)
    wide = resampled(narrow, 2, 1)[: len(samples)]
    return np.pad(wide, (0, len(samples) - len(wide)))


def clip_peaks(samples: NDArray[np.float32], share: float) -> NDArray[np.float32]:
    """Clip so that about `share` of the loudest tenth of the samples is cut off."""
    loud = np.quantile(np.abs(samples), 1 - 0.1 * share)
    return np.clip(samples, -loud, loud) if loud > 0 else samples


def scaled_noise(speech: NDArray[np.float32], noise: NDArray[np.float32], snr_db: float) -> NDArray[np.float32]:
    """Noise scaled to an SNR against the active part of the speech (blocks of 20 ms within 30 dB of the loudest)."""
    blocks = speech[: len(speech) // 320 * 320].reshape(-1, 320)
    power = (blocks.astype(np.float64) ** 2).mean(1) if len(blocks) else np.array([np.mean(speech**2)])
    active = power[power > power.max() * 1e-3] if power.max() > 0 else power
    noise_power = float(np.mean(noise.astype(np.float64) ** 2)) + 1e-12
    return (noise * np.sqrt(active.mean() / noise_power / 10 ** (snr_db / 10))).astype(np.float32)
