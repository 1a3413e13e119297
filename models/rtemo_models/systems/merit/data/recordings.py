"""Recordings of noise by kind, drawn so that the kinds of which there are few are heard as well."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.audio.cache import AudioCache

_HOP_SAMPLES = 160


class Recordings:
    """Draws pieces of any length.

    Args:
        audio: All recordings.
        kinds: Kind → rows of the recordings of that kind that may be used.
        shares: Kind → how often it is drawn; 1 where a kind is not named.
        joined_share: How often several recordings of a kind are joined without their silences, instead of one that is
            repeated as it is: short recordings are mostly filled up with silence, real noise goes on.
    """

    def __init__(
        self,
        audio: AudioCache,
        kinds: Mapping[str, Sequence[int]],
        shares: Mapping[str, float],
        joined_share: float = 0.7,
    ) -> None:
        self._audio, self._joined_share = audio, joined_share
        self._rows = [np.asarray(rows) for rows in kinds.values()]
        wanted = np.array([shares.get(kind, 1.0) for kind in kinds])
        self._shares = wanted / wanted.sum()

    def draw(self, count: int, random: np.random.Generator) -> NDArray[np.float32]:
        """Draw a piece, float32 [count]."""
        rows = self._rows[random.choice(len(self._rows), p=self._shares)]
        if random.random() >= self._joined_share:
            noise = self._audio.samples(int(random.choice(rows)))
            return np.resize(np.roll(noise, -int(random.integers(len(noise)))), count)
        parts, size, skipped = [], 0, int(random.integers(2 * _HOP_SAMPLES, 64_000))
        while size < count + skipped:
            part = without_silence(self._audio.samples(int(random.choice(rows))))
            parts.append(part)
            size += len(part)
        return np.concatenate(parts)[skipped : skipped + count]


def without_silence(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Leave out the hops more than 60 dB below the loudest one."""
    hops = samples[: len(samples) // _HOP_SAMPLES * _HOP_SAMPLES].reshape(-1, _HOP_SAMPLES)
    power = np.mean(np.square(hops, dtype=np.float64), axis=1)
    loud = power > 1e-6 * power.max(initial=0.0)
    return hops[loud].reshape(-1) if loud.any() else samples
