"""Frames of several channels: one caller is heard in them, whatever a transport sends."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError


def mixed(audio: bytes | memoryview, count_channels: int) -> NDArray[np.int16]:
    """Give the mean of all channels of a frame, int16 [k].

    >>> mixed(np.int16([100, 300, -5, -5]).tobytes(), 2).tolist()
    [200, -5]

    Args:
        audio: 16-bit samples, interleaved.
        count_channels: Channels of the frame.

    Raises:
        AudioInputError: It does not hold whole samples of so many channels.
    """
    if count_channels < 1 or len(audio) % (2 * count_channels):
        raise AudioInputError(
            f"a frame of {len(audio)} bytes does not hold 16-bit samples of {count_channels} channels",
            "have the transport send 16-bit PCM, and the number of its channels with it",
        )
    pcm = np.frombuffer(audio, np.dtype("<i2"))
    if count_channels == 1:
        return pcm
    mean: NDArray[np.int16] = np.rint(pcm.reshape(-1, count_channels).mean(axis=1)).astype(np.int16)
    return mean


def spread(pcm: NDArray[np.int16], count_channels: int) -> bytes:
    """Write the same on every channel of a frame.

    >>> np.frombuffer(spread(np.int16([1, 2]), 2), np.int16).tolist()
    [1, 1, 2, 2]

    Args:
        pcm: int16 [k].
        count_channels: Channels of the frame.
    """
    return np.repeat(pcm, count_channels).tobytes()
