"""Impulse responses of rectangular rooms by the image-source method (Allen and Berkley 1979, J. Acoust. Soc. Am. 65).

A wall is a mirror: every reflection is the straight sound of a mirrored source, weaker by the walls it met. Images
stand at fractional delays (Peterson 1986). Far images are moved by a few centimetres at random, because the perfect
lattice of a perfect box sweeps audibly, as no real room does (De Sena et al. 2015, IEEE/ACM TASLP 23).
"""

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rtemo.dsp.kernel import cached
from rtemo_models.kit.audio.cache import SAMPLE_RATE_HZ

SPEED_OF_SOUND_M_S = 343.0
SINC_SAMPLES = 32
"""Half the length of the windowed sinc that places an image."""
EXACT_S = 0.05
"""Images later than this after the direct sound are placed by two taps: they are dense, their exact shape is lost."""
LONGEST_S = 1.0


def reflections(size_m: tuple[float, float, float], rt60_s: float) -> float:
    """Amplitude that a wall reflects, for a room of one material with reverberation time `rt60_s` (Eyring 1930)."""
    x, y, z = size_m
    surface, volume = 2 * (x * y + y * z + x * z), x * y * z
    return math.sqrt(math.exp(-24 * math.log(10) / SPEED_OF_SOUND_M_S * volume / (surface * rt60_s)))


