"""Ends of turns in a whole chain: by pauses, and by smart-turn in its lane."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

import rtemo
from rtemo.api import EndOfTurn, ModelError
from rtemo.config import Config

pytestmark = pytest.mark.engine

CALL = Path(__file__).parents[2] / "examples" / "call.flac"


def ends(**options: object) -> tuple[list[EndOfTurn], list[str]]:
    audio, rate_hz = soundfile.read(CALL, dtype="float32", always_2d=True)
    config = Config(chain=("level", "vad", "prosody", "turntaking"), plugins={"turntaking": options})
    try:
        session = rtemo.Session(config, mode="freewheel")
        session.start()
    except ModelError as error:
        pytest.skip(str(error))
    try:
        stream = session.stream("call", sample_rate_hz=rate_hz)
        stream.push(np.ascontiguousarray(audio[6 * rate_hz : 16 * rate_hz, 0]))
        stream.end()
        events = list(stream.events())
    finally:
        session.stop()
    return [event.data for event in events if isinstance(event.data, EndOfTurn)], [event.kind for event in events]


def test_turns_of_a_call_end_by_their_pauses() -> None:
    told, kinds = ends()
    assert told
    assert sum(data.is_over for data in told) >= 1
    assert all(data.rests_on == ("silence", "voice") for data in told)
    assert kinds.count("speech_end") >= sum(data.is_over for data in told)


def test_smart_turn_tells_them_beside_the_tick() -> None:
    told, kinds = ends(judge="network")
    by_network = [data for data in told if "network" in data.rests_on]
    assert by_network
    assert all(0.0 <= data.p_end <= 1.0 and data.silence_s > 0.0 for data in by_network)
    assert any(data.is_over for data in told)
    assert "fault" not in kinds
