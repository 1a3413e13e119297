"""The listening conditions of the evaluation, the same for every system: made from the waveform, seeded by clip."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.audio.rooms import read_rooms, reverberate, scaled_noise, telephone

CONDITIONS = ("clean", "telephone", "noise_10db", "noise_0db", "room")
"""Clean; 300-3400 Hz at 8 kHz with mu-law; dev noises at 10 and 0 dB; rooms kept from training."""


class Conditions:
    """Makes a clip sound as under a condition.

    Args:
        data_dir: Folder with `rir`.
        noise: Decoded noises.
        noise_split: Split of each noise; only `dev` ones are used.
    """

    def __init__(self, data_dir: Path, noise: AudioCache, noise_split: list[str]) -> None:
        self._rooms = read_rooms(data_dir / "rir", held_out=True)
        self._noises = [noise.samples(i) for i, split in enumerate(noise_split) if split == "dev"]

    def apply(self, samples: NDArray[np.float32], condition: str, seed: int) -> NDArray[np.float32]:
        """The clip under a condition; the same seed gives the same noise and room."""
        random = np.random.default_rng((99, seed))
        if condition == "telephone":
            rms = float(np.sqrt(np.mean(samples**2)) + 1e-9)
            return telephone(np.clip(samples * (10 ** (-26 / 20) / rms), -1, 1).astype(np.float32))
        if condition.startswith("noise_"):
            noise = self._noises[random.integers(len(self._noises))]
            at = (np.arange(len(samples)) + random.integers(len(noise))) % len(noise)
            snr_db = float(condition.removeprefix("noise_").removesuffix("db"))
            return samples + scaled_noise(samples, noise[at], snr_db)
        if condition == "room":
            return reverberate(samples, self._rooms[random.integers(len(self._rooms))])
        return samples


def speech_weights(samples: NDArray[np.float32], hops: int) -> NDArray[np.float32]:
    """1 for hops that WebRTC's detector (mode 1) calls speech and the 15 hops after; all ones if it never does."""
    import webrtcvad

    detector = webrtcvad.Vad(1)
    pcm = (np.clip(samples, -1, 1) * 32767).astype(np.int16)
    weight = np.zeros(hops, np.float32)
    hang = 0
    for k in range(hops):
        hang = 16 if detector.is_speech(pcm[k * 160 : (k + 1) * 160].tobytes(), 16000) else max(0, hang - 1)
        weight[k] = hang > 0
    return weight if weight.any() else np.ones(hops, np.float32)
