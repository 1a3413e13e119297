"""RationalePlugin: says of every turn why it sounds as it does, in words that measurements confirm."""

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    Block,
    BlockEvent,
    Emit,
    Emotion,
    HopFlag,
    LaneSpec,
    PluginContext,
    PluginSpec,
    Rationale,
    ResetReason,
    StateTable,
    StreamFacts,
    StreamFormat,
)
from rtemo.api.units import seconds_to_hops, seconds_to_samples
from rtemo.cues.trace import check, share_of
from rtemo.cues.turn import UNSURE, Turn, disagree
from rtemo.cues.writer import Writer
from rtemo_plugins.rationale.options import RationaleOptions
from rtemo_plugins.rationale.record import measure
from rtemo_plugins.rationale.tally import BINS, REPORT, TALLY, conclude, count
from rtemo_plugins.rationale.teacher import Draft, Drafts, Rewriting, tell
from rtemo_plugins.rationale.voice import Ended, Voice

_SILENCE = 0  # of `vad.speech` and `vad.voice`: anything else, unknown too, is listened to
_PAUSE_S = 0.15
_PART_S = 0.5
_MOST_REWRITES = 4  # at once, one after the other
_SPACING_S = 1.0  # between two rationales within a turn


class RationalePlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[RationaleOptions]] = RationaleOptions

    def __init__(self, options: RationaleOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="rationale",
            summary="Why a turn sounds as it does: measured cues and words, in a sentence.",
            version="1",
            reads_audio=False,
            requires=("vad.speech", "vad.voice", "level.rms_dbfs", "prosody.pitch_hz"),
            hears=("speech_end", "prosody", "emotion", "transcript"),
            emits=(Rationale,),
            gives_way=("extras",),
        )

    def open(self, context: PluginContext, capacity: int) -> "RationaleProcessor":
        """Make a processor, and ask for a lane where a teacher is configured.

        Raises:
            ConfigError: The teacher's address is none.
        """
        options = self._options
        if not options.teacher_url:
            return RationaleProcessor(options, context.format, capacity)
        drafts = Drafts(4 * capacity)
        rewriting = Rewriting(options, drafts)
        spec = LaneSpec(
            name="rewrite",
            window_s=0.1,
            on=("rationale",),
            least_s=0.0,
            max_age_s=2 * options.teacher_timeout_s if options.teacher_timeout_s < 30 else 60.0,
            hang_s=options.teacher_timeout_s * _MOST_REWRITES + 5.0,
            max_batch=_MOST_REWRITES,
        )
        context.lane(spec, lambda lent, given: rewriting, tell)
        return RationaleProcessor(options, context.format, capacity, drafts)


