"""SpeakerSink on a device that asks for audio when the test says so."""

import time
from typing import Any

import numpy as np
import pytest

from rtemo.api import DeviceError, ProcessedBlock, StreamFormat
from rtemo.io.sinks.options import PlayOptions
from rtemo.io.sinks.play_ring import PlayRing
from rtemo.io.sinks.speaker import SpeakerSink, feedback_risk
from rtemo.io.sources.capture import InputDevice, OutputDevice

pytestmark = pytest.mark.unit

HOP = 160
BOX = OutputDevice(index=2, name="Box", host_api="ALSA", channels=8, default_rate_hz=16_000, is_default=True)
PHONES = OutputDevice(index=3, name="Phones", host_api="ALSA", channels=1, default_rate_hz=48_000)


class FakeStream:
    is_active = True
    latency_s = 0.0
    is_closed = False

    def start(self) -> None: ...

    def close(self) -> None:
        self.is_closed = True


class FakeOutput:
    """A backend with two loudspeakers."""

    def __init__(self, *devices: OutputDevice) -> None:
        self._devices = devices
        self.stream = FakeStream()
        self.ring: PlayRing
        self.opened: dict[str, Any] = {}

    def output_devices(self) -> list[OutputDevice]:
        return list(self._devices)

    def open_output(self, device: OutputDevice, *, ring: PlayRing, **options: Any) -> FakeStream:
        self.ring = ring
        self.opened = {"device": device, **options}
        return self.stream


def speaker(**options: Any) -> tuple[SpeakerSink, FakeOutput]:
    backend = FakeOutput(BOX, PHONES)
    sink = SpeakerSink(PlayOptions(**options), backend)  # type: ignore[arg-type]
    sink.open(StreamFormat())
    return sink, backend


def block(*values: float, is_last: bool = False) -> ProcessedBlock:
    """One hop of one stream per value."""
    n = len(values)
    return ProcessedBlock(
        tuple(object() for _ in values),  # type: ignore[arg-type]
        np.repeat(np.array(values, np.float32)[:, None], HOP, axis=1),
        np.zeros(n, np.int64),
        np.full(n, HOP, np.int64),
        np.zeros(n, np.int64),
        np.full(n, is_last, np.bool_),
    )


def test_streams_are_mixed_clipped_and_played_on_both_channels_of_the_default_device() -> None:
    sink, backend = speaker(prefill_s=0.01)
    sink.write(block(0.25, 0.5))
    sink.write(block(0.75, 0.5))
    assert backend.opened["device"] == BOX
    assert backend.opened["channels"] == 2
    out = backend.ring.pull(2 * HOP)
    assert np.all(out[:HOP] == np.float32(0.75))
    assert np.all(out[HOP:] == np.float32(1.0))


def test_a_device_of_another_rate_gets_the_audio_at_that_rate() -> None:
    sink, backend = speaker(device="phones", prefill_s=0.0)
    for _ in range(8):
        sink.write(block(0.5))
    assert backend.opened["rate_hz"] == 48_000
    out = backend.ring.pull(8 * 3 * HOP)[:, 0]
    assert np.mean(out[1000:3000]) == pytest.approx(0.5, abs=1e-3)
    assert 0 < sink.underrun_samples < 0.01 * 16_000  # the rate conversion holds back a few milliseconds


def test_too_much_in_hand_is_dropped_down_to_the_prefill_and_counted() -> None:
    sink, backend = speaker(prefill_s=0.04, surplus_s=0.1)
    backend.ring.pull(1)
    for _ in range(30):
        sink.write(block(0.5))
    most = round(0.14 * 16_000)
    assert backend.ring.fill_frames <= most + HOP
    dropped = sink.overrun_samples
    assert dropped == 30 * HOP - backend.ring.fill_frames
    while backend.ring.fill_frames > 0.04 * 16_000:  # the device catches up; until then everything is dropped
        sink.write(block(0.5))
        backend.ring.pull(2 * HOP)
    before = backend.ring.fill_frames
    sink.write(block(-0.5))
    assert backend.ring.fill_frames == before + HOP
    backend.ring.pull(before)
    joined = backend.ring.pull(HOP)[:, 0]
    assert np.max(np.abs(np.diff(joined))) < 0.05  # no step from 0.5 to -0.5
    assert joined[-1] == np.float32(-0.5)


def test_pauses_between_streams_are_no_underruns() -> None:
    sink, backend = speaker(prefill_s=0.01)
    for is_last in (False, False, True):
        sink.write(block(0.5, is_last=is_last))
    backend.ring.pull(10 * HOP)
    assert sink.underrun_samples == 0
    sink.write(block(0.5))
    backend.ring.pull(10 * HOP)
    assert sink.underrun_samples == 9 * HOP


@pytest.mark.parametrize("has_noticed", [True, False])
def test_a_device_that_stops_is_given_up(monkeypatch: pytest.MonkeyPatch, has_noticed: bool) -> None:
    sink, backend = speaker()
    backend.ring.pull(1)
    sink.tick()
    if has_noticed:
        backend.stream.is_active = False
    else:
        monkeypatch.setattr("rtemo.io.sinks.speaker._DEAF_S", 0.01)
        time.sleep(0.02)
        backend.ring.pull(1)
        sink.tick()  # it still asks
        time.sleep(0.02)
    with pytest.raises(DeviceError, match="loudspeaker 'Box' has stopped"):
        sink.tick()
    sink.close()
    sink.close()
    assert backend.stream.is_closed


def test_no_loudspeaker_at_all_is_said() -> None:
    with pytest.raises(DeviceError, match="no loudspeaker was found"):
        SpeakerSink(PlayOptions(), FakeOutput())  # type: ignore[arg-type]


def test_feedback_is_warned_of_when_it_is_likely() -> None:
    def microphone(index: int, name: str) -> InputDevice:
        return InputDevice(index=index, name=name, host_api="ALSA", channels=1, default_rate_hz=16_000)

    assert "same device (Box)" in feedback_risk(microphone(2, "Box"), BOX, True)
    assert "same device (Box)" in feedback_risk(microphone(7, "Box"), BOX, True)
    assert "may hear Box: use headphones" in feedback_risk(microphone(0, "Webcam"), BOX, False)
    assert feedback_risk(microphone(0, "Webcam"), BOX, True) == ""
