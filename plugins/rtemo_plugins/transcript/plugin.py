"""TranscriptPlugin: asks for the lane, tells it when each stream speaks, and passes on what was said."""

from typing import Any, ClassVar

from rtemo.api import (
    Emit,
    Finding,
    LaneContext,
    LaneSpec,
    LaneWork,
    ModelError,
    PluginContext,
    PluginSpec,
    Transcript,
)
from rtemo.api.lane import STRIDE
from rtemo.api.turns import TurnNoter, Turns
from rtemo_plugins.transcript.languages import check_language
from rtemo_plugins.transcript.options import TranscriptOptions
from rtemo_plugins.transcript.work import Spoken, Work

_WINDOW_S = 28.0
"""Models hear 30 s at once."""
_LONG_S = 10.0
"""How often a long turn is listened to where nobody wants to read it before its end."""
_HANG_S = 120.0


class TranscriptPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[TranscriptOptions]] = TranscriptOptions

    def __init__(self, options: TranscriptOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="transcript",
            summary="What is said, in words, with their times; by a speech model beside the tick.",
            version="1",
            reads_audio=False,
            requires=("vad.speech",),
            hears=("speech_start", "speech_end"),
            emits=(Transcript,),
            is_verbatim=True,
            gives_way=("words",),
        )

    def open(self, context: PluginContext, capacity: int) -> TurnNoter:
        """Ask for the lane and make a processor.

        Raises:
            ModelError: There is no such bundle, it writes nothing down, or nobody knows the language.
        """
        options = self._options
        check_language(options.language)
        if context.card(options.bundle).runtime != "ctranslate2":
            raise ModelError(
                f"bundle {options.bundle!r} is no speech model", "choose another `bundle` for the transcript plugin"
            )
        turns = Turns()

        def open_work(lent: LaneContext, given: Any) -> LaneWork:
            return Work(lent, given, turns)

        spec = LaneSpec(
            name="write",
            window_s=_WINDOW_S,
            stride_s=options.stride_s if options.partial else _LONG_S,
            on=(STRIDE, "speech_end"),
            least_s=0.1,
            while_mark="vad.speech",
            max_age_s=options.max_age_s,
            max_batch=options.max_batch,
            hang_s=_HANG_S,
        )
        context.lane(spec, open_work, tell, options)
        return TurnNoter(turns)


def tell(finding: Finding, emit: Emit) -> None:
    """Say what was said."""
    spoken: Spoken = finding.result
    emit(finding.stream, spoken.transcript, spoken.start_sample, finding.end_sample)
