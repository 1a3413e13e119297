"""MoodEmbedder: what a clip expresses, by a bundle for the task `emotion` that hears some seconds at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, ModelError, ModelHandle
from rtemo.dsp.whisper_mel import MEL_COUNT, as_whisper_hears, log_mel_power

_FRAME_SAMPLES = 320


class Mood(NamedTuple):
    """What a clip expresses.

    Attributes:
        probabilities: float64 [8] in the order of `EMOTIONS`.
        arousal: -1 to 1.
        valence: -1 to 1.
        vector: float32 [width] of length 1, what the network makes of it before it decides.
    """

    probabilities: NDArray[np.float64]
    arousal: float
    valence: float
    vector: NDArray[np.float32]


class MoodEmbedder:
    """Hears clips of at most some seconds.

    Args:
        model: The network of the plugin `listener`, or one of its form.

    Raises:
        ModelError: It takes or says something else.
    """

    def __init__(self, model: ModelHandle) -> None:
        card = model.card
        there = card.inputs.get("there")
        self._frames = there.shape[0] if there is not None and there.shape else 0
        if not self._frames or tuple(card.labels) != EMOTIONS or "logits" not in card.outputs:
            raise ModelError(f"{card.name!r} does not tell the eight emotions of a clip", "name another bundle")
        self._model = model
        self._state = model.new_state(1)
        self._loudest = float(card.front_end.get("loudest", 1.5))
        self._temperature = card.calibration.get("temperature", 1.0)

    def hear(self, samples: NDArray[np.float32]) -> Mood:
        """Hear a clip, float32 [k] at 16 kHz, its beginning where it is longer than the network's window."""
        frames = min(len(samples) // _FRAME_SAMPLES, self._frames)
        if frames < 5:
            raise ValueError(f"a clip of {len(samples)} samples is too short to express anything")
        mel = np.zeros((1, 2 * self._frames, MEL_COUNT), np.float32)
        mel[0, : 2 * frames] = as_whisper_hears(log_mel_power(samples[: frames * _FRAME_SAMPLES]), self._loudest)
        there = (np.arange(self._frames) < frames).astype(np.float32)[None]
        found = self._model.run({"mel": mel, "there": there}, self._state, 1)
        logits = np.asarray(found["logits"][0], np.float64) / self._temperature
        odds = np.exp(logits - logits.max())
        vector = np.asarray(found["words"][0] if "words" in found else found["logits"][0], np.float32)
        return Mood(
            odds / odds.sum(),
            float(found["arousal"][0]) if "arousal" in found else 0.0,
            float(found["valence"][0]) if "valence" in found else 0.0,
            vector / max(float(np.linalg.norm(vector)), 1e-9),
        )
