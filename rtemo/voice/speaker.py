"""SpeakerEmbedder: how alike two voices sound, by a bundle for the task `speaker`."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelHandle
from rtemo.dsp.speaker_mel import FRAMES, HOP_SAMPLES, MEL_COUNT, RATE_HZ, levelled, speaker_mel, window_mel
from rtemo.voice.errors import VoiceError

LEAST_S = 1.0
"""Speech below which a voice cannot be told."""

_STEP_FRAMES = 77  # 1.3 partial windows a second, as Resemblyzer takes
_QUIET_DB = 30.0
_LONGEST_GAP_FRAMES = 20
_BATCH = 16


class SpeakerEmbedder:
    """Embeds recordings as Resemblyzer does (Wan et al. 2018): mean over windows of 1.6 s, length 1.

    Args:
        model: A bundle whose card says `task: speaker`.
    """

    def __init__(self, model: ModelHandle) -> None:
        self._model = model
        self._state = model.new_state(1)
        self._batch_state = model.new_state(_BATCH)

    def embed(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed a recording, float32 [k] at 16 kHz → float32 [256] of length 1.

        Raises:
            VoiceError: There is less than `LEAST_S` of sound in it.
        """
        windows = self.embed_windows(samples)
        mean = windows.mean(axis=0)
        embedded: NDArray[np.float32] = mean / max(float(np.linalg.norm(mean)), 1e-9)
        return embedded

    def embed_windows(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Embed each window of 1.6 s by itself, float32 [windows, 256]; see `embed`."""
        speech = without_silence(samples)
        if len(speech) < LEAST_S * RATE_HZ:
            raise VoiceError(
                f"there is {len(speech) / RATE_HZ:.1f} s of sound, no voice can be told from less than {LEAST_S:.0f} s",
                "give a longer recording",
            )
        mels = speaker_mel(levelled(speech))
        if len(mels) < FRAMES:
            mels = np.pad(mels, ((0, FRAMES - len(mels)), (0, 0)))
        starts = [*range(0, len(mels) - FRAMES + 1, _STEP_FRAMES)]
        found = [
            self._model.run({"mel": mels[None, start : start + FRAMES]}, self._state, 1)["embedding"][0].copy()
            for start in starts
        ]
        return np.stack(found).astype(np.float32)

    def embed_stretches(self, stretches: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Embed short stretches by themselves, each with its silence, float32 [n, 256] of length 1.

        Args:
            stretches: float32 [k] at 16 kHz each; of more than 1.6 s the beginning is taken.
        """
        found = np.zeros((len(stretches), self._model.card.outputs["embedding"].shape[0]), np.float32)
        for first in range(0, len(stretches), _BATCH):
            mels = np.zeros((len(stretches[first : first + _BATCH]), FRAMES, MEL_COUNT), np.float32)
            for row, samples in zip(mels, stretches[first : first + _BATCH], strict=True):
                row[:] = window_mel(samples)
            said = self._model.run({"mel": mels}, self._batch_state, len(mels))["embedding"]
            found[first : first + len(mels)] = said
        norm = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
        return np.asarray(found / norm, np.float32)


def without_silence(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Leave out pauses of over .2 s: what is 30 dB and more below the loud frames."""
    x = np.asarray(samples, np.float32)
    count = len(x) // HOP_SAMPLES
    if not count:
        return x[:0]
    hops = x[: count * HOP_SAMPLES].reshape(count, HOP_SAMPLES).astype(np.float64)
    level = 10.0 * np.log10((hops**2).mean(axis=1) + 1e-12)
    is_loud = level > max(float(np.percentile(level, 95)) - _QUIET_DB, -70.0)
    width = _LONGEST_GAP_FRAMES // 2
    near = np.convolve(is_loud, np.ones(2 * width + 1), mode="full")[width : width + count] > 0
    return hops[near].astype(np.float32).reshape(-1)


def cosine(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Tell how alike two embeddings are, -1 to 1."""
    return float(np.dot(a, b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-9))
