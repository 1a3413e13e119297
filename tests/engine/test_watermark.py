"""A voice that carries the watermark is told in a live call; any other is not spoken of."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import soundfile

from rtemo.api import Event, ModelError, PluginContext, StreamFormat
from rtemo.config import load_config
from rtemo.dsp.resample import resample
from rtemo.dsp.watermark import add_watermark
from rtemo.session import Session
from rtemo_plugins.watermark.options import WatermarkOptions
from rtemo_plugins.watermark.plugin import WatermarkPlugin

pytestmark = pytest.mark.engine

RATE_HZ = 16_000
MADE_S = 12.0
CALL = Path(__file__).parents[2] / "examples/call.flac"


@pytest.fixture(scope="module")
def genuine() -> np.ndarray:
    samples, rate_hz = soundfile.read(CALL, dtype="float32", always_2d=True)
    return resample(np.ascontiguousarray(samples[:, 0]), rate_hz, RATE_HZ)


@pytest.fixture(scope="module")
def half_made(genuine: np.ndarray) -> np.ndarray:
    """A call in which a made voice takes over."""
    start = round(MADE_S * RATE_HZ)
    return np.concatenate([genuine[:start], add_watermark(genuine[start:])])


def said(
    sound: np.ndarray, chain: tuple[str, ...] = ("vad", "watermark"), role: str = "caller", **plugins: Any
) -> list[Event]:
    config = load_config(None, (), chain)
    config = msgspec.structs.replace(config, plugins=config.plugins | plugins)
    with Session(config=config, mode="freewheel") as session:
        stream = session.stream("call", role=role)
        stream.push(sound)
        stream.end()
        return list(stream.events())


def spoofs(events: list[Event]) -> list[Event]:
    return [event for event in events if event.kind == "spoof" and event.plugin == "watermark"]


def test_a_genuine_call_is_not_spoken_of(genuine: np.ndarray) -> None:
    assert not spoofs(said(genuine))


def test_a_made_voice_is_told_once_as_an_alarm_and_again_while_it_speaks(half_made: np.ndarray) -> None:
    told = spoofs(said(half_made))
    assert [event.data.trigger for event in told[:2]] == ["alarm", "refresh"]
    assert {event.data.trigger for event in told[1:]} == {"refresh"}
    assert all(event.data.verdict == "spoof" and event.data.is_alarmed and event.data.score > 10 for event in told)
    assert MADE_S - 3 < told[0].start_sample / RATE_HZ < told[0].end_sample / RATE_HZ < MADE_S + 15
    assert len(told) > 5


def test_gem_believes_it_so_that_what_is_said_of_the_voice_is_not_trusted(half_made: np.ndarray) -> None:
    events = said(half_made, ("vad", "merit", "watermark", "gem"), gem={"policy": "tag"})
    [first, *_] = spoofs(events)
    after = first.end_sample + 4 * RATE_HZ
    later = [event for event in events if event.kind == "emotion" and event.end_sample > after]
    assert later
    assert not any(event.data.is_trusted for event in later)
    assert not [
        event for event in events if event.plugin == "gem" and event.end_sample > after and event.kind == "spoof"
    ]


def test_people_whose_timing_alone_may_be_known_are_not_looked_at(half_made: np.ndarray) -> None:
    assert not spoofs(said(half_made, role="agent"))


def test_another_rate_is_refused_with_a_mend() -> None:
    class At8:
        format = StreamFormat(sample_rate_hz=8_000)

    context: PluginContext = At8()  # type: ignore[assignment]
    with pytest.raises(ModelError, match="take the watermark plugin out of `chain`"):
        WatermarkPlugin(WatermarkOptions()).open(context, 1)
