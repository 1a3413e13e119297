"""MeaningPlugin: asks for the lane, tells it when each stream speaks, and passes on the scores."""

from typing import Any, ClassVar

from rtemo.api import (
    Alert,
    LaneContext,
    LaneSpec,
    LaneWork,
    ModelError,
    PluginContext,
    PluginSpec,
    QueryScore,
)
from rtemo.api.lane import STRIDE
from rtemo.api.turns import TurnNoter, Turns
from rtemo.dsp.whisper_mel import RATE_HZ
from rtemo_plugins.meaning.alerts import Teller
from rtemo_plugins.meaning.book import Book
from rtemo_plugins.meaning.options import MeaningOptions
from rtemo_plugins.meaning.work import FRAME_SAMPLES, Work


class MeaningPlugin:
    """The factory; see the README beside this file.

    Attributes:
        queries: What it looks for; may change while the engine runs, where the options let it.

    Raises:
        ConfigError: A query cannot be read.
    """

    options_type: ClassVar[type[MeaningOptions]] = MeaningOptions

    def __init__(self, options: MeaningOptions) -> None:
        self._options = options
        self.queries = Book(options)

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""
        return PluginSpec(
            name="meaning",
            summary="How near a voice is to descriptions of your own, as 'a caller losing patience'.",
            version="1",
            reads_audio=False,
            requires=("vad.speech",),
            hears=("speech_start", "speech_end"),
            emits=(QueryScore, Alert),
            gives_way=("queries",),
        )

    def open(self, context: PluginContext, capacity: int) -> TurnNoter:
        """Ask for the lane and make a processor; without queries now or later there is nothing to do.

        Raises:
            ConfigError: A rule is about none of the queries.
            ModelError: A bundle is missing, or the engine's rate is another.
        """
        options, turns = self._options, Turns()
        book = self.queries
        teller = Teller(options.alerts, book.now, turns)
        if not (book.now or options.takes_queries):
            return TurnNoter(turns)
        if context.format.sample_rate_hz != RATE_HZ:
            raise ModelError(
                f"bundle {options.listen_bundle!r} hears {RATE_HZ} Hz, the engine gives another rate",
                "take the meaning plugin out of `chain`",
            )
        frames = context.card(options.listen_bundle).inputs["there"].shape[0]
        for name in (options.bundle, options.sentence_bundle):
            context.card(name)

        def open_work(lent: LaneContext, given: Any) -> LaneWork:
            return Work(lent, given, book, turns)

        spec = LaneSpec(
            name="score",
            window_s=frames * FRAME_SAMPLES / RATE_HZ,
            stride_s=options.stride_s,
            on=(STRIDE, "speech_end"),
            least_s=0.3,
            while_mark="vad.speech",
            max_age_s=options.max_age_s,
            max_batch=options.max_batch,
            hang_s=60.0,
        )
        context.lane(spec, open_work, teller.tell, options)
        return TurnNoter(turns)
