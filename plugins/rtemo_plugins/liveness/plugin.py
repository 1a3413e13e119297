"""LivenessPlugin: has a doubtful voice asked for words, and tells whether it said them."""

from typing import ClassVar

import numpy as np

from rtemo.api import (
    Block,
    BlockEvent,
    Challenge,
    Emit,
    HopFlag,
    PluginContext,
    PluginSpec,
    RowParts,
    Spoof,
    StreamFormat,
    Transcript,
)
from rtemo_plugins.liveness.options import LivenessOptions, Reason
from rtemo_plugins.liveness.questions import Question, Questions
from rtemo_plugins.liveness.words import ask, draw

_LATEST_S = 10.0
"""So long after the time to answer is over a transcript may still come: words are written down beside the ticks."""


class LivenessPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[LivenessOptions]] = LivenessOptions

    def __init__(self, options: LivenessOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="liveness",
            summary="Words to ask a voice for that may be synthetic, and whether it said them.",
            version="1",
            reads_audio=False,
            hears=("spoof", "transcript"),
            emits=(Challenge,),
        )

    def open(self, context: PluginContext, capacity: int) -> "LivenessProcessor":
        """Make a processor; without a plugin before it that writes words down it asks, and tells no outcome."""
        return LivenessProcessor(self._options, "transcript" in context.said_earlier, context.format, capacity)


class LivenessProcessor(RowParts):
    """Asks at a verdict, and follows what is said after it; costs nothing while no voice is doubtful.

    Args:
        options: Of the plugin.
        has_words: Whether somebody writes words down.
        format: Of all audio.
        capacity: Most rows.
    """

    def __init__(self, options: LivenessOptions, has_words: bool, format: StreamFormat, capacity: int) -> None:
        self._options = options
        self._has_words = has_words
        self._hop_samples = format.hop_samples
        self._rate_hz = format.sample_rate_hz
        self._questions = Questions(capacity)
        self._any_open = False
        super().__init__(self._questions)

    def process(self, block: Block, emit: Emit) -> None:
        """Hear verdicts and words, ask, and tell what is over."""
        for event in block.events:
            if event.row is None:
                continue
            here = int(block.start_sample[event.row]) + self._hop_samples
            if isinstance(event.data, Spoof):
                self._doubt(event.row, event.data, here, emit)
            elif isinstance(event.data, Transcript) and event.data.is_final:
                self._listen(event, event.data, here, emit)
        if self._any_open:
            self._wait(block, emit)

    def _doubt(self, row: int, spoof: Spoof, here: int, emit: Emit) -> None:
        options, last = self._options, self._questions[row]
        reason: Reason = "alarm" if spoof.is_alarmed else "spoof"
        is_doubtful = spoof.is_alarmed or (options.on == "spoof" and spoof.verdict == "spoof")
        if not is_doubtful or (last is not None and not self._may_ask_again(last, here)):
            return
        words = draw(options.language, options.words)
        question = self._questions[row] = Question(words, ask(options.language, words), reason, here)
        question.is_over = not self._has_words
        self._any_open = self._any_open or self._has_words
        emit(row, Challenge(state="asked", ask=question.ask, words=words, reason=reason), here, here)

    def _may_ask_again(self, last: Question, here: int) -> bool:
        return last.is_over and here - last.asked_sample >= self._options.again_s * self._rate_hz

    def _listen(self, event: BlockEvent, transcript: Transcript, here: int, emit: Emit) -> None:
        """Take a turn in which somebody spoke after he was asked."""
        assert event.row is not None
        question = self._questions[event.row]
        if question is None or question.is_over or event.end_sample <= question.asked_sample:
            return
        if event.start_sample > question.asked_sample + self._options.wait_s * self._rate_hz:
            return
        question.hear(transcript.text)
        if question.is_met:
            self._tell(event.row, question, "met", min(event.end_sample, here), emit)

    def _wait(self, block: Block, emit: Emit) -> None:
        """Tell what is over with time, or with the stream."""
        still = self._questions.open(block.n)
        for row, question in still:
            here = int(block.start_sample[row]) + self._hop_samples
            waited_s = (here - question.asked_sample) / self._rate_hz
            is_last = bool(block.flags[row] & np.uint8(HopFlag.LAST))
            if is_last or waited_s >= self._options.wait_s + _LATEST_S:
                self._tell(row, question, "missed" if question.has_answer else "unanswered", here, emit)
        self._any_open = any(not question.is_over for _, question in still)

    def _tell(self, row: int, question: Question, state: str, end_sample: int, emit: Emit) -> None:
        question.is_over = True
        answer_s = (end_sample - question.asked_sample) / self._rate_hz
        found = Challenge(
            state=state,
            ask=question.ask,
            words=question.words,
            reason=question.reason,
            heard=question.heard,
            answer_s=round(answer_s, 3) if state == "met" else None,
        )
        emit(row, found, question.asked_sample, end_sample)
