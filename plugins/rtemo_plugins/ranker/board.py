"""FloorBoard: the board over all streams of the engine, as an event once per refresh."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, Board, BoardEntry, Emit, HopFlag, StreamFormat
from rtemo_plugins.ranker.course import Course, rounded
from rtemo_plugins.ranker.options import BoardOptions
from rtemo_plugins.ranker.scorer import Scorer
from rtemo_plugins.ranker.standings import Known, Standings

_LAST = np.uint8(HopFlag.LAST)
_DIGITS = 4


class FloorBoard:
    """Compares the streams at fixed ticks and words the first places.

    There is one board for the whole engine. Who is left out of the ranking is on it neither by name nor by number.

    Args:
        options: Of the board.
        scorer: Gives scores and spreads.
        course: Gives past and trends.
        format: Of the audio.
        capacity: Most streams.

    Raises:
        ConfigError: The weights make no sense.
    """

    def __init__(
        self, options: BoardOptions, scorer: Scorer, course: Course, format: StreamFormat, capacity: int
    ) -> None:
        self._scorer = scorer
        self._course = course
        self._format = format
        self._refresh_ticks = round(options.refresh_s / format.hop_s)
        self._stale_samples = round(options.stale_s * format.sample_rate_hz)
        self._standings = Standings(options, scorer.attributes, capacity)
        self.admit, self.retire, self.reset = (
            self._standings.admit,
            self._standings.retire,
            self._standings.reset,
        )

    def show(self, block: Block, left_out: NDArray[np.bool_], emit: Emit) -> None:
        """Emit the board when it is time, and an empty one when the last stream leaves."""
        if not self._refresh_ticks or not block.streams:
            return
        is_leaving = (block.flags & _LAST) != 0
        is_over = bool(is_leaving.all())
        if block.tick % self._refresh_ticks and not is_over:
            return
        emit(None, self._compare(block, ~left_out & ~is_leaving), 0, 0)

    def _compare(self, block: Block, is_here: NDArray[np.bool_]) -> Board:
        n, course, scorer = block.n, self._course, self._scorer
        silent_samples = block.start_sample + self._format.hop_samples - course.end_sample[:n]
        is_known = is_here & course.is_known(n) & (silent_samples <= self._stale_samples)
        known = Known(scorer.score[:n], scorer.spread[:n], course.rolling.past_mean[:n], course.rolling.past_mass[:n])
        rows = self._standings.rank(known, is_known, block.rows)
        percentiles = course.anchors.percentile(scorer.score[rows]).tolist()
        trends = (course.rolling.trend_per_min[rows] @ self._standings.weights).tolist()
        entries = []
        for row, percentile, trend in zip(rows.tolist(), percentiles, trends, strict=True):
            stream = block.streams[row]
            entries.append(
                BoardEntry(
                    call=stream.call,
                    channel=stream.channel,
                    place=int(self._standings.place[row]),
                    urgency=round(float(self._standings.urgency[row]), _DIGITS),
                    spread=round(float(self._standings.spread[row]), _DIGITS),
                    percentiles={
                        name: round(value, 1) for name, value in zip(scorer.attributes, percentile, strict=True)
                    },
                    trend_per_min=rounded(trend),
                    silent_s=round(int(silent_samples[row]) / self._format.sample_rate_hz, 1),
                )
            )
        ranked = int(np.count_nonzero(is_known))
        return Board(entries=tuple(entries), ranked=ranked, unsure=int(np.count_nonzero(is_here)) - ranked)
