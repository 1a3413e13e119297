"""Course: what each stream's scores have come to, and when it is told."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelCard, Rank, StateTable
from rtemo_plugins.ranker.anchors import Anchors
from rtemo_plugins.ranker.options import RankerOptions
from rtemo_plugins.ranker.rolling import SAMPLE_S, ChangeRule, Rolling
from rtemo_plugins.ranker.scorer import Scorer

_CHANGE_Z = 3.5
_REACH_S = 5.0  # of speech that a score mostly rests on
_DIGITS = 4
_UNTOLD = -1


class Notice(NamedTuple):
    """That ranks are to be told."""

    row: int
    triggers: tuple[str, ...]
    """By attribute: `first`, `refresh`, `change`, `stream_end`, or empty for what is not told."""


class Course:
    """Takes a sample of each stream every half second of its speech, and says what is to be told.

    Speech is counted in hops with voice: seconds added up as floats would drift.

    Args:
        scorer: Gives the scores.
        card: Of its network; the calibration gives anchors, `within_share_<attribute>` and `change_z`.
        options: Times, and what is a change.
        hop_s: Duration of a hop.
        hop_samples: Of a hop.
        capacity: Most streams.

    Attributes:
        rolling: Past, trend and change.
        end_sample: int64 [capacity], one past the last hop at which the score was renewed.

    Raises:
        ModelError: The card has no anchors.
    """

    def __init__(
        self, scorer: Scorer, card: ModelCard, options: RankerOptions, hop_s: float, hop_samples: int, capacity: int
    ) -> None:
        attributes = scorer.attributes
        self.anchors = Anchors(card, attributes)
        limit_z = card.calibration.get("change_z", _CHANGE_Z) if options.change_z is None else options.change_z
        shares = [card.calibration.get(f"within_share_{attribute}", 1.0) for attribute in attributes]
        rule = ChangeRule(np.array(shares), limit_z)
        self.rolling = Rolling(len(attributes), scorer.mood.shape[1], options.memory_s, rule, capacity)
        self._scorer = scorer
        self._hop_s = hop_s
        self._reach_samples = round(_REACH_S / hop_s) * hop_samples
        self._sample_hops = round(SAMPLE_S / hop_s)
        self._refresh_samples = max(1, round(options.refresh_s / SAMPLE_S))
        self._table = table = StateTable(capacity)
        self._due = table.add("due_hops", (), np.int64, round(options.least_s / hop_s))
        self._untold = table.add("untold_samples", (), np.int64, _UNTOLD)
        self.end_sample: NDArray[np.int64] = table.add("end_sample", (), np.int64)  # type: ignore[assignment]

    def advance(self, rows: NDArray[np.int64], end_sample: NDArray[np.int64]) -> NDArray[np.int64]:
        """Note that the scores of `rows` are new; take the samples that are due, and give their rows."""
        self.end_sample[rows] = end_sample
        rows = rows[self._scorer.spoken_hops[rows] >= self._due[rows]]
        if len(rows):
            self._due[rows] += self._sample_hops
            scorer = self._scorer
            self.rolling.take(rows, scorer.score[rows], scorer.spread[rows], scorer.mood[rows])
        return rows

    def notices(self, rows: NDArray[np.int64]) -> list[Notice]:
        """Give what is to be told of the streams of which a sample was just taken."""
        has_changed = np.isfinite(self.rolling.change[rows])
        is_first = self._untold[rows] == _UNTOLD
        self._untold[rows] += 1
        is_due = is_first | (self._untold[rows] >= self._refresh_samples)
        self._untold[rows[is_due]] = 0
        notices = []
        for i in np.flatnonzero(is_due | has_changed.any(axis=1)).tolist():
            usual = "first" if is_first[i] else "refresh" if is_due[i] else ""
            triggers = tuple("change" if changed else usual for changed in has_changed[i].tolist())
            notices.append(Notice(int(rows[i]), triggers))
        return notices

    def end_stream(self, row: int) -> list[Notice]:
        """Give what is to be told when the stream ends: nothing when nothing was told before."""
        if self._untold[row] == _UNTOLD:
            return []
        return [Notice(row, ("stream_end",) * len(self._scorer.attributes))]

    def is_known(self, n: int) -> NDArray[np.bool_]:
        """Tell of which of the first n streams there was speech enough, bool [n]."""
        return self._untold[:n] != _UNTOLD  # type: ignore[no-any-return]

    def found(self, rows: NDArray[np.int64]) -> dict[str, NDArray[np.floating]]:
        """Everything known of some streams, by the names in events: float [k, attributes] each."""
        rolling, score = self.rolling, self._scorer.score[rows]
        return {
            "score": score,
            "spread": self._scorer.spread[rows],
            "percentile": rolling.percentile[rows],
            "anchor_percentile": self.anchors.percentile(score),
            "trend_per_min": rolling.trend_per_min[rows],
            "p_rising": rolling.p_rising[rows],
            "change": rolling.change[rows],
        }

    def describe(self, notice: Notice) -> list[Rank]:
        """Word what a notice is about as events."""
        row = notice.row
        found = {name: values[0].tolist() for name, values in self.found(np.array([row])).items()}
        speech_s = round(int(self._scorer.spoken_hops[row]) * self._hop_s, 3)
        return [
            Rank(
                attribute=attribute,
                score=round(found["score"][a], _DIGITS),
                percentile=rounded(found["percentile"][a]),
                trend_per_min=rounded(found["trend_per_min"][a]),
                p_rising=rounded(found["p_rising"][a]),
                spread=rounded(found["spread"][a]),
                anchor_percentile=rounded(found["anchor_percentile"][a]),
                change=rounded(found["change"][a]) if trigger == "change" else None,
                speech_s=speech_s,
                trigger=trigger,
            )
            for a, (attribute, trigger) in enumerate(zip(self._scorer.attributes, notice.triggers, strict=True))
            if trigger
        ]

    def span(self, row: int) -> tuple[int, int]:
        """Tell what the present score of a stream is mostly about: start_sample, end_sample."""
        end = int(self.end_sample[row])
        return max(0, end - self._reach_samples), end

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        self._table.admit(row)
        self.rolling.admit(row)

    reset = admit

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        self._table.retire(row, last)
        self.rolling.retire(row, last)


def rounded(value: float) -> float | None:
    """Round a value of an event; null where there is none."""
    return round(value, _DIGITS) if math.isfinite(value) else None
