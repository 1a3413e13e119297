"""Baseline: what is usual for the voice of one stream, cue by cue, from its turns so far."""

import math
from collections.abc import Mapping
from typing import NamedTuple

PITCH, RANGE, LEVEL, RATE, PAUSES, TILT = "pitch", "range", "level", "rate", "pauses", "tilt"

UNITS = {
    PITCH: "hz",
    RANGE: "semitones",
    LEVEL: "dbfs",
    RATE: "per_s",
    PAUSES: "ratio",
    TILT: "db_per_octave",
}
"""Cue → unit of its value, in the order in which cues are told."""


class Prior(NamedTuple):
    """What is known of a cue before anything was heard; pitch in semitones above 100 Hz, the others in their units."""

    mean: float
    between: float
    """Standard deviation of speakers' means; infinite where they tell nothing, as of levels."""
    within: float
    """Standard deviation of a speaker's turns."""


PRIORS: Mapping[str, Prior] = {
    PITCH: Prior(13.5, 5.6, 4.3),
    RANGE: Prior(8.3, 2.5, 4.3),
    LEVEL: Prior(0.0, math.inf, 5.1),
    RATE: Prior(4.4, 0.9, 0.9),
    PAUSES: Prior(0.04, 0.02, 0.085),
    TILT: Prior(-8.4, 2.5, 1.9),
}
"""Of 1,907 turns of 88 training speakers of seven emotion corpora (`python -m bench.quality.rationale.priors`); pauses,
of which acted sentences have hardly any, of 113 turns of three parties of two calls."""

_MOST_TURNS = 40.0  # what is older weighs less, so that a voice that changes for good becomes the usual one
_PRIOR_TURNS = 8.0  # weight of the prior's deviation within a speaker


class Deviation(NamedTuple):
    """How a cue stands to what was expected."""

    z: float
    change: float
    reference: str
    """`self` where the stream's own turns weigh more, else `prior`."""


class _Memory:
    """Weighted count, mean and sum of squares of one cue."""

    __slots__ = ("mean", "squares", "weight")

    def __init__(self) -> None:
        self.weight = self.mean = self.squares = 0.0

    def add(self, value: float, weight: float) -> None:
        if self.weight + weight > _MOST_TURNS:
            share = (_MOST_TURNS - weight) / self.weight
            self.weight *= share
            self.squares *= share
        self.weight += weight
        step = value - self.mean
        self.mean += step * weight / self.weight
        self.squares += weight * step * (value - self.mean)


class Baseline:
    """The usual of one voice: a normal distribution for each cue, whose mean is learnt from a prior on.

    With x the turns so far, n their weight, a prior N(m, b^2) for the speaker's mean and deviation w within a speaker,
    the expected value is (m/b^2 + n mean(x)/w^2) / (1/b^2 + n/w^2), and a new turn is as far from it as their distance
    by the deviation of both, the turn's and the mean's (Gelman et al., Bayesian Data Analysis, 2.5). w^2 itself is the
    mean of the prior's and of the stream's own, weighted by turns.

    Args:
        priors: Cue → what is known before anything was heard.
    """

    def __init__(self, priors: Mapping[str, Prior] = PRIORS) -> None:
        self._priors = priors
        self._memory = {name: _Memory() for name in priors}

    def compare(self, name: str, value: float) -> Deviation:
        """Hold a turn against what is known; pitch in Hz, the others in their units."""
        prior, memory = self._priors[name], self._memory[name]
        x = scaled(name, value)
        within = (_PRIOR_TURNS * prior.within**2 + memory.squares) / (_PRIOR_TURNS + memory.weight)
        outside, own = 1 / prior.between**2, memory.weight / within
        precision = outside + own
        if precision == 0.0:
            return Deviation(0.0, 0.0, "prior")
        mean = (outside * prior.mean + own * memory.mean) / precision
        z = (x - mean) / math.sqrt(within + 1 / precision)
        return Deviation(z, x - mean, "self" if own > outside else "prior")

    def add(self, values: Mapping[str, float], weight: float = 1.0) -> None:
        """Take a turn into account, after it was held against what was known before it.

        Args:
            values: Cue → what was measured.
            weight: 0 to 1, less for a turn that was too short to measure well.
        """
        for name, value in values.items():
            self._memory[name].add(scaled(name, value), weight)


def scaled(name: str, value: float) -> float:
    """The scale on which a cue is compared.

    >>> scaled("pitch", 200.0), scaled("level", -20.0)
    (12.0, -20.0)
    """
    return 12 * math.log2(max(value, 1.0) / 100.0) if name == PITCH else value
