"""Windows: which stretches of every copy of a clip the network hears, as the engine cuts them.

`bench.quality.emotion.windows` plays the clips through the engine and writes what is read here. A degraded copy
is cut where the clean clip is, give or take a tenth of a second; it is made again from its number, so only positions
are kept.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo_models.systems.merit_large.data import WINDOW_SAMPLES, Sounds, degraded

CLEAN = "clean"
LARGE_CORPORA = ("nemo", "ased")
"""So large that a third of their clips is enough in a degraded copy."""


_JITTER_SAMPLES = 1600


class Window(NamedTuple):
    """What the network hears at one time: samples `begin` to `end` of a copy, in a turn from `turn` on."""

    begin: int
    end: int
    turn: int
    is_final: bool


class Item(NamedTuple):
    """A window to train on or to score: of which clip, and whether it is the last one of the clip."""

    clip: int
    begin: int
    end: int
    is_last: bool


def items_of(sounds: Sounds, copy: str, found: dict[str, list[Window]]) -> list[Item]:
    """Which windows of a copy are encoded, given those of the clean clips.

    Of a clean clip the windows that ended its last two turns, and one of those in between, so that beginnings are
    heard, too; of a degraded one a single window, the one or the other.
    """
    items = []
    for clip in rows_of(sounds, copy):
        heard = found.get(sounds.clips[clip].path, [])
        finals = [window for window in heard if window.is_final]
        others = [window for window in heard if not window.is_final]
        if copy == CLEAN:
            random = np.random.default_rng((7, clip))
            chosen = finals[-2:] if sounds.clips[clip].emotion else finals[-1:]
            if others and sounds.clips[clip].emotion:
                chosen = [others[random.integers(len(others))], *chosen]
        else:
            random = np.random.default_rng((8, int(copy), clip))
            pool = finals if finals and (not others or random.random() < 0.5) else others
            chosen = [moved(pool[random.integers(len(pool))], random)] if pool else []
        items += [Item(clip, w.begin, w.end, w.is_final and w is chosen[-1]) for w in chosen]
    return items


def moved(window: Window, random: np.random.Generator) -> Window:
    """A window cut a little earlier or later, at both ends, at least a quarter of a second long."""
    begin, end = (max(0, at + int(random.integers(-_JITTER_SAMPLES, _JITTER_SAMPLES + 1))) for at in window[:2])
    return window._replace(begin=max(begin, end - WINDOW_SAMPLES), end=max(end, begin + 4000))


def rows_of(sounds: Sounds, copy: str) -> list[int]:
    """Which clips a copy is of: the clean one of all, a degraded one of training clips with an emotion."""
    if copy == CLEAN:
        return list(range(len(sounds.clips)))
    number = int(copy)
    rows = [i for i in sounds.rows("train") if sounds.clips[i].emotion]
    return [i for i in rows if sounds.clips[i].corpus not in LARGE_CORPORA or i % 3 == number % 3]


def heard_copy(sounds: Sounds, copy: str, row: int) -> NDArray[np.float32]:
    """The samples of a copy of a clip; the same every time."""
    samples = sounds.audio.samples(row)
    if copy == CLEAN:
        return samples
    return degraded(samples, np.random.default_rng((int(copy), row)), sounds.noises["train"], sounds.rooms)


def stretch_of(item: Item, samples: NDArray[np.float32], clean_samples: int) -> NDArray[np.float32]:
    """What is heard of a copy, which may be faster or slower than the clean clip of so many samples."""
    speed = len(samples) / max(clean_samples, 1)
    begin = round(item.begin * speed)
    return samples[begin : min(round(item.end * speed), begin + WINDOW_SAMPLES)]


def file_of(work: Path, copy: str) -> Path:
    """Where the windows of a copy are written."""
    return work / f"windows-{copy}.json"


def write_windows(place: Path, found: dict[str, list[Window]]) -> None:
    """Write windows by the path of their clip."""
    place.parent.mkdir(parents=True, exist_ok=True)
    part = place.with_suffix(".part")
    part.write_text(json.dumps(found))
    part.replace(place)


def read_windows(place: Path) -> dict[str, list[Window]]:
    """Read what `write_windows` wrote."""
    return {path: [Window(*one) for one in of] for path, of in json.loads(place.read_text()).items()}
