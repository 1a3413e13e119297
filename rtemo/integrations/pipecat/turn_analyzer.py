"""RtemoTurnAnalyzer: tells pipecat's stop strategy when a turn is over."""

from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer, BaseTurnParams, EndOfTurnState
from pipecat.metrics.metrics import MetricsData, TurnMetricsData

from rtemo.integrations.pipecat.processor import RtemoProcessor


class RtemoTurnParams(BaseTurnParams):
    """Parameters of `RtemoTurnAnalyzer`.

    Parameters:
        over_from: Probability from which a turn is over.
        stop_secs: Silence after which it is over whatever the probability.
    """

    over_from: float = 0.9
    stop_secs: float = 1.5


class RtemoTurnAnalyzer(BaseTurnAnalyzer):
    """Ends turns by what the processor's chain says of them, in the place of smart-turn.

    It hears nothing itself: `RtemoProcessor` stands before it in the pipeline and hears the caller already. Smart-turn
    can be wrapped: then a turn is over when either says so.

    Args:
        processor: Where the caller is heard; its chain must tell ends of turns.
        other: Another analyzer, as pipecat's `LocalSmartTurnAnalyzerV3`.
        params: When a turn is over.
        sample_rate: See `BaseTurnAnalyzer`.
    """

    def __init__(
        self,
        processor: RtemoProcessor,
        *,
        other: BaseTurnAnalyzer | None = None,
        params: RtemoTurnParams | None = None,
        sample_rate: int | None = None,
    ) -> None:
        super().__init__(sample_rate=sample_rate)
        self._processor = processor
        self._other = other
        self._params = params or RtemoTurnParams()
        self._is_triggered = False
        self._silence_s = 0.0
        self._told = 0  # number of the last event that was acted on

    @property
    def speech_triggered(self) -> bool:
        """Whether the caller has begun to speak."""
        return self._is_triggered

    @property
    def params(self) -> RtemoTurnParams:
        """When a turn is over."""
        return self._params

    def set_sample_rate(self, sample_rate: int) -> None:
        """See `BaseTurnAnalyzer`."""
        super().set_sample_rate(sample_rate)
        if self._other is not None:
            self._other.set_sample_rate(sample_rate)

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        """Take a frame of audio, and tell whether the turn is over."""
        others = EndOfTurnState.INCOMPLETE if self._other is None else self._other.append_audio(buffer, is_speech)
        if is_speech:
            self._is_triggered, self._silence_s = True, 0.0
            if self._processor.last_end_of_turn is not None:
                self._told = self._processor.last_end_of_turn[0]  # it was about the pause before
            return EndOfTurnState.INCOMPLETE
        if not self._is_triggered:
            return EndOfTurnState.INCOMPLETE
        self._silence_s += len(buffer) / 2 / (self.sample_rate or 16_000)
        is_over = others == EndOfTurnState.COMPLETE or self._is_over() or self._silence_s >= self._params.stop_secs
        if is_over:
            self.clear()
        return EndOfTurnState.COMPLETE if is_over else EndOfTurnState.INCOMPLETE

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, MetricsData | None]:
        """Tell whether the turn is over by what is known now, with the probability as a metric."""
        if self._other is not None:
            state, metrics = await self._other.analyze_end_of_turn()
            if state == EndOfTurnState.COMPLETE:
                self.clear()
                return state, metrics
        is_over, p_end = self._is_over(), self._p_end()
        metrics = TurnMetricsData(
            processor=type(self).__name__, is_complete=is_over, probability=p_end, e2e_processing_time_ms=0.0
        )
        if is_over:
            self.clear()
        return (EndOfTurnState.COMPLETE if is_over else EndOfTurnState.INCOMPLETE), metrics

    def clear(self) -> None:
        """Begin anew."""
        self._is_triggered, self._silence_s = False, 0.0
        last = self._processor.last_end_of_turn
        self._told = 0 if last is None else last[0]
        if self._other is not None:
            self._other.clear()

    async def cleanup(self) -> None:
        """Let the other analyzer clean up."""
        await super().cleanup()
        if self._other is not None:
            await self._other.cleanup()

    def _p_end(self) -> float:
        last = self._processor.last_end_of_turn
        return 0.0 if last is None or last[0] <= self._told else last[1].p_end

    def _is_over(self) -> bool:
        last = self._processor.last_end_of_turn
        if last is None or last[0] <= self._told:
            return False
        return last[1].p_end >= self._params.over_from
