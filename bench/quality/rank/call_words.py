"""What vad and merit make of whole calls, hop by hop as live: words, voice, and the posterior over the emotions."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.lending import Lending
from bench.quality.rank.mood_calls import MoodCall
from rtemo.api import EMOTIONS, Block, HopFlag
from rtemo.engine import registry

HOP = 160
STEP_S = 0.04
_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class CallWords:
    """What was heard of one call, at the hops at which words were fresh.

    Attributes:
        end_s: float64 [steps], time of the end of the hop.
        words: float32 [steps, 192].
        voiced: float32 [steps].
        posterior: float32 [steps, 8], NaN before the first finding.
    """

    end_s: NDArray[np.float64]
    words: NDArray[np.float32]
    voiced: NDArray[np.float32]
    posterior: NDArray[np.float32]


def hear(calls: Sequence[MoodCall], cache: Path) -> list[CallWords]:
    """Hear all calls, or read what was heard from `cache`."""
    heard: list[CallWords | None] = [None] * len(calls)
    order = sorted(range(len(calls)), key=lambda k: len(calls[k].samples))
    for begin in range(0, len(order), _AT_ONCE):
        group = order[begin : begin + _AT_ONCE]
        stored = cache.with_name(f"{cache.name}-{begin}.npz")
        if not stored.exists():
            stored.parent.mkdir(parents=True, exist_ok=True)
            part = stored.with_suffix(".part.npz")
            np.savez(part, **_hear([calls[k].samples for k in group]))
            part.rename(stored)
        found = np.load(stored)
        for column, k in enumerate(group):
            until = np.searchsorted(found["end_s"], calls[k].duration_s)
            heard[k] = CallWords(
                found["end_s"][:until],
                found["words"][:until, column].astype(np.float32),
                found["voiced"][:until, column],
                found["posterior"][:until, column],
            )
    return [one for one in heard if one is not None]


def _hear(sounds: list[NDArray[np.float32]]) -> dict[str, NDArray[Any]]:
    n = len(sounds)
    plugins: list[Any] = [registry.make("vad"), registry.make("merit", {"enhance": False})]
    context = Lending()
    processors = [plugin.open(context, n) for plugin in plugins]
    for processor in processors:
        for row in range(n):
            processor.admit(row)
    hops = -(-max(map(len, sounds)) // HOP)
    audio = np.zeros((n, hops * HOP), np.float32)
    for row, sound in enumerate(sounds):
        audio[row, : len(sound)] = sound
    marks: dict[str, Any] = {
        mark.name: np.full((n, *mark.shape), mark.unknown, mark.dtype)
        for plugin in plugins
        for mark in plugin.spec.provides
    }
    start, flags = np.zeros(n, np.int64), np.full(n, HopFlag.NONE, np.uint8)
    end_s, words, voiced, posterior = [], [], [], []
    for k in range(hops):
        block = Block(k, audio[:, k * HOP : (k + 1) * HOP].copy(), np.arange(n), start, flags, marks)
        for processor in processors:
            processor.process(block, lambda *event: None)
        start += HOP
        if marks["merit.is_fresh"][0]:  # all streams began together
            end_s.append((k + 1) * 0.01)
            words.append(marks["merit.words"].astype(np.float16))
            voiced.append(marks["merit.voiced"].copy())
            posterior.append(marks["emotion.posterior"].copy())
    assert posterior[0].shape == (n, len(EMOTIONS))
    return {
        "end_s": np.array(end_s),
        "words": np.stack(words),
        "voiced": np.stack(voiced),
        "posterior": np.stack(posterior),
    }
