"""Courses: what the windows of a stretch of speech say together."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, Emotion, Finding
from rtemo.api.emotions import committed
from rtemo.api.lane import STRIDE
from rtemo_plugins.windowed.work import AROUSAL, VALENCE, Reading


class Course:
    """One stretch of speech of one stream.

    A window that has heard all of it speaks for all of it. A longer stretch is the mean of its windows, each weighted
    by what it heard first.
    """

    def __init__(self, onset_sample: int, start_sample: int) -> None:
        self.onset_sample = onset_sample
        self.start_sample = start_sample
        self.end_sample = start_sample
        self.count = 0
        self._weight = 0.0
        self._sum: NDArray[np.float64] = np.zeros(len(EMOTIONS) + 2)

    @property
    def values(self) -> NDArray[np.float64]:
        """float64 [10], as those of a reading."""
        return self._sum / self._weight

    def add(self, reading: Reading, end_sample: int, is_whole: bool) -> None:
        """Take a window into account; `is_whole` for one that holds the stretch from its start."""
        self.count += 1
        if is_whole or reading.start_sample <= self.start_sample:
            self.start_sample = reading.start_sample
            self._sum[:] = 0.0
            self._weight, fresh = 0.0, end_sample - reading.start_sample
        else:
            fresh = end_sample - max(self.end_sample, reading.start_sample)
        fresh = max(fresh, 1)  # the last window ends before those that were cut in the pause behind it
        self._weight += fresh
        self._sum += fresh * reading.values
        self.end_sample = end_sample


class Courses:
    """Makes events of findings, in whatever order they come in.

    Args:
        rate_hz: Of the audio.
        window_samples: Length of a window at most.
        unsure_below: Confidence below which the label is `unsure`.
        capacity: Most streams.
    """

    def __init__(self, rate_hz: int, window_samples: int, unsure_below: float, capacity: int) -> None:
        self._rate_hz = rate_hz
        self._window_samples = window_samples
        self._unsure_below = unsure_below
        self._most = 2 * capacity + 1
        self._open: dict[int, Course] = {}

    def take(self, finding: Finding) -> tuple[Course, Emotion]:
        """Take a finding and tell what is now known of the stretch that it is about."""
        reading: Reading = finding.result
        course = self._open.get(finding.stream.id)
        if course is None or course.onset_sample != reading.onset_sample:
            course = self._open[finding.stream.id] = Course(reading.onset_sample, reading.start_sample)
            while len(self._open) > self._most:  # of streams that left in the middle
                del self._open[next(iter(self._open))]
        is_final = finding.trigger != STRIDE
        is_whole = is_final and finding.end_sample - finding.start_sample < self._window_samples
        course.add(reading, finding.end_sample, is_whole)
        if is_final:
            del self._open[finding.stream.id]
        trigger = "turn_end" if is_final else "first" if course.count == 1 else "refresh"
        return course, self._describe(course, trigger, is_final)

    def _describe(self, course: Course, trigger: str, is_final: bool) -> Emotion:
        values = course.values.tolist()
        has_labels = values[0] == values[0]  # a model without labels leaves NaN
        probabilities = dict(zip(EMOTIONS, values, strict=False)) if has_labels else {}
        label, confidence = committed(probabilities) if probabilities else ("unsure", 0.0)
        return Emotion(
            label=label if confidence >= self._unsure_below else "unsure",
            probabilities={name: round(value, 4) for name, value in probabilities.items()},
            arousal=round(values[AROUSAL], 4),
            valence=round(values[VALENCE], 4),
            confidence=round(confidence, 4),
            speech_s=round((course.end_sample - course.start_sample) / self._rate_hz, 3),
            trigger=trigger,
            is_final=is_final,
        )
