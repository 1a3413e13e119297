"""RankerPlugin: ranks the moments of each call, and the calls of the floor."""

import math
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    Alert,
    Block,
    Board,
    Emit,
    Emotion,
    HopFlag,
    ModelCard,
    ModelError,
    Party,
    PluginContext,
    PluginSpec,
    Rank,
    RowParts,
    kind_of,
)
from rtemo_plugins.ranker.alerts import Alerts
from rtemo_plugins.ranker.board import FloorBoard
from rtemo_plugins.ranker.course import Course, Notice
from rtemo_plugins.ranker.options import RankerOptions
from rtemo_plugins.ranker.rolling import SAMPLE_S
from rtemo_plugins.ranker.roster import Roster
from rtemo_plugins.ranker.scorer import STEP_HOPS, WORDS, Scorer

_LAST = np.uint8(HopFlag.LAST)


class RankerPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[RankerOptions]] = RankerOptions

    def __init__(self, options: RankerOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="ranker",
            summary="Order: how the moment stands within the call, and which calls need a person first.",
            version="1",
            cadence_hops=STEP_HOPS,
            reads_audio=False,
            requires=("merit.words", "merit.voiced", "merit.is_fresh"),
            emits=(Rank, Board, Alert),
            hears=(kind_of(Party), kind_of(Emotion)),
        )

    def open(self, context: PluginContext, capacity: int) -> "RankerProcessor":
        """Load the bundle and make a processor.

        Raises:
            ModelError: The bundle cannot be loaded, or does not fit; or the one that listens gives no words.
            ConfigError: A rule or a weight makes no sense.
        """
        options = self._options
        _check_words(context.model(options.listen_bundle).card, options.listen_bundle)
        model = context.model(options.bundle)
        scorer = Scorer(model, capacity, options.estimates_of)
        hop_s, hop_samples = context.format.hop_s, context.format.hop_samples
        course = Course(scorer, model.card, options, hop_s, hop_samples, capacity)
        alerts = Alerts(options.alerts, scorer.attributes, SAMPLE_S, capacity)
        board = FloorBoard(options.board, scorer, course, context.format, capacity)
        return RankerProcessor(scorer, course, alerts, board, Roster(capacity), hop_samples, hop_s)


class RankerProcessor(RowParts):
    """Runs one hop of every stream through the parts."""

    def __init__(
        self,
        scorer: Scorer,
        course: Course,
        alerts: Alerts,
        board: FloorBoard,
        roster: Roster,
        hop_samples: int,
        hop_s: float,
    ) -> None:
        self._scorer = scorer
        self._course = course
        self._alerts = alerts
        self._board = board
        self._roster = roster
        self._hop_samples = hop_samples
        self._hop_s = hop_s
        super().__init__(scorer, course, alerts, board, roster)

    def process(self, block: Block, emit: Emit) -> None:
        """Score the streams whose words are fresh, tell what has come of it, and compare all when it is time."""
        if block.events:
            self._scorer.hear_estimates(block.events)
        left_out = self._roster.left_out(block)
        fresh = np.flatnonzero((block.marks["merit.is_fresh"] == 1) & ~left_out)
        if len(fresh):
            words, voiced = block.marks["merit.words"], block.marks["merit.voiced"]
            rows = self._scorer.hear(fresh, words, voiced, block.n)
            sampled = self._course.advance(rows, block.start_sample[rows] + self._hop_samples)
            if len(sampled):
                self._sample(sampled, emit)
        for row in np.flatnonzero((block.flags & _LAST != 0) & ~left_out).tolist():
            self._tell(self._course.end_stream(row), emit)
        self._board.show(block, left_out, emit)

    def _sample(self, rows: NDArray[np.int64], emit: Emit) -> None:
        self._tell(self._course.notices(rows), emit)
        if not self._alerts.rules:
            return
        for raised in self._alerts.watch(rows, self._course.found(rows)):
            alert = Alert(
                rule=raised.rule,
                values={name: round(value, 4) for name, value in raised.values.items() if math.isfinite(value)},
                speech_s=round(int(self._scorer.spoken_hops[raised.row]) * self._hop_s, 3),
            )
            emit(raised.row, alert, *self._course.span(raised.row))

    def _tell(self, notices: list[Notice], emit: Emit) -> None:
        for notice in notices:
            for rank in self._course.describe(notice):
                emit(notice.row, rank, *self._course.span(notice.row))


def _check_words(card: ModelCard, name: str) -> None:
    spec = card.outputs.get("words")
    if spec is None or spec.shape != (WORDS,):
        raise ModelError(
            f"bundle {name!r} gives no 'words' of {WORDS} numbers, which the ranker plugin scores",
            "install the bundle of this version, or take 'ranker' out of `chain`",
        )
