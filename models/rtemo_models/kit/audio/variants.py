"""Versions of a clip: rooms, telephones, clipping and playback speed, all that needs the waveform."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio import rooms
from rtemo_models.kit.audio.resample import respeed


@dataclass(frozen=True, slots=True)
class Variant:
    """How one version of every clip is made: playback speed, share of clips in a room, on a telephone, clipped."""

    name: str
    speed: str = "normal"
    room: float = 0.0
    telephone: float = 0.0
    clipping: float = 0.0


VARIANTS = (
    Variant("dry"),
    Variant("dry-slow", speed="slow"),
    Variant("dry-fast", speed="fast"),
    Variant("room", room=1.0),
    Variant("line", room=0.4, telephone=0.8, clipping=0.3),
    Variant("room-slow", speed="slow", room=1.0, clipping=0.2),
    Variant("line-fast", speed="fast", room=0.4, telephone=0.7, clipping=0.3),
    Variant("room-fast", speed="fast", room=1.0, telephone=0.1),
)


def distort(
    samples: NDArray[np.float32],
    variant: Variant,
    responses: list[NDArray[np.float32]],
    random: np.random.Generator,
) -> NDArray[np.float32]:
    """Make one version of a clip; levelled to -26 dBFS first where a telephone or clipping depends on level."""
    samples = respeed(samples, variant.speed)
    if random.random() < variant.room:
        known = responses and random.random() < 0.5
        response = responses[random.integers(len(responses))] if known else rooms.synthetic_room(random)
        samples = rooms.reverberate(samples, response)
    if random.random() < variant.clipping:
        samples = rooms.clip_peaks(samples, random.uniform(0.05, 0.6))
    if random.random() < variant.telephone:
        rms = float(np.sqrt(np.mean(samples**2)) + 1e-9)
        levelled = np.clip(samples * (10 ** (random.uniform(-34, -18) / 20) / rms), -1, 1).astype(np.float32)
        samples = rooms.telephone(levelled, random.uniform(150, 350), random.uniform(3000, 3800), random.random() < 0.7)
    return samples
