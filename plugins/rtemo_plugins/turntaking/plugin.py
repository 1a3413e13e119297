"""TurnTakingPlugin: how likely a turn is over, every 100 ms of silence."""

from typing import ClassVar

import numpy as np

from rtemo.api import (
    Block,
    Emit,
    EndOfTurn,
    Finding,
    HopFlag,
    Mark,
    ModelHandle,
    PluginContext,
    PluginSpec,
    RowParts,
    StateTable,
    StreamFacts,
    StreamFormat,
    Transcript,
    check_seam,
)
from rtemo.dsp.pauses import FEATURES, PAUSE, PAUSING, SILENT, SPEAKING, TAIL_HOPS, follow, measure
from rtemo_plugins.turntaking.network import check_network, lane_spec, open_network
from rtemo_plugins.turntaking.options import TurnTakingOptions
from rtemo_plugins.turntaking.words import Words, odds_of_words

_WAITS = "turntaking.waits"


class TurnTakingPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[TurnTakingOptions]] = TurnTakingOptions

    def __init__(self, options: TurnTakingOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="turntaking",
            summary="How likely a turn is over, every 100 ms of silence, and when it is.",
            version="1",
            reads_audio=False,
            requires=("vad.speech", "vad.voice", "prosody.pitch_hz", "level.rms_dbfs"),
            provides=(
                Mark("turntaking.p_end", meaning="probability that the turn is over, as last told; NaN outside"),
                Mark(_WAITS, "uint8", (), 0, "1 in a pause of which it is not known whether it ends the turn"),
            ),
            hears=("transcript",),
            emits=(EndOfTurn,),
        )

    def open(self, context: PluginContext, capacity: int) -> "TurnTakingProcessor":
        """Make a processor.

        Raises:
            ModelError: The bundle cannot be loaded, or judges something else.
        """
        options = self._options
        if options.judge == "network":
            check_network(context.card(options.network_bundle), options.network_bundle)
            processor = TurnTakingProcessor(options, None, context.format, capacity)
            context.lane(lane_spec(options, _WAITS), open_network, processor.tell, options)
            return processor
        handle = context.model(options.bundle)
        check_seam(
            handle.card,
            "turntaking",
            "bundle",
            hops_per_step=1,
            inputs={"features": (len(FEATURES),)},
            outputs={"p_end": (1,)},
        )
        return TurnTakingProcessor(options, handle, context.format, capacity)


