"""ListenerPlugin: asks for the lane, tells it when each stream speaks, and passes on what it finds."""

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
    Mark,
    ModelError,
    PluginContext,
    PluginSpec,
    ResetReason,
    Spoof,
    StateTable,
    StreamFacts,
    check_rate,
    kind_of,
)
from rtemo.api.lane import STRIDE
from rtemo.dsp.whisper_mel import RATE_HZ
from rtemo_plugins.listener.judgement import check_judges, judges
from rtemo_plugins.listener.options import ListenerOptions
from rtemo_plugins.listener.room import Room
from rtemo_plugins.listener.stretches import Stretches
from rtemo_plugins.listener.verdicts import Verdicts
from rtemo_plugins.listener.work import FRAME_SAMPLES, Told, Work, frames_of

LISTENS = "listener.listens"
"""Mark: whether this plugin is the one that tells the emotion of the turn that is going on."""
_UNKNOWN = 255
_USUAL_FRAMES = 150


class ListenerPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[ListenerOptions]] = ListenerOptions

    def __init__(self, options: ListenerOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        options = self._options
        listens = Mark(LISTENS, "uint8", (), _UNKNOWN, "1 in turns of which it tells the emotion, else 0, 255 unknown")
        return PluginSpec(
            name="listener",
            summary="Eight emotions, arousal, valence and signs of synthesis, by a large speech encoder.",
            version="2",
            reads_audio=False,
            requires=("vad.speech",),
            provides=(listens,) if options.emotion else (),
            emits=(Emotion,) * options.emotion + (Spoof,) * options.spoof,
            gives_way=("rate",) if options.emotion else ("spoof",),
        )

    def open(self, context: PluginContext, capacity: int) -> "ListenerProcessor":
        """Ask for the lane and make a processor; the network itself is loaded in the lane, while others speak already.

        Raises:
            ModelError: A bundle that somebody has named is not there, or does not fit the plugin or the engine. Where
                another plugin can speak, our own that is not there is said once, by the lane, and left out.
            ConfigError: It is to tell nothing.
        """
        options = self._options
        if not (options.emotion or options.spoof):
            raise ConfigError(
                "the listener plugin is to tell neither emotion nor spoof", "let it tell one, or take it out"
            )
        has_other = options.emotion and kind_of(Emotion) in context.said_later
        check_rate(context.format.sample_rate_hz, RATE_HZ, options.bundle, "listener")
        frames, verdicts = _USUAL_FRAMES, None
        try:
            card = context.card(options.bundle)
            frames = frames_of(card, options.bundle)
            if not options.emotion:
                check_judges(card)
            if options.spoof and judges(card):
                verdicts = Verdicts(card, options, RATE_HZ, kind_of(Spoof) in context.said_later)
        except ModelError:
            if not has_other or options.bundle != ListenerOptions().bundle:
                raise
        stretches, room = Stretches(), Room(context.format)

        def open_work(lent: LaneContext, given: Any) -> LaneWork:
            return Work(lent, given, stretches, room)

        def tell(finding: Finding, emit: Emit) -> None:
            told: Told = finding.result
            if told.emotion is not None:
                emit(finding.stream, told.emotion, told.start_sample, finding.end_sample)
            if told.judgement is not None and verdicts is not None:
                verdicts.tell(finding.stream, told.judgement, told.start_sample, finding.end_sample, emit)

        spec = LaneSpec(
            name="encode",
            window_s=frames * FRAME_SAMPLES / RATE_HZ,
            stride_s=options.stride_s,
            on=(STRIDE, "speech_end"),
            least_s=min(0.1, options.least_s),
            while_mark=LISTENS if options.emotion else "vad.speech",
            max_age_s=options.max_age_s,
            max_batch=options.max_batch,
        )
        lane = context.lane(spec, open_work, tell, options)
        if lane.is_awaited or options.when == "always" or not has_other:
            room.unbind()
        return ListenerProcessor(
            stretches,
            room,
            capacity,
            mark=LISTENS if options.emotion else None,
            lane=lane if has_other else None,
            verdicts=verdicts,
            tags=options.policy == "tag",
        )


class ListenerProcessor:
    """Notes when each stream begins and ends to speak, and doubts whom it should; all else is done in the lane.

    Whether a turn is taken is settled when it begins, and holds until it ends or the lane is lost.

    Args:
        stretches: Where it is noted.
        room: How many turns may be taken at once.
        capacity: Most streams.
        mark: Under which name others are told which turns are taken; None where they are not.
        lane: The lane, where others speak of a turn while it is not up; None where there are none.
        verdicts: What is decided of each voice; None where voices are not judged.
        tags: Whether a voice that is judged synthetic is doubted.
    """

    def __init__(
        self,
        stretches: Stretches,
        room: Room,
        capacity: int,
        mark: str | None,
        lane: LaneStatus | None,
        verdicts: Verdicts | None,
        tags: bool,
    ) -> None:
        self._verdicts = verdicts
        self._tags = tags and verdicts is not None
        self._mark = mark
        self._lane = lane
        self._stretches = stretches
        self._room = room
        self._table = StateTable(capacity)
        self._is_speaking = self._table.add("is_speaking", (), np.bool_)
        self._listens = self._table.add("listens", (), np.bool_)
        self._streams: list[StreamFacts] = []

    def process(self, block: Block, emit: Emit) -> None:
        """Note whose speech has begun or ended with this hop; what the detector does not know counts as speech."""
        if len(block.streams) != block.n:
            return  # the engine warms up
        self._streams = list(block.streams)
        speech = block.marks["vad.speech"] != 0
        was, listens = self._is_speaking[: block.n], self._listens[: block.n]
        changed = np.flatnonzero(speech != was).tolist()
        for row in changed:
            if not speech[row]:
                self._stretches.end(block.streams[row].id, int(block.start_sample[row]))
                listens[row] = False
        is_up = self._lane is None or self._lane.is_up
        if not is_up:
            for row in np.flatnonzero(listens).tolist():
                self._stretches.let_go(block.streams[row].id)
            listens[:] = False
        taken = np.count_nonzero(listens)
        self._room.look(taken)
        for row in changed:
            if speech[row]:
                listens[row] = is_up and taken < self._room.turns
                taken += int(listens[row])
                self._stretches.begin(block.streams[row].id, int(block.start_sample[row]), bool(listens[row]))
        was[:] = speech
        if self._mark is not None:
            block.marks[self._mark][:] = listens
        if self._tags and self._verdicts is not None:
            doubted = self._verdicts.doubted
            block.is_doubted[:] = [stream.id in doubted for stream in block.streams]

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        self._table.admit(row)

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        if last < len(self._streams):  # else it never had a hop
            self._stretches.leave(self._streams[row].id)
            if self._verdicts is not None:
                self._verdicts.leave(self._streams[row].id)
            self._streams[row] = self._streams[last]
            self._streams.pop()
        self._table.retire(row, last)

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Let the next hop with speech begin a turn."""
        for row in rows.tolist():
            self._table.reset(row)

    def close(self) -> None:
        """Nothing to free: the lane belongs to the engine."""
