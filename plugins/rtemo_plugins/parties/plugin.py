"""PartiesPlugin: asks for the lane, tells it when each stream speaks, and passes on who it was."""

import time
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    Block,
    ConfigError,
    Emit,
    Emotion,
    Finding,
    LaneContext,
    LaneSpec,
    LaneStatus,
    LaneWork,
    Party,
    PluginContext,
    PluginSpec,
    QueryScore,
    Rank,
    Rationale,
    ResetReason,
    SpeechEnd,
    StateTable,
    check_rate,
    kind_of,
)
from rtemo.api.lane import STRIDE
from rtemo.api.turns import TurnNoter, Turns
from rtemo.dsp.speaker_mel import RATE_HZ
from rtemo_plugins.parties.line import WINDOW_S, Line
from rtemo_plugins.parties.lines import Lines
from rtemo_plugins.parties.options import PartiesOptions
from rtemo_plugins.parties.work import Work, check_card

_MOOD = frozenset(map(kind_of, (Emotion, Rank, Rationale, QueryScore)))
"""What is told of a stream as of one person, and is about how that person sounds."""
_SWEEP_S = 1.0


class PartiesPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[PartiesOptions]] = PartiesOptions

    def __init__(self, options: PartiesOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="parties",
            summary="Which of two people on one line speaks, by their voices; an estimate.",
            version="1",
            reads_audio=False,
            requires=("vad.speech",),
            hears=("speech_start", "speech_end"),
            emits=(Party,),
        )

    def line(self) -> Line:
        """Make what is known of one stream: nothing so far."""
        return Line(self._options.parties, RATE_HZ, self._options.unsure_below)

    def open(self, context: PluginContext, capacity: int) -> "PartiesProcessor":
        """Ask for the lane and make a processor.

        Raises:
            ConfigError: The chain tells emotion, too, and nobody has said that it may be told of all on the line.
            ModelError: The bundle is missing or does not fit, or the engine's rate is another.
        """
        options = self._options
        check_rate(context.format.sample_rate_hz, RATE_HZ, options.bundle, "parties")
        kinds = ", ".join(sorted(_MOOD & (context.said_earlier | context.said_later)))
        if kinds and options.emotion == "refuse":
            raise ConfigError(
                f"the chain says {kinds} beside the parties plugin: of all on the line, of whom one may be at work",
                "take what says it out of `chain`; where nobody on the line is at work or in education, set "
                'plugins.parties.emotion = "both"',
            )
        check_card(context.card(options.bundle), options.bundle)
        turns = Turns()
        lines = Lines(self.line)

        def open_work(lent: LaneContext, given: Any) -> LaneWork:
            return Work(lent, given, turns, lines)

        spec = LaneSpec(
            name="voices",
            window_s=WINDOW_S,
            stride_s=options.stride_s,
            on=(STRIDE, "speech_end"),
            least_s=0.0,
            while_mark="vad.speech",
            max_age_s=options.max_age_s,
            max_batch=options.max_batch,
        )
        lane = context.lane(spec, open_work, tell, options)
        return PartiesProcessor(turns, lines, lane, options.max_age_s, capacity)


def tell(finding: Finding, emit: Emit) -> None:
    """Say who spoke, and what is to be corrected."""
    for saying in finding.result:
        emit(finding.stream, saying.data, saying.start, saying.end)


class PartiesProcessor(TurnNoter):
    """Notes when each stream begins and ends to speak, and sees to it that nothing is kept of those that have left.

    Args:
        turns: Where turns are noted.
        lines: What is known of each stream.
        lane: Tells whether windows are ever dropped.
        max_age_s: A window that waited longer is dropped.
        capacity: Most streams.
    """

    def __init__(self, turns: Turns, lines: Lines, lane: LaneStatus, max_age_s: float, capacity: int) -> None:
        super().__init__(turns)
        self._lines = lines
        self._lane = lane
        self._late_s = max_age_s + _SWEEP_S
        self._swept_s = 0.0
        self._table = StateTable(capacity)
        self._number: NDArray[np.int64] = self._table.add("number", (), np.int64, 0)  # type: ignore[assignment]

    def process(self, block: Block, emit: Emit) -> None:
        """Note which turns have begun or ended with this hop."""
        super().process(block, emit)
        for event in block.events:
            if event.stream is None or event.row is None:
                continue  # the engine warms up
            self._number[event.row] = event.stream.id
            self._lines.begin(event.stream.id)
            if isinstance(event.data, SpeechEnd):
                self._lines.end_turn(event.stream.id)
        now_s = time.monotonic()
        if now_s - self._swept_s >= _SWEEP_S and not self._lane.is_awaited:
            self._swept_s = now_s
            self._lines.sweep(now_s - self._late_s)

    def admit(self, row: int) -> None:
        """Know of a new stream that nobody has spoken on it."""
        self._table.admit(row)

    def retire(self, row: int, last: int) -> None:
        """Let the stream at `row` be forgotten, once what the lane still has of it is told."""
        self._lines.leave(int(self._number[row]), time.monotonic())
        self._table.retire(row, last)
        super().retire(row, last)

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Know nobody on these streams any more."""
        for row in rows.tolist():
            self._lines.renew(int(self._number[row]))

    def close(self) -> None:
        """Overwrite all that is known; the lane belongs to the engine."""
        self._lines.wipe_all()
