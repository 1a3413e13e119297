"""Pitch of clips, by DIO and StoneMask of WORLD (Morise et al. 2016)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api.errors import RtemoError
from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ

LOWEST_HZ, HIGHEST_HZ = 65.0, 600.0


def load_pyworld() -> Any:
    """The package pyworld.

    Raises:
        RtemoError: It is not installed.
    """
    try:
        import pyworld
    except ImportError as error:
        raise RtemoError(
            "pyworld is not installed",
            "pip install pyworld, or leave world, source-filter and converter out of the recipe",
        ) from error
    return pyworld


def pitch_of(samples: NDArray[np.float32], period_ms: float = 5.0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pitch of a clip at 16 kHz every so often in Hz, 0 where there is none, and the time of each in s.

    Raises:
        RtemoError: pyworld is not installed.
    """
    pyworld, wave = load_pyworld(), samples.astype(np.float64)
    coarse_hz, time_s = pyworld.dio(wave, SAMPLE_RATE_HZ, LOWEST_HZ, HIGHEST_HZ, frame_period=period_ms)
    return np.asarray(pyworld.stonemask(wave, coarse_hz, time_s, SAMPLE_RATE_HZ)), time_s
