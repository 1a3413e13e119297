"""The one place where seconds become samples and back, so that rounding is the same everywhere."""

import math


def seconds_to_samples(duration_s: float, sample_rate_hz: int) -> int:
    """Convert a duration to a whole number of samples, half up.

    >>> seconds_to_samples(0.02, 8_000)
    160
    """
    return math.floor(duration_s * sample_rate_hz + 0.5)


def samples_to_seconds(count_samples: int, sample_rate_hz: int) -> float:
    """Convert a sample position or count to seconds.

    >>> samples_to_seconds(160, 16_000)
    0.01
    """
    return count_samples / sample_rate_hz


def samples_to_ms(count_samples: int, sample_rate_hz: int) -> float:
    """Convert a sample position or count to milliseconds.

    >>> samples_to_ms(160, 16_000)
    10.0
    """
    return 1000.0 * count_samples / sample_rate_hz


def seconds_to_hops(duration_s: float, sample_rate_hz: int, hop_samples: int) -> int:
    """Convert a duration to the smallest number of whole hops that covers it.

    >>> seconds_to_hops(0.025, 16_000, 160)
    3
    """
    return -(-seconds_to_samples(duration_s, sample_rate_hz) // hop_samples)