def image_sources(
    size_m: tuple[float, float, float],
    source_m: tuple[float, float, float],
    receiver_m: tuple[float, float, float],
    walls: tuple[float, float, float, float, float, float],
    duration_s: float,
    jitter_m: float = 0.0,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Impulse response of a box from the arrival of the direct sound, which is 1 at sample 0.

    Args:
        size_m: Length, width and height.
        source_m: Place of the source inside the box.
        receiver_m: Place of the receiver inside the box.
        walls: Amplitude that each wall reflects, in [0, 1): x=0, x=length, y=0, y=width, floor, ceiling.
        duration_s: Length of the response.
        jitter_m: How far, at most and per axis, images beyond the first reflections are moved.
        seed: Seed of these moves.

    Returns:
        float32 [samples] at 16 kHz.

    Raises:
        ValueError: If the source or the receiver is not inside the box.
    """
    for place in (source_m, receiver_m):
        if not all(0 < p < s for p, s in zip(place, size_m, strict=True)):
            raise ValueError(f"{place} is not inside a room of {size_m} m")
    count = math.ceil(duration_s * SAMPLE_RATE_HZ)
    response = np.zeros(count + SINC_SAMPLES, np.float64)
    reach_m = math.dist(source_m, receiver_m) + count * SPEED_OF_SOUND_M_S / SAMPLE_RATE_HZ
    boxes = np.array([math.ceil(reach_m / (2 * s)) + 1 for s in size_m])
    places = np.array([size_m, source_m, receiver_m], np.float64)
    _fill(response, places, np.array(walls, np.float64), boxes, reach_m, jitter_m, seed)
    return response[:count].astype(np.float32)


@cached
@njit
def _fill(response, places, walls, boxes, reach_m, jitter_m, seed):  # type: ignore[no-untyped-def]
    """Add every image that arrives within the response; the order of an axis is how many of its walls it met."""
    np.random.seed(seed)  # noqa: NPY002 - inside Numba this is a generator of its own
    rate = SAMPLE_RATE_HZ / SPEED_OF_SOUND_M_S
    exact = EXACT_S * SAMPLE_RATE_HZ
    direct_m = math.sqrt(
        (places[1, 0] - places[2, 0]) ** 2 + (places[1, 1] - places[2, 1]) ** 2 + (places[1, 2] - places[2, 2]) ** 2
    )
    for ix in range(-2 * boxes[0], 2 * boxes[0] + 2):
        dx, ax = _image(places, walls, 0, ix)
        for iy in range(-2 * boxes[1], 2 * boxes[1] + 2):
            dy, ay = _image(places, walls, 1, iy)
            if dx * dx + dy * dy > reach_m * reach_m:
                continue
            for iz in range(-2 * boxes[2], 2 * boxes[2] + 2):
                dz, az = _image(places, walls, 2, iz)
                x, y, z = dx, dy, dz
                if jitter_m > 0 and abs(ix) + abs(iy) + abs(iz) > 1:
                    x += np.random.uniform(-jitter_m, jitter_m)  # noqa: NPY002
                    y += np.random.uniform(-jitter_m, jitter_m)  # noqa: NPY002
                    z += np.random.uniform(-jitter_m, jitter_m)  # noqa: NPY002
                far_m = math.sqrt(x * x + y * y + z * z)
                amplitude = ax * ay * az * direct_m / far_m
                if far_m > reach_m or amplitude == 0.0:
                    continue
                at = max(far_m - direct_m, 0.0) * rate
                whole = math.floor(at)
                part = at - whole
                if at > exact:
                    response[whole] += (1 - part) * amplitude
                    response[whole + 1] += part * amplitude
                elif part < 1e-9:
                    response[whole] += amplitude
                else:
                    for k in range(max(0, whole - SINC_SAMPLES + 1), min(len(response), whole + SINC_SAMPLES + 1)):
                        t = math.pi * (k - at)
                        response[k] += amplitude * (0.5 + 0.5 * math.cos(t / SINC_SAMPLES)) * math.sin(t) / t


@cached
@njit
def _image(places, walls, axis, order):  # type: ignore[no-untyped-def]
    """Distance along one axis, and amplitude, of the image that met `order` walls; below 0 the low wall was first."""
    size_m, source_m, receiver_m = places[0, axis], places[1, axis], places[2, axis]
    met = abs(order)
    first, second = (met + 1) // 2, met // 2
    low, high = (first, second) if order < 0 else (second, first)
    # Even orders repeat the source every two boxes; odd ones mirror it at the wall that they met first and last.
    mirrored = order * size_m + source_m if met % 2 == 0 else (order + 1) * size_m - source_m
    return mirrored - receiver_m, walls[2 * axis] ** low * walls[2 * axis + 1] ** high


def random_shoebox(random: np.random.Generator) -> NDArray[np.float32]:
    """The response of a room drawn at random, direct sound at sample 0, its energy 1.

    Boxes of 2-10 m by 2-8 m by 2.2-4 m, walls that each reflect differently around a reverberation time of 0.15-0.8 s,
    source and receiver at least 0.3 m from every wall and from each other.
    """
    size_m = (random.uniform(2, 10), random.uniform(2, 8), random.uniform(2.2, 4))
    rt60_s = random.uniform(0.15, 0.8)
    mean = reflections(size_m, rt60_s)
    walls = tuple(float(np.clip(mean ** random.uniform(0.5, 1.5), 0.0, 0.97)) for _ in range(6))

    def place() -> tuple[float, float, float]:
        x, y, z = (float(random.uniform(0.3, s - 0.3)) for s in size_m)
        return x, y, min(z, 2.0)

    source_m, receiver_m = place(), place()
    while math.dist(source_m, receiver_m) < 0.3:
        receiver_m = place()
    seed = int(random.integers(1 << 31))
    duration_s = min(LONGEST_S, rt60_s)
    response = image_sources(size_m, source_m, receiver_m, walls, duration_s, 0.08, seed)  # type: ignore[arg-type]
    return without_rumble(response)


def without_rumble(response: NDArray[np.float32]) -> NDArray[np.float32]:
    """High-pass at 60 Hz and scale to energy 1: images that are all positive pile up a rumble no room has."""
    from scipy.signal import butter, sosfilt

    high = sosfilt(butter(2, 60, "highpass", fs=SAMPLE_RATE_HZ, output="sos"), response)
    return (high / np.sqrt(np.sum(high**2))).astype(np.float32)
