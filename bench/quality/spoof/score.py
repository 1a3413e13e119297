"""Scoring: clips through a detector, in every band and after every stretch of speech, as rows of trials."""

import importlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from bench.quality.spoof.clips import RATE_HZ, Clip, in_band, read_audio
from bench.quality.spoof.heard import Heard
from bench.quality.spoof.product import CHAINS, Product
from bench.quality.spoof.trials import BANDS, SECONDS
from rtemo.api import RtemoError

Sound = NDArray[np.float32]
STEP_S = 0.04
"""Time between two scores of a function that does not tell when it gives them."""


class Detector(Protocol):
    """Anything that can hear clips."""

    def hear(self, clips: Iterable[tuple[str, Sound]]) -> dict[str, Heard]:
        """Hear clips under names of their own."""


class FunctionDetector:
    """A function `samples -> scores`, or `samples -> (scores, speech_s)`, as a detector.

    Args:
        function: Takes float32 [k] at 16 kHz. Scores alone are taken as one per 40 ms, and speech is then counted by
            WebRTC's detector. A single number stands for the end of the clip.
    """

    def __init__(self, function: Callable[[Sound], Any]) -> None:
        self._function = function

    def hear(self, clips: Iterable[tuple[str, Sound]]) -> dict[str, Heard]:
        """Hear clips one after the other."""
        return {name: self._hear(samples) for name, samples in clips}

    def _hear(self, samples: Sound) -> Heard:
        said = self._function(samples)
        duration_s = len(samples) / RATE_HZ
        if isinstance(said, tuple):
            score, speech_s = (np.asarray(x, np.float64).ravel() for x in said)
        else:
            score = np.asarray(said, np.float64).ravel()
            speech_s = np.array([duration_s]) if len(score) == 1 else _speech_s(samples, len(score))
        if len(score) != len(speech_s):
            raise RtemoError(f"the function gave {len(score)} scores and {len(speech_s)} times", "give as many of both")
        spoken_s = float(speech_s[-1]) if len(speech_s) else 0.0
        return Heard(speech_s, score, total_speech_s=spoken_s, duration_s=duration_s)


def open_detector(
    name: str,
    config: Path | None = None,
    parallel: int = 16,
    plugin_options: Mapping[str, object] | None = None,
) -> Detector:
    """Open a detector.

    Args:
        name: `gem`, `listener`, `default` (both), or `module:function`.
        config: Configuration of the plugin.
        parallel: Clips in the engine at once.
        plugin_options: Options of the plugin that are set whatever the configuration says; see `Product`.

    Raises:
        RtemoError: There is no such detector.
    """
    if name in CHAINS:
        return Product(config, parallel, plugin_options, name)
    module, colon, attribute = name.partition(":")
    if not colon:
        raise RtemoError(f"there is no detector {name!r}", f"give {', '.join(CHAINS)}, or module:function")
    try:
        return FunctionDetector(getattr(importlib.import_module(module), attribute))
    except (ImportError, AttributeError) as error:
        raise RtemoError(
            f"{name} cannot be imported ({error})", "give module:function, with the module on the path"
        ) from None


def score_clips(
    detector: Detector, clips: list[Clip], arm: str, bands: Iterable[str] = BANDS
) -> tuple[list[dict[str, object]], dict[str, Any]]:
    """Score clips.

    Returns:
        Rows for `write_trials`; and per band how many clips were never scored, what was heard, and how long it took.
    """
    rows: list[dict[str, object]] = []
    cost: dict[str, Any] = {}
    for band in bands:
        names = {f"{k}": clip for k, clip in enumerate(clips)}
        start_s = time.monotonic()
        heard = detector.hear(_sounds(names, band))
        taken_s = time.monotonic() - start_s
        silent = [name for name, found in heard.items() if found.at("end") is None]
        for name, found in heard.items():
            for seconds in SECONDS:
                score = found.at(seconds)
                if score is not None:
                    rows.append(names[name].row() | {"band": band, "seconds": seconds, "score": score, "arm": arm})
        audio_s = sum(found.duration_s for found in heard.values())
        cost[band] = {"clips": len(clips), "never_scored": len(silent), "audio_s": audio_s, "taken_s": taken_s}
        if isinstance(detector, Product):
            cost[band] |= {"plugin_us_per_stream_and_hop": detector.busy_us, "streams": detector.parallel}
    return rows, cost


def _sounds(names: dict[str, Clip], band: str) -> Iterator[tuple[str, Sound]]:
    for name, clip in names.items():
        yield name, in_band(read_audio(clip.path), band)


def _speech_s(samples: Sound, steps: int) -> NDArray[np.float64]:
    """Speech up to each 40 ms step, by WebRTC's detector."""
    from bench.quality.emotion.conditions import speech_weights

    hops = round(STEP_S * 100)
    weight = np.zeros(steps * hops)
    found = speech_weights(samples, len(samples) // 160)
    weight[: len(found)] = found[: len(weight)]
    return np.cumsum(weight.reshape(steps, hops).sum(1)) * 0.01
