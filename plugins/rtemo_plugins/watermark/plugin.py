"""WatermarkPlugin: asks for the lane that looks for the watermark, and tells where it was found."""

from typing import Any, ClassVar

from rtemo.api import Emit, Finding, LaneContext, LaneSpec, LaneWork, ModelError, PluginContext, PluginSpec, Spoof
from rtemo.api.lane import STRIDE
from rtemo.api.turns import TurnNoter, Turns
from rtemo.dsp.watermark import RATE_HZ
from rtemo_plugins.watermark.options import WatermarkOptions
from rtemo_plugins.watermark.work import WINDOW_S, Found, Work


class WatermarkPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[WatermarkOptions]] = WatermarkOptions

    def __init__(self, options: WatermarkOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="watermark",
            summary="Tells voices that rtemo made by the watermark that they carry.",
            version="1",
            reads_audio=False,
            requires=("vad.speech",),
            hears=("speech_start", "speech_end"),
            emits=(Spoof,),
            gives_way=("spoof",),
        )

    def open(self, context: PluginContext, capacity: int) -> TurnNoter:
        """Ask for the lane and make a processor.

        Raises:
            ModelError: The engine's rate is another than that of the watermark.
        """
        if context.format.sample_rate_hz != RATE_HZ:
            raise ModelError(
                f"the watermark is one of {RATE_HZ} Hz, the engine gives {context.format.sample_rate_hz} Hz",
                "take the watermark plugin out of `chain`",
            )
        turns = Turns()

        def open_work(lent: LaneContext, given: Any) -> LaneWork:
            return Work(given.threshold, turns)

        spec = LaneSpec(
            name="look",
            window_s=WINDOW_S,
            stride_s=self._options.stride_s,
            on=(STRIDE, "speech_end"),
            least_s=1.0,
            while_mark="vad.speech",
            max_age_s=self._options.max_age_s,
            max_batch=self._options.max_batch,
        )
        context.lane(spec, open_work, _tell, self._options)
        return TurnNoter(turns)


def _tell(finding: Finding, emit: Emit) -> None:
    found: Found = finding.result
    emit(finding.stream, found.spoof, found.start_sample, found.end_sample)
