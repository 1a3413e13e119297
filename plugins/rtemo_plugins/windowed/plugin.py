"""WindowedPlugin: any emotion model that takes some seconds at once, beside the tick."""

from functools import partial
from typing import Any, ClassVar

import numpy as np

from rtemo.api import (
    EMOTIONS,
    Block,
    Emit,
    Emotion,
    Finding,
    LaneContext,
    LaneSpec,
    Mark,
    ModelError,
    PluginContext,
    PluginSpec,
    RowParts,
    StateTable,
)
from rtemo.api.lane import STRIDE
from rtemo.api.units import seconds_to_samples
from rtemo_plugins.windowed.courses import Courses
from rtemo_plugins.windowed.facts import Facts, read_facts
from rtemo_plugins.windowed.options import WindowedOptions
from rtemo_plugins.windowed.spans import Spans
from rtemo_plugins.windowed.work import AROUSAL, VALENCE, Work

_SILENCE = 0  # of `vad.speech`: anything else, unknown too, is listened to


class WindowedPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[WindowedOptions]] = WindowedOptions

    def __init__(self, options: WindowedOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="windowed",
            summary="Emotion by a model of your own that takes some seconds at once, beside the tick.",
            version="1",
            reads_audio=self._options.audio == "processed",
            provides=(
                Mark("windowed.posterior", shape=(len(EMOTIONS),), meaning="probability of each emotion, as last told"),
                Mark("windowed.arousal", meaning="-1 calm to 1 excited"),
                Mark("windowed.valence", meaning="-1 negative to 1 positive"),
            ),
            requires=("vad.speech",),
            emits=(Emotion,),
            gives_way=("rate",),
        )

    def open(self, context: PluginContext, capacity: int) -> "WindowedProcessor":
        """Read the card and ask for a lane, which loads the model.

        Raises:
            ModelError: No bundle is named, there is none of that name, or its card does not fit.
        """
        options = self._options
        if not options.bundle:
            raise ModelError(
                "the windowed plugin has no model: plugins.windowed.bundle is empty",
                "name an installed bundle or a folder there, or take it out of `chain`; see docs/own-model.md",
            )
        facts = read_facts(context.card(options.bundle), options, context.format)
        processor = WindowedProcessor(facts, context.format.sample_rate_hz, capacity)
        spec = LaneSpec(
            name="model",
            window_s=facts.window_s,
            stride_s=facts.stride_s,
            on=(STRIDE, "speech_end"),
            audio=options.audio,
            least_s=options.least_s,
            while_mark="vad.speech",
            max_age_s=options.max_age_s,
            max_batch=options.max_batch,
        )
        context.lane(spec, partial(_open_work, facts=facts, spans=processor.spans), processor.tell, options)
        return processor


def _open_work(context: LaneContext, options: WindowedOptions, *, facts: Facts, spans: Spans) -> Work:
    return Work(context, options.bundle, facts, spans, options.least_s, options.max_batch)


class WindowedProcessor(RowParts):
    """Follows who speaks, and shows what the lane found.

    Args:
        facts: Of the model.
        rate_hz: Of the audio.
        capacity: Most streams.
    """

    def __init__(self, facts: Facts, rate_hz: int, capacity: int) -> None:
        self.spans = Spans(capacity)
        self._courses = Courses(rate_hz, seconds_to_samples(facts.window_s, rate_hz), facts.unsure_below, capacity)
        self._table = table = StateTable(capacity)
        self._shown = table.add("shown", (len(EMOTIONS) + 2,), np.float32, np.nan)
        super().__init__(self.spans, table)

    def process(self, block: Block, emit: Emit) -> None:
        """Note who speaks in this hop, and write the marks."""
        speech: Any = block.marks["vad.speech"]
        self.spans.hear(speech != _SILENCE, block.start_sample, block.streams)
        shown = self._shown[: block.n]
        block.marks["windowed.posterior"][:] = shown[:, :AROUSAL]
        block.marks["windowed.arousal"][:] = shown[:, AROUSAL]
        block.marks["windowed.valence"][:] = shown[:, VALENCE]

    def tell(self, finding: Finding, emit: Emit) -> None:
        """Emit what a window adds."""
        course, emotion = self._courses.take(finding)
        row = self.spans.row(finding.stream)
        if row is not None:
            self._shown[row] = course.values
        emit(finding.stream, emotion, course.start_sample, course.end_sample)