class RationaleProcessor:
    """Counts every hop of all rows at once; all else is done once a turn.

    Args:
        options: Of the plugin.
        format: Of the audio.
        capacity: Most streams.
        drafts: Where what is to be rewritten is put, if it is.
    """

    def __init__(
        self, options: RationaleOptions, format: StreamFormat, capacity: int, drafts: Drafts | None = None
    ) -> None:
        rate_hz, hop = format.sample_rate_hz, format.hop_samples
        self._options = options
        self._drafts = drafts
        self._writer = Writer(options.language)
        self._hop_samples = hop
        self._hop_s = hop / rate_hz
        self._pause_hops = seconds_to_hops(_PAUSE_S, rate_hz, hop)
        self._part_hops = seconds_to_hops(_PART_S, rate_hz, hop)
        self._least_hops = seconds_to_hops(options.least_s, rate_hz, hop)
        self._patience_samples = seconds_to_samples(options.patience_s, rate_hz)
        self._spacing_samples = seconds_to_samples(_SPACING_S, rate_hz)
        self._state = StateTable(capacity)
        self._tallies = self._state.add("tally", (), TALLY)
        self._histograms = self._state.add("histogram", (BINS,), np.int32)
        self._reports = np.zeros(capacity, REPORT)
        self._snapshot = np.zeros(1, REPORT)
        conclude(self._tallies[0], self._histograms[0], hop, self._snapshot[0])  # compiled before there is audio
        self._is_waiting = False
        self._voices: list[Voice] = []
        self._left: dict[int, Voice] = {}
        self._most_left = 2 * capacity + 8

    def process(self, block: Block, emit: Emit) -> None:
        """Hear what was said, count one hop, and write about the turns that are over."""
        marks = block.marks
        in_turn = marks["vad.speech"] != _SILENCE
        is_real = (block.flags & np.uint8(HopFlag.CONCEALED)) == 0
        is_speech = in_turn & is_real & (marks["vad.voice"] != _SILENCE)
        is_last = (block.flags & np.uint8(HopFlag.LAST)) != 0
        any_due = count(
            in_turn, is_speech, is_last, block.start_sample, self._hop_samples, marks["level.rms_dbfs"],
            marks["prosody.pitch_hz"], self._pause_hops, self._part_hops, self._tallies, self._histograms,
            self._reports,
        )  # fmt: skip
        if block.events:
            self.hear(block.events, emit)
        if any_due:
            for row in np.flatnonzero(self._reports["is_due"][: block.n]).tolist():
                self._end(row, block, emit)
        if self._is_waiting:
            self._is_waiting = False
            for row, voice in enumerate(self._voices):
                ended = voice.ended
                if ended is None or ended.is_told:
                    continue
                is_late = int(block.start_sample[row]) >= ended.due_sample
                if voice.is_ready or is_late or is_last[row]:
                    self._tell(voice, row, ended, "stream_end" if is_last[row] else "turn_end", emit)
                else:
                    self._is_waiting = True

    def hear(self, events: Sequence[BlockEvent], emit: Emit) -> None:
        """Take in what was said of streams, those too that have left; words that come late are added."""
        for event in events:
            voice = self._voice(event)
            if voice is None:
                continue
            voice.hear(event)
            ended = voice.ended
            where = event.stream if event.row is None else event.row
            if ended is not None and ended.is_told and ended.spans(event) and voice.is_ready:
                is_news = event.kind == "transcript" or ended.emotion is event.data
                if is_news and event.kind != "prosody" and where is not None:
                    self._tell(voice, where, ended, "words" if event.kind == "transcript" else "change", emit)
            elif isinstance(event.data, Emotion) and event.row is not None and not event.data.is_final:
                self._follow(voice, event.row, event.data, emit)

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        self._state.admit(row)
        self._voices.append(self._fresh())

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place. What lanes still find of it may come."""
        voice = self._voices[row]
        if voice.stream is not None and voice.ended is not None:
            self._left[voice.stream.id] = voice
            while len(self._left) > self._most_left:
                del self._left[next(iter(self._left))]
        self._voices[row] = self._voices[last]
        self._voices.pop()
        self._state.retire(row, last)

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Put the given rows into the state of a fresh stream."""
        for row in rows.tolist():
            self._state.reset(row)
            self._voices[row] = self._fresh()

    def close(self) -> None:
        """Drop what is known of everybody."""
        self._voices.clear()
        self._left.clear()

    def _fresh(self) -> Voice:
        return Voice(self._options.language, self._options.cite_words)

    def _voice(self, event: BlockEvent) -> Voice | None:
        if event.row is not None:
            return self._voices[event.row] if event.row < len(self._voices) else None
        return None if event.stream is None else self._left.get(event.stream.id)

    def _end(self, row: int, block: Block, emit: Emit) -> None:
        report = self._reports[row]
        if report["speech_hops"] < self._least_hops:
            return
        voice = self._voices[row]
        if len(block.streams) == block.n:  # else the engine warms up
            voice.stream = block.streams[row]
        if voice.ended is not None and not voice.ended.is_told:  # the next turn was over before its patience was
            self._tell(voice, row, voice.ended, "turn_end", emit)
        self._is_waiting = True
        voice.end(measure(report, voice.seconds, self._hop_s), self._patience_samples)

    def _follow(self, voice: Voice, row: int, emotion: Emotion, emit: Emit) -> None:
        """Write within a turn when it begins to sound otherwise than was told last."""
        if not self._options.on_change or emotion.label in (UNSURE, voice.told_label) or not voice.told_label:
            return
        tally = self._tallies[row]
        if tally["speech_hops"] < self._least_hops or tally["end"] - voice.told_sample < self._spacing_samples:
            return
        conclude(tally, self._histograms[row], self._hop_samples, self._snapshot[0])
        turn = voice.running(measure(self._snapshot[0], voice.seconds, self._hop_s))
        self._say(voice, row, turn, "change", False, emit)

    def _tell(self, voice: Voice, where: int | StreamFacts, ended: Ended, trigger: str, emit: Emit) -> None:
        ended.is_told = True
        self._say(voice, where, voice.turn(ended), trigger, True, emit)

    def _say(
        self, voice: Voice, where: int | StreamFacts, turn: Turn, trigger: str, is_final: bool, emit: Emit
    ) -> None:
        if not turn.cues:
            return
        options = self._options
        text = self._writer.write(turn, most_cues=options.most_cues)
        if voice.told == (turn.start_sample, text):
            return  # what came late has changed nothing
        voice.told = turn.start_sample, text
        claims = check(text, turn, options.language)
        voice.told_label = turn.label if turn.label != UNSURE else voice.told_label
        voice.told_sample = turn.end_sample
        data = Rationale(
            label=turn.label,
            text=text,
            language=options.language,
            verified_share=round(share_of(claims), 4),
            claims=claims,
            cues=turn.cues,
            confidence=turn.probabilities.get(turn.label, max(turn.probabilities.values(), default=0.0)),
            text_label=turn.reading.label,
            is_disagreeing=disagree(turn),
            trigger=trigger,
            is_final=is_final,
        )
        if self._drafts is not None and is_final and voice.stream is not None:
            self._drafts.put(voice.stream.id, Draft(turn, data))
        emit(where, data, turn.start_sample, turn.end_sample)