class TurnTakingProcessor(RowParts):
    """Follows the pauses of all rows, and judges those that have become 100 ms longer, together.

    Args:
        options: When a turn is over.
        handle: What judges pauses; None where a network does, in its lane.
        format: Of the audio.
        capacity: Most rows.
    """

    def __init__(
        self, options: TurnTakingOptions, handle: ModelHandle | None, format: StreamFormat, capacity: int
    ) -> None:
        self._options = options
        self._handle = handle
        self._rate_hz = format.sample_rate_hz
        self._hop_samples = format.hop_samples
        self._table = table = StateTable(capacity)
        self._pauses = table.add("pauses", (), PAUSE)
        self._tail = table.add("tail", (TAIL_HOPS, 2), np.float32)
        self._p_end = table.add("p_end", (), np.float32, np.nan)
        self._is_joint = table.add("is_joint", (), np.bool_)  # another party of the call spoke meanwhile
        self._words = Words(capacity)
        self._due = np.zeros(capacity, np.uint8)
        self._features = np.zeros((capacity, len(FEATURES)), np.float32)
        self._ids: list[int] = []
        if handle is not None:
            self._memory = handle.new_state(capacity)
            handle.warm(self._memory, {1, capacity})
        super().__init__(table, self._words)

    def process(self, block: Block, emit: Emit) -> None:
        """Follow one hop of every row, and tell of the pauses that are due."""
        n = block.n
        marks = block.marks
        for event in block.events:
            if event.row is not None and isinstance(event.data, Transcript):
                self._words.take(event.row, event.data, event.start_sample)
        speech = np.asarray(marks["vad.speech"])
        any_due = follow(
            speech, marks["vad.voice"], marks["prosody.pitch_hz"], marks["level.rms_dbfs"], block.start_sample,
            self._hop_samples, self._pauses, self._tail, self._due[:n],
        )  # fmt: skip
        pauses = self._pauses[:n]
        self._p_end[:n][pauses["phase"] == SPEAKING] = np.nan
        if n > 1 and block.streams:
            self._note_others(block, speech == 1)
        if any_due:
            self._judge(block, emit, np.flatnonzero(self._due[:n]))
        last = np.flatnonzero((block.flags & np.uint8(HopFlag.LAST)) != 0)
        pauses["phase"][last] = SILENT
        marks["turntaking.p_end"][:] = self._p_end[:n]
        marks[_WAITS][:] = pauses["phase"] == PAUSING
        self._ids = [stream.id for stream in block.streams]

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        super().retire(row, last)
        if last < len(self._ids):  # else it never had a hop
            self._ids[row] = self._ids[last]
            self._ids.pop()

    def tell(self, finding: Finding, emit: Emit) -> None:
        """Take what the network says of a pause, unless the speaker has gone on or the turn is over by now."""
        if finding.stream.id not in self._ids:
            return
        row = self._ids.index(finding.stream.id)
        if self._pauses[row]["phase"] != PAUSING:
            return
        voice_end = int(self._pauses[row]["voice_end"])
        if finding.end_sample <= voice_end:
            return  # it heard the voice before this pause
        silence_s = (finding.end_sample - voice_end) / self._rate_hz
        words = self._words.of(row, int(self._pauses[row]["start"]))
        self._say(row, finding.stream, finding.result, silence_s, words, ("silence", "network"), emit)

    def _judge(self, block: Block, emit: Emit, rows: np.ndarray) -> None:
        features = self._features[: len(rows)]
        said = None
        if self._handle is not None:
            for place, row in enumerate(rows.tolist()):
                measure(self._pauses[row], self._tail[row], features[place])
            said = self._handle.run({"features": features}, self._memory, rows)["p_end"][:, 0]
        for place, row in enumerate(rows.tolist()):
            pause = self._pauses[row]
            silence_s = int(pause["silent"]) * self._hop_samples / self._rate_hz
            words = self._words.of(row, int(pause["start"]))
            if said is not None:
                self._say(row, row, float(said[place]), silence_s, words, ("silence", "voice"), emit)
            elif silence_s >= self._options.longest_silence_s:
                p_end = 1.0 if np.isnan(self._p_end[row]) else float(self._p_end[row])
                self._say(row, row, p_end, silence_s, "", ("silence",), emit)

    def _say(
        self,
        row: int,
        whose: int | StreamFacts,
        p_end: float,
        silence_s: float,
        words: str,
        rests_on: tuple[str, ...],
        emit: Emit,
    ) -> None:
        """Tell of a pause, and whether it ends the turn."""
        options, pause = self._options, self._pauses[row]
        if words:
            odds = odds_of_words(words)
            p_end = p_end * odds / (p_end * odds + 1.0 - p_end)
            rests_on = (*rests_on, "words")
        is_over = p_end >= options.threshold or silence_s >= options.longest_silence_s
        self._p_end[row] = p_end
        found = EndOfTurn(
            p_end=round(p_end, 3),
            silence_s=round(silence_s, 3),
            is_over=bool(is_over),
            is_backchannel=bool(is_over) and self._is_backchannel(row, words),
            rests_on=rests_on,
        )
        start = int(pause["start"])
        emit(whose, found, start, max(int(pause["voice_end"]), start))
        if is_over:
            self._pauses["phase"][row] = SILENT
            self._is_joint[row] = False

    def _note_others(self, block: Block, is_speech: np.ndarray) -> None:
        """Note in whose turns another party of the same call has spoken."""
        by_call: dict[str, int] = {}
        for row in np.flatnonzero(is_speech).tolist():
            call = block.streams[row].call
            by_call[call] = by_call.get(call, 0) + 1
        for row in np.flatnonzero(self._pauses["phase"][: block.n] != SILENT).tolist():
            others = by_call.get(block.streams[row].call, 0) - int(is_speech[row])
            self._is_joint[row] |= others > 0

    def _is_backchannel(self, row: int, words: str) -> bool:
        voiced_s = int(self._pauses["voiced"][row]) * self._hop_samples / self._rate_hz
        if voiced_s > self._options.backchannel_s:
            return False
        return self._words.is_backchannel(words) if words else bool(self._is_joint[row])
