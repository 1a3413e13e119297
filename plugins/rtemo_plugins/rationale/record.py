"""Record: the cues of one turn, measured, held against what is usual, and where in the turn each shows most."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from rtemo.api import Cue, Prosody
from rtemo.cues.baseline import LEVEL, PAUSES, PITCH, RANGE, RATE, TILT, UNITS, Baseline

_FULL_TURN_S = 2.0  # what a turn of this length says of its speaker counts whole

Span = tuple[int, int]


class Second(NamedTuple):
    """A `prosody` event: about one second of speech."""

    prosody: Prosody
    start_sample: int
    end_sample: int


class Record(NamedTuple):
    """What was measured of one turn."""

    start_sample: int
    end_sample: int
    speech_s: float
    values: Mapping[str, float]
    """Cue → value, without those that could not be measured."""
    extremes: Mapping[str, tuple[Span, Span]]
    """Cue → where it is highest, and where lowest."""

    def cues(self, baseline: Baseline) -> tuple[Cue, ...]:
        """Hold every value against what is usual for this voice."""
        found = []
        for name, value in self.values.items():
            deviation = baseline.compare(name, value)
            start, end = self.extremes[name][deviation.z < 0]
            found.append(
                Cue(
                    name=name,
                    value=round(value, 3),
                    unit=UNITS[name],
                    z=round(deviation.z, 2),
                    change=round(deviation.change, 3),
                    reference=deviation.reference,
                    start_sample=start,
                    end_sample=end,
                )
            )
        return tuple(found)

    def remember(self, baseline: Baseline) -> None:
        """Let the turn be part of what is usual from now on."""
        baseline.add(self.values, min(1.0, self.speech_s / _FULL_TURN_S))


def measure(report: np.void, seconds: Iterable[Second], hop_s: float) -> Record:
    """Make the record of a turn.

    Args:
        report: What was counted of it, a `REPORT`.
        seconds: What prosody said of late.
        hop_s: Duration of a hop.
    """
    start, end = int(report["start"]), int(report["end"])
    whole = start, end
    inside = [second for second in seconds if second.start_sample < end and second.end_sample > start]
    values: dict[str, float] = {}
    extremes: dict[str, tuple[Span, Span]] = {}
    for name, field, of_second in (
        (PITCH, "pitch_hz", lambda p: p.pitch_hz),
        (RANGE, "range_semitones", lambda p: p.pitch_range_semitones),
    ):
        if not math.isnan(report[field]):
            values[name] = float(report[field])
            extremes[name] = _extremes(inside, of_second, whole)
    if not math.isnan(report["level_dbfs"]):
        values[LEVEL] = float(report["level_dbfs"])
        extremes[LEVEL] = _span(report, "loud", whole), _span(report, "soft", whole)
    for name, of_second in ((RATE, lambda p: p.rate_per_s), (TILT, lambda p: p.tilt_db_per_octave)):
        if inside:
            speech_s = sum(second.prosody.speech_s for second in inside)
            values[name] = sum(of_second(s.prosody) * s.prosody.speech_s for s in inside) / speech_s
            extremes[name] = _extremes(inside, of_second, whole)
    values[PAUSES] = float(report["pause_ratio"])
    extremes[PAUSES] = _span(report, "pause", whole), whole
    ordered = {name: values[name] for name in UNITS if name in values}
    return Record(start, end, float(report["speech_hops"] * hop_s), ordered, extremes)


def _span(report: np.void, name: str, whole: Span) -> Span:
    start, end = int(report[f"{name}_start"]), int(report[f"{name}_end"])
    return (start, end) if end > start else whole


def _extremes(seconds: Sequence[Second], value_of: object, whole: Span) -> tuple[Span, Span]:
    """Where something is highest, and where lowest."""
    told = [(value_of(s.prosody), s.start_sample, s.end_sample) for s in seconds]  # type: ignore[operator]
    told = [one for one in told if one[0] is not None]
    if not told:
        return whole, whole
    return max(told)[1:], min(told)[1:]
