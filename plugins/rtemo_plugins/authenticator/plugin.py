"""AuthenticatorPlugin: asks for the lane, tells it when each stream speaks, and judges what it finds."""

from typing import Any, ClassVar

from rtemo.api import (
    Block,
    Emit,
    Emotion,
    LaneContext,
    LaneSpec,
    LaneWork,
    PluginContext,
    PluginSpec,
    Spoof,
    check_rate,
)
from rtemo.api.lane import STRIDE
from rtemo.dsp.whisper_mel import RATE_HZ
from rtemo_plugins.authenticator.options import AuthenticatorOptions
from rtemo_plugins.authenticator.verdicts import Verdicts
from rtemo_plugins.authenticator.work import AuthenticatorWork, check_experts
from rtemo_plugins.listener.plugin import ListenerProcessor
from rtemo_plugins.listener.stretches import Stretches
from rtemo_plugins.listener.work import FRAME_SAMPLES, window_frames


class AuthenticatorPlugin:
    """The factory; see the README beside this file."""

    options_type: ClassVar[type[AuthenticatorOptions]] = AuthenticatorOptions

    def __init__(self, options: AuthenticatorOptions) -> None:
        self._options = options

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="authenticator",
            summary="Risk that the voice is synthetic, by experts on a large speech encoder.",
            version="1",
            reads_audio=False,
            requires=("vad.speech",),
            emits=(Spoof, Emotion) if self._options.emotion else (Spoof,),
            gives_way=("rate",) if self._options.emotion else ("spoof",),
        )

    def open(self, context: PluginContext, capacity: int) -> "AuthenticatorProcessor":
        """Ask for the lane and make a processor.

        Raises:
            ModelError: The bundle cannot be loaded, or does not fit the plugin or the engine.
        """
        options = self._options
        check_rate(context.format.sample_rate_hz, RATE_HZ, options.bundle, "authenticator")
        model = context.model(options.bundle)
        window_s = window_frames(model, options.bundle) * FRAME_SAMPLES / RATE_HZ
        check_experts(model, options.bundle)
        stretches = Stretches()
        verdicts = Verdicts(model.card, options, RATE_HZ)

        def open_work(lent: LaneContext, given: Any) -> LaneWork:
            return AuthenticatorWork(lent, given, stretches)

        spec = LaneSpec(
            name="encode",
            window_s=window_s,
            stride_s=options.stride_s,
            on=(STRIDE, "speech_end"),
            least_s=min(0.1, options.least_s),
            while_mark="vad.speech",
            max_age_s=options.max_age_s,
            max_batch=options.max_batch,
        )
        context.lane(spec, open_work, verdicts.tell, options)
        return AuthenticatorProcessor(stretches, verdicts, options.policy == "tag", capacity)


class AuthenticatorProcessor(ListenerProcessor):
    """Notes when each stream begins and ends to speak, and doubts those that are judged synthetic.

    Args:
        stretches: Where speech is noted.
        verdicts: What is decided of each stream.
        tags: Whether a voice that is judged synthetic is doubted.
        capacity: Most streams.
    """

    def __init__(self, stretches: Stretches, verdicts: Verdicts, tags: bool, capacity: int) -> None:
        super().__init__(stretches, room=None, capacity=capacity, mark=None)
        self._verdicts = verdicts
        self._tags = tags

    def process(self, block: Block, emit: Emit) -> None:
        """Note whose speech has begun or ended with this hop; doubt whom the verdict says."""
        super().process(block, emit)
        if self._tags and len(block.streams) == block.n:
            doubted = self._verdicts.doubted
            block.is_doubted[:] = [stream.id in doubted for stream in block.streams]

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        if last < len(self._streams):
            self._verdicts.leave(self._streams[row].id)
        super().retire(row, last)
