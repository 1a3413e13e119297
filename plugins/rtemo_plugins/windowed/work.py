"""Work: a batch of windows through the model, on the lane's own thread."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import CIRCUMPLEX, EMOTIONS, LaneContext, Window
from rtemo.api.lane import STRIDE
from rtemo.api.units import seconds_to_samples
from rtemo_plugins.windowed.facts import LENGTH, MASK, Facts
from rtemo_plugins.windowed.features import Features
from rtemo_plugins.windowed.spans import Spans

AROUSAL, VALENCE = len(EMOTIONS), len(EMOTIONS) + 1
_PAD_S = 0.2
"""How far before the first hop that is speech a window begins at most: an onset is heard late."""
_PLACES = np.array([CIRCUMPLEX[emotion] for emotion in EMOTIONS])


class Reading(NamedTuple):
    """What the model says of a window."""

    values: NDArray[np.float64]
    """float64 [10]: probabilities of the eight emotions, NaN where the model has no labels; arousal, valence."""
    start_sample: int
    """First sample that it has heard."""
    onset_sample: int
    """Where the stretch of speech begins that the window is about."""


class Work:
    """Runs the model; see `rtemo.api.lane.LaneWork`.

    Args:
        context: Lends the model.
        name: Of its bundle.
        facts: Of its card.
        spans: Tells since when a stream speaks.
        least_s: Least speech.
        max_batch: Windows at once at most.
    """

    def __init__(
        self, context: LaneContext, name: str, facts: Facts, spans: Spans, least_s: float, max_batch: int
    ) -> None:
        rate_hz = context.format.sample_rate_hz
        self._facts = facts
        self._spans = spans
        self._features = Features(facts)
        self._least_samples = seconds_to_samples(least_s, rate_hz)
        self._pad_samples = seconds_to_samples(_PAD_S, rate_hz)
        self._model = context.model(name)
        self._state = self._model.new_state(max_batch)
        self._run([np.zeros(seconds_to_samples(facts.window_s, rate_hz), np.float32)])  # so that none is a first one

    def __call__(self, windows: Sequence[Window]) -> list[Reading | None]:
        """Give one reading for each window, None where it holds too little speech."""
        readings: list[Reading | None] = [None] * len(windows)
        heard, places = [], []
        for index, window in enumerate(windows):
            start, onset = self._about(window)
            if start is None or window.end_sample - start < self._least_samples:
                continue
            heard.append(window.samples[start - window.start_sample :])
            places.append((index, start, onset))
        if heard:
            for (index, start, onset), values in zip(places, self._run(heard), strict=True):
                if np.isfinite(values[AROUSAL:]).all() and not np.isinf(values).any():
                    readings[index] = Reading(values, start, onset)
        return readings

    def _about(self, window: Window) -> tuple[int | None, int]:
        """Where the speech of a window begins, if there is any that is not told of elsewhere."""
        span = self._spans.at(window.stream, window.end_sample)
        if window.trigger != STRIDE:
            return window.start_sample, window.start_sample if span is None else span.start_sample
        if span is None or span.is_over:  # of what is over, the window that its end cuts tells
            return None, 0
        return max(window.start_sample, span.start_sample - self._pad_samples), span.start_sample

    def _run(self, heard: Sequence[NDArray[np.float32]]) -> NDArray[np.float64]:
        """Give float64 [k, 10] of k windows of audio."""
        card, count = self._facts.card, len(heard)
        given: dict[str, NDArray[Any]] = {
            name: np.zeros((count, *spec.shape), spec.dtype) for name, spec in card.inputs.items()
        }
        for index, samples in enumerate(heard):
            length = self._features.fill(samples, given[self._facts.source][index])
            if LENGTH in given:
                given[LENGTH][index] = length
            if MASK in given:
                given[MASK][index, :length] = 1
        return self._values(self._model.run(given, self._state, count), count)

    def _values(self, outputs: dict[str, NDArray[Any]], count: int) -> NDArray[np.float64]:
        values = np.full((count, len(EMOTIONS) + 2), np.nan)
        facts, calibration = self._facts, self._facts.card.calibration
        if facts.scores:
            scores = outputs[facts.scores].astype(np.float64)
            if facts.scores == "logits":
                scores = scores / calibration.get("temperature", 1.0)
                scores = np.exp(scores - scores.max(1, keepdims=True))
            shares = scores @ facts.to_emotions
            with np.errstate(invalid="ignore", divide="ignore"):
                values[:, :AROUSAL] = shares / shares.sum(1, keepdims=True)
            values[:, [VALENCE, AROUSAL]] = values[:, :AROUSAL] @ _PLACES
        for column, name in ((AROUSAL, "arousal"), (VALENCE, "valence")):
            found = self._dimension(outputs, name)
            if found is not None:
                scaled = found * calibration.get(f"{name}_scale", 1.0) + calibration.get(f"{name}_offset", 0.0)
                values[:, column] = np.clip(scaled, -1.0, 1.0)
        return values

    def _dimension(self, outputs: dict[str, NDArray[Any]], name: str) -> NDArray[np.float64] | None:
        if name in outputs:
            return outputs[name].reshape(-1).astype(np.float64)
        dimensions = self._facts.card.dimensions
        if "vector" in outputs and name in dimensions:
            return np.asarray(outputs["vector"][:, dimensions.index(name)], np.float64)
        return None
