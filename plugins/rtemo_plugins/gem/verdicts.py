"""Verdicts: what is decided about each stream, when it is told, and when it counts."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EXPERTS, Block, Mark, ModelCard, Spoof, StateTable
from rtemo_plugins.gem.cusum import Cusum
from rtemo_plugins.gem.operating_point import level_at
from rtemo_plugins.gem.options import GemOptions
from rtemo_plugins.gem.step import Step

BONA_FIDE, SPOOF, UNKNOWN = 0, 1, 255
"""Values of the mark `spoof.verdict`."""

MARKS = (
    Mark("spoof.score", meaning="log-odds that the voice is synthetic, as last decided on"),
    Mark("spoof.verdict", "uint8", (), UNKNOWN, "0 bona fide, 1 spoof, 255 unknown"),
)

_DECISION_S = 0.5
_OVERLAP = 8  # decisions whose scores rest on the same four seconds of speech
_LEAST_LIMIT = 1e-3
_KEEP = 0.98
_WORDS = {BONA_FIDE: "bona_fide", SPOOF: "spoof", UNKNOWN: "unknown"}
_VALUES = {word: value for value, word in _WORDS.items()}
_TRIGGERS = ("", "refresh", "change", "first", "alarm", "stream_end")
_NONE, _REFRESH, _CHANGE, _FIRST, _ALARM, _STREAM_END = range(len(_TRIGGERS))


class Notice(NamedTuple):
    """That something is to be told, and about what."""

    row: int
    trigger: str
    start_sample: int
    """Where the speech of the stream began."""
    end_sample: int


class Verdicts:
    """Decides about each stream every half second of its speech.

    Speech is counted in hops with voice: seconds added up as floats would drift.

    Args:
        card: Of the network; its calibration gives the thresholds.
        options: Operating point and times.
        hop_s: Duration of a hop.
        capacity: Most streams.

    Attributes:
        threshold: Score from which the verdict is `spoof`.
        verdict: uint8 [capacity], what counts at the present hop of each stream.
        is_alarmed: bool [capacity], whether an alarm counts at the present hop.
    """

    def __init__(self, card: ModelCard, options: GemOptions, hop_s: float, capacity: int) -> None:
        calibration, per_hour = card.calibration, options.false_alarms_per_hour
        self.threshold = level_at(calibration, "threshold", per_hour, fall=1.0)
        self._bona_fide_below = min(calibration.get("bona_fide_below", 0.0), self.threshold)
        self._hop_s = hop_s
        self._decision_hops = round(_DECISION_S / hop_s)
        self._refresh_decisions = max(1, round(options.refresh_s / _DECISION_S))
        self._cusum = Cusum(
            limit=max(level_at(calibration, "alarm_limit", per_hour, fall=_OVERLAP), _LEAST_LIMIT),
            drift=calibration.get("alarm_drift", 0.0),
            keep=calibration.get("alarm_keep", _KEEP),
            cool_down_decisions=round(options.cool_down_s / _DECISION_S),
            capacity=capacity,
        )
        self._table = table = StateTable(capacity)
        self._spoken = table.add("spoken_hops", (), np.int64)
        self._due = table.add("due_hops", (), np.int64, round(options.least_s / hop_s))
        self._untold = table.add("untold_decisions", (), np.int64, -1)  # -1: nothing was decided yet
        self._start = table.add("start_sample", (), np.int64)
        self._end = table.add("end_sample", (), np.int64)
        self._score = table.add("score", (), np.float32, np.nan)
        self._shares = table.add("shares", (len(EXPERTS),), np.float32, np.nan)
        self._decided_score = table.add("decided_score", (), np.float32, np.nan)
        self._decided: NDArray[np.uint8] = table.add("decided", (), np.uint8, UNKNOWN)  # type: ignore[assignment]
        self._shown_score = table.add("shown_score", (), np.float32, np.nan)
        self.verdict: NDArray[np.uint8] = table.add("verdict", (), np.uint8, UNKNOWN)  # type: ignore[assignment]
        self.is_alarmed: NDArray[np.bool_] = table.add("is_alarmed", (), np.bool_)  # type: ignore[assignment]

    def advance(self, step: Step, outputs: dict[str, NDArray[Any]]) -> list[Notice]:
        """Take what the network gave for a step; decide where it is time to, and give what is to be told."""
        rows, score = step.rows, outputs["score"]
        voiced = np.count_nonzero(step.weight, axis=1)
        is_first = (voiced > 0) & (self._spoken[rows] == 0)
        self._start[rows[is_first]] = step.start_sample[is_first]
        self._spoken[rows] += voiced
        heard = np.flatnonzero(voiced)
        self._end[rows[heard]] = step.end_sample[heard]
        known = heard[np.isfinite(score[heard])]
        self._score[rows[known]] = score[known]
        self._shares[rows[known]] = step.gate[known] * outputs["experts"][known]
        deciding = rows[(self._spoken[rows] >= self._due[rows]) & np.isfinite(self._score[rows])]
        return self._decide(deciding) if len(deciding) else []

    def _decide(self, rows: NDArray[np.int64]) -> list[Notice]:
        score = self._score[rows]
        verdict = np.where(score < self._bona_fide_below, BONA_FIDE, UNKNOWN)
        verdict[score >= self.threshold] = SPOOF
        was_alarmed = self._cusum.is_alarmed[rows]
        begins = self._cusum.add(rows, score.astype(np.float64))
        ends = was_alarmed & ~self._cusum.is_alarmed[rows]
        is_first = self._untold[rows] < 0
        self._untold[rows] += 1
        trigger = np.where(self._untold[rows] >= self._refresh_decisions, _REFRESH, _NONE)
        trigger[(verdict != self._decided[rows]) | ends] = _CHANGE
        trigger[is_first] = _FIRST
        trigger[begins] = _ALARM
        self._untold[rows[trigger != _NONE]] = 0
        self._due[rows] += self._decision_hops
        self._decided[rows] = verdict
        self._decided_score[rows] = score
        return [self._notice(int(rows[i]), int(trigger[i])) for i in np.flatnonzero(trigger)]

    def end_stream(self, row: int) -> list[Notice]:
        """Give what is to be told when the stream ends: nothing when nobody spoke."""
        return [self._notice(row, _STREAM_END)] if np.isfinite(self._score[row]) else []

    def _notice(self, row: int, trigger: int) -> Notice:
        return Notice(row, _TRIGGERS[trigger], int(self._start[row]), int(self._end[row]))

    def publish(self, rows: NDArray[np.int64]) -> None:
        """Let what was decided about `rows` count from this hop on."""
        self._shown_score[rows] = self._decided_score[rows]
        self.verdict[rows] = self._decided[rows]
        self.is_alarmed[rows] = self._cusum.is_alarmed[rows]

    def believe(self, row: int, spoof: Spoof) -> None:
        """Let what another plugin decided about `row` count from this hop on."""
        self._shown_score[row] = spoof.score
        self.verdict[row] = _VALUES.get(spoof.verdict, UNKNOWN)
        self.is_alarmed[row] = spoof.is_alarmed

    def show(self, block: Block) -> None:
        """Write the marks."""
        block.marks["spoof.score"][:] = self._shown_score[: block.n]
        block.marks["spoof.verdict"][:] = self.verdict[: block.n]

    def describe(self, notice: Notice) -> Spoof:
        """Word the newest finding as an event."""
        row = notice.row
        return Spoof(
            score=round(float(self._score[row]), 4),
            verdict=_WORDS[int(self._decided[row])],
            contributions={
                name: round(share, 4) for name, share in zip(EXPERTS, self._shares[row].tolist(), strict=True)
            },
            speech_s=round(int(self._spoken[row]) * self._hop_s, 3),
            trigger=notice.trigger,
            is_alarmed=bool(self._cusum.is_alarmed[row]),
        )

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        self._table.admit(row)
        self._cusum.admit(row)

    reset = admit

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        self._table.retire(row, last)
        self._cusum.retire(row, last)
