"""RtemoTurnAnalyzer: what pipecat's stop strategy is told, of ends that the chain tells and of another analyzer's."""

import asyncio
from typing import Any

import pytest

from rtemo.api import EndOfTurn

pytest.importorskip("pipecat", reason="pipecat-ai is not installed: the extra pipecat")

from pipecat.audio.turn.base_turn_analyzer import BaseTurnAnalyzer, EndOfTurnState

from rtemo.integrations.pipecat.turn_analyzer import RtemoTurnAnalyzer, RtemoTurnParams

pytestmark = pytest.mark.unit

FRAME = bytes(640)  # 20 ms at 16 kHz
GOES_ON, OVER = EndOfTurnState.INCOMPLETE, EndOfTurnState.COMPLETE


class Processor:
    """What the analyzer looks at of a processor."""

    last_end_of_turn: tuple[int, EndOfTurn] | None = None

    def say(self, number: int, p_end: float) -> None:
        self.last_end_of_turn = (number, EndOfTurn(p_end=p_end, silence_s=0.2))


class Other(BaseTurnAnalyzer):
    """An analyzer that says when it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.state, self.heard, self.cleared = GOES_ON, 0, 0

    speech_triggered = True
    params = RtemoTurnParams()

    def append_audio(self, buffer: bytes, is_speech: bool) -> EndOfTurnState:
        self.heard += 1
        return self.state

    async def analyze_end_of_turn(self) -> tuple[EndOfTurnState, Any]:
        return self.state, None

    def clear(self) -> None:
        self.cleared += 1


def analyzer(other: Other | None = None) -> tuple[RtemoTurnAnalyzer, Processor]:
    processor = Processor()
    made = RtemoTurnAnalyzer(processor, other=other)  # type: ignore[arg-type]
    made.set_sample_rate(16_000)
    return made, processor


def test_a_turn_is_over_when_the_chain_is_sure_enough_and_only_once() -> None:
    made, processor = analyzer()
    assert made.append_audio(FRAME, False) == GOES_ON  # nobody has spoken yet
    made.append_audio(FRAME, True)
    assert made.speech_triggered
    processor.say(1, 0.5)
    assert made.append_audio(FRAME, False) == GOES_ON
    processor.say(2, 0.95)
    assert made.append_audio(FRAME, False) == OVER
    assert not made.speech_triggered
    made.append_audio(FRAME, True)
    assert made.append_audio(FRAME, False) == GOES_ON  # what was said is of the turn before


def test_what_was_said_of_a_pause_is_void_once_the_speaker_goes_on() -> None:
    made, processor = analyzer()
    made.append_audio(FRAME, True)
    processor.say(1, 0.95)
    made.append_audio(FRAME, True)
    assert made.append_audio(FRAME, False) == GOES_ON


def test_a_long_silence_ends_a_turn_although_nothing_was_told() -> None:
    made, _ = analyzer()
    made.append_audio(FRAME, True)
    states = [made.append_audio(FRAME, False) for _ in range(75)]
    assert states.index(OVER) == 74  # 1.5 s


def test_when_pipecat_asks_it_gets_the_state_with_the_probability_as_a_metric() -> None:
    made, processor = analyzer()
    made.append_audio(FRAME, True)
    processor.say(1, 0.4)
    state, metrics = asyncio.run(made.analyze_end_of_turn())
    assert state == GOES_ON
    assert metrics is not None
    assert (metrics.probability, metrics.is_complete) == (0.4, False)
    processor.say(2, 0.92)
    state, metrics = asyncio.run(made.analyze_end_of_turn())
    assert (state, metrics.is_complete) == (OVER, True)


def test_another_analyzer_hears_everything_and_may_end_the_turn_too() -> None:
    other = Other()
    made, _ = analyzer(other)
    made.append_audio(FRAME, True)
    made.append_audio(FRAME, False)
    assert other.heard == 2
    other.state = OVER
    assert made.append_audio(FRAME, False) == OVER
    made.append_audio(FRAME, True)
    assert asyncio.run(made.analyze_end_of_turn())[0] == OVER
    assert other.cleared == 2
