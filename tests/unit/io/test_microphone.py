import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.fakes.desk import FakeDesk, FakeWriter
from bench.fakes.portaudio import HEADSET, WEBCAM, FakePortAudio
from rtemo.api import CapacityError, DeviceError, SourceState
from rtemo.dsp.resample import resample
from rtemo.io.sources import microphone
from rtemo.io.sources.microphone import MicrophoneSource
from rtemo.io.sources.options import MicrophoneOptions
from rtemo.io.sources.side_job import SideJob
from tests.fakes.sounds import chord, main_frequency_hz, tone

pytestmark = pytest.mark.unit


@pytest.fixture
def port() -> Iterator[FakePortAudio]:
    port = FakePortAudio()
    yield port
    port.released.set()


def opened(port: FakePortAudio, **settings: object) -> tuple[MicrophoneSource, FakeWriter]:
    options = MicrophoneOptions(**({"first_frame_s": 0.3} | settings))  # type: ignore[arg-type]
    source = MicrophoneSource(options, backend=port, clock_ns=port.clock, hang_s=0.2)
    desk = FakeDesk(is_live=True)
    source.open(desk)
    return source, desk.only()


def pump_until(source: MicrophoneSource, condition: Callable[[], bool]) -> None:
    """Pump while side threads do their work; the clock of the test stands still."""
    deadline_s = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline_s, "nothing came of it within 5 s"
        source.pump()
        time.sleep(0.001)


def advance_until(port: FakePortAudio, source: MicrophoneSource, condition: Callable[[], bool]) -> None:
    """Let time pass in steps of 20 ms until something comes of it; it stands still while a device is being opened."""
    for _ in range(2_000):
        for _ in range(4):
            if condition():
                return
            source.pump()
            time.sleep(0.0003)
        port.clock.advance(0.02)
    raise AssertionError("nothing came of it within 40 s of the device's time")


def states(writer: FakeWriter) -> list[str]:
    return [report.state for report in writer.reports if isinstance(report, SourceState)]


def stereo(duration_s: float, rate_hz: int = 48_000) -> NDArray[np.float32]:
    return chord(duration_s, rate_hz, 2)


def unplug(port: FakePortAudio) -> None:
    port.stream.is_active = False
    port.present.clear()


@pytest.mark.parametrize("device", [HEADSET, WEBCAM])
def test_what_the_device_hears_arrives_at_the_engine_rate(port: FakePortAudio, device: object) -> None:
    port.present[:] = [device]  # type: ignore[list-item]
    port.refresh()
    source, writer = opened(port)
    heard = chord(1.0, port.stream.rate_hz, port.stream.channels)
    port.stream.play(heard)
    source.pump()
    onset = np.zeros(port.stream.rate_hz // 100, np.float32)
    expected = resample(np.concatenate([onset, heard[:, 0]]), port.stream.rate_hz, 16_000)
    assert np.array_equal(writer.samples, expected[: writer.position_samples])
    assert expected.shape[0] - writer.position_samples < 120
    assert main_frequency_hz(writer.samples, 16_000) == pytest.approx(200, abs=2)


def test_both_channels_can_be_mixed(port: FakePortAudio) -> None:
    source, writer = opened(port, downmix="mix", sample_rate_hz=16_000)
    heard = stereo(0.5, 16_000)
    port.stream.play(heard)
    source.pump()
    assert np.allclose(writer.samples[160:], heard.mean(axis=1), atol=1e-6)


def test_how_often_the_source_is_pumped_changes_nothing(port: FakePortAudio) -> None:
    heard = 0.1 * np.random.default_rng(8).standard_normal((48_000, 2)).astype(np.float32)
    results = []
    for pumps in (1, 7, 100):
        source, writer = opened(port)
        for part in np.array_split(heard, pumps):
            port.stream.play(part)
            source.pump()
        results.append(writer.samples)
        source.close()
    shortest = min(result.shape[0] for result in results)
    assert shortest > 15_900
    assert all(np.array_equal(result[:shortest], results[0][:shortest]) for result in results)


def test_audio_is_stamped_with_when_it_was_captured_not_with_when_it_was_read(port: FakePortAudio) -> None:
    source, writer = opened(port, sample_rate_hz=16_000)
    port.stream.play(stereo(0.01, 16_000))
    port.clock.advance(0.25)  # the thread was busy elsewhere
    source.pump()
    assert time.time_ns() - writer.captures[-1][1] == pytest.approx(250_000_000, abs=50_000_000)


def test_a_device_without_a_clock_is_stamped_with_the_present(port: FakePortAudio) -> None:
    port.has_no_clock = True
    source, writer = opened(port, sample_rate_hz=16_000)
    port.stream.play(stereo(0.01, 16_000))
    source.pump()
    assert time.time_ns() - writer.captures[-1][1] == pytest.approx(0, abs=50_000_000)


def test_a_device_that_never_delivers_is_refused_with_the_likely_causes(port: FakePortAudio) -> None:
    port.delivers = False
    source = MicrophoneSource(MicrophoneOptions(first_frame_s=0.05), backend=port, clock_ns=port.clock)
    with pytest.raises(DeviceError) as caught:
        source.open(FakeDesk(is_live=True))
    source.close()
    assert "'USB Headset' opened but delivered no audio within 0.05 s" in str(caught.value)
    assert "Bluetooth headset" in str(caught.value)
    assert "rtemo doctor" in str(caught.value)
    assert port.stream.is_closed


def test_a_busy_device_is_refused_with_how_to_find_who_holds_it(port: FakePortAudio) -> None:
    port.refuses = "Device unavailable"
    with pytest.raises(DeviceError, match=r"does not open: Device unavailable; another program may hold it: `fuser"):
        opened(port)


def test_a_freewheeling_session_refuses_a_microphone(port: FakePortAudio) -> None:
    with pytest.raises(DeviceError, match="delivers in real time, but this session freewheels"):
        MicrophoneSource(backend=port).open(FakeDesk(is_live=False))


def test_a_full_engine_leaves_no_device_open(port: FakePortAudio) -> None:
    source = MicrophoneSource(backend=port, clock_ns=port.clock)
    with pytest.raises(CapacityError):
        source.open(FakeDesk(is_live=True, capacity=0))
    source.close()
    assert port.stream.is_closed


@pytest.mark.parametrize("lost_s", [0.02, 0.3])
def test_an_overflow_becomes_a_gap_as_long_as_the_device_clock_says(port: FakePortAudio, lost_s: float) -> None:
    source, writer = opened(port)
    port.stream.play(stereo(0.2))
    port.stream.overflow(lost_s)
    port.stream.play(stereo(0.2))
    source.pump()
    ((position, gap_samples),) = writer.gaps
    assert position == 3_360  # 10 ms at the opening, then 200 ms
    assert gap_samples == pytest.approx(lost_s * 16_000, abs=1)
    assert writer.lost_samples == gap_samples
    assert states(writer) == ["overflow"]
    assert f"dropped audio once, about {1_000 * lost_s:.0f} ms" in writer.reports[0].detail


def test_an_overflow_of_unknown_length_is_counted_all_the_same(port: FakePortAudio) -> None:
    port.has_no_clock = True
    source, writer = opened(port)
    source.pump()
    port.stream.overflow(0.0)
    port.stream.play(stereo(0.01))
    source.pump()
    assert writer.gaps == []
    assert writer.lost_samples >= 1
    assert states(writer) == ["overflow"]


def test_overflows_are_reported_at_once_and_then_gathered(port: FakePortAudio) -> None:
    source, writer = opened(port)
    for _ in range(100):
        port.stream.overflow(0.01)
        port.stream.play(stereo(0.1))
        source.pump()
    assert states(writer) == ["overflow"] * 3  # eleven seconds
    assert "45 times" in writer.reports[1].detail or "46 times" in writer.reports[1].detail
    assert sum(gap for _, gap in writer.gaps) == pytest.approx(16_000, abs=100)


def test_audio_that_nobody_read_in_time_becomes_a_gap_of_exactly_that_length(port: FakePortAudio) -> None:
    source, writer = opened(port, buffer_s=0.5, sample_rate_hz=16_000)
    source.pump()
    port.stream.play(stereo(0.8, 16_000))
    source.pump()
    port.stream.play(stereo(0.1, 16_000))
    source.pump()
    assert writer.gaps == [(160 + 8_000, 4_800)]
    assert writer.position_samples == 160 + 16_000 * 0.9
    assert states(writer) == ["overflow"]


def test_a_device_that_falls_silent_is_lost_within_two_seconds(port: FakePortAudio) -> None:
    source, writer = opened(port)
    port.stream.play(stereo(0.5))
    start_ns = port.clock.now_ns
    while "lost" not in states(writer):
        source.pump()
        port.clock.advance(0.01)
        assert port.clock.now_ns - start_ns < 2_000_000_000
    assert writer.reports[0].detail == "USB Headset: no audio for 1.0 s; trying to reopen it"
    pump_until(source, lambda: port.stream.is_closed)


def test_a_device_that_notices_its_own_end_is_lost_at_once(port: FakePortAudio) -> None:
    source, writer = opened(port)
    port.stream.play(stereo(0.1))
    source.pump()
    unplug(port)
    port.clock.advance(0.15)
    source.pump()
    assert states(writer) == ["lost"]
    assert "the device has stopped" in writer.reports[0].detail


def test_a_device_that_comes_back_goes_on_at_the_true_position(port: FakePortAudio) -> None:
    source, writer = opened(port)
    start_ns = port.clock.now_ns - 10_000_000  # the first block
    port.stream.play(stereo(1.0))
    source.pump()
    first = port.stream
    unplug(port)
    for _ in range(400):  # four seconds without it; the wait between attempts doubles
        port.clock.advance(0.01)
        source.pump()
        time.sleep(0.0005)
    assert states(writer) == ["lost"]
    assert first.is_closed
    position_s = writer.position_samples / 16_000
    assert position_s == pytest.approx((port.clock.now_ns - start_ns) * 1e-9, abs=0.15)  # the gap grew with time
    port.present.append(HEADSET)
    advance_until(port, source, lambda: port.stream is not first)
    pump_until(source, lambda: "recovered" in states(writer))
    port.stream.play(stereo(1.0))
    source.pump()
    end_s = (port.clock.now_ns - start_ns) * 1e-9
    assert writer.position_samples / 16_000 == pytest.approx(end_s, abs=0.05)
    assert states(writer) == ["lost", "recovered"]
    assert "audio again after" in writer.reports[1].detail
    assert writer.lost_samples == sum(gap for _, gap in writer.gaps) == pytest.approx((end_s - 2.02) * 16_000, abs=800)
    assert main_frequency_hz(writer.samples[-14_000:], 16_000) == pytest.approx(200, abs=3)


def test_the_wait_between_attempts_doubles_up_to_its_limit(
    port: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs: list[SideJob[Any]] = []

    class Noted(SideJob[Any]):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            jobs.append(self)

    monkeypatch.setattr(microphone, "SideJob", Noted)
    source, _ = opened(port, retry_s=0.5, retry_max_s=4.0)
    source.pump()
    unplug(port)
    attempts_s: list[float] = []
    start_ns = port.clock.now_ns
    for _ in range(250):
        port.clock.advance(0.1)
        before = port.refreshes
        for _ in range(8):
            source.pump()
            assert all(job.wait(20.0) for job in jobs)  # the device's time stands still, however busy the machine is
        if port.refreshes > before:
            attempts_s.append((port.clock.now_ns - start_ns) * 1e-9)
    waits_s = np.diff(attempts_s)
    assert waits_s[:3] == pytest.approx([1.0, 2.0, 4.0], abs=0.35)
    assert waits_s[3:] == pytest.approx([4.0] * (len(waits_s) - 3), abs=0.35)


def test_a_device_that_comes_back_with_another_rate_is_converted_anew(port: FakePortAudio) -> None:
    source, writer = opened(port, device="headset")
    port.stream.play(stereo(0.5))
    source.pump()
    unplug(port)
    moved = type(HEADSET)(index=7, name="USB Headset", host_api="ALSA", channels=1, default_rate_hz=44_100)
    port.present.append(moved)  # another socket: another index
    advance_until(port, source, lambda: "recovered" in states(writer))
    assert port.stream.device == moved
    port.stream.play(tone(1.0, 44_100, 700)[:, None])
    source.pump()
    assert main_frequency_hz(writer.samples[-12_000:], 16_000) == pytest.approx(700, abs=3)


def test_a_device_that_reopens_but_stays_mute_is_tried_again(port: FakePortAudio) -> None:
    source, writer = opened(port)
    port.delivers = False
    advance_until(port, source, lambda: len(port.streams) == 2 and port.streams[1].is_closed)
    port.delivers = True
    advance_until(port, source, lambda: "recovered" in states(writer))
    assert len(port.streams) == 3
    assert states(writer) == ["lost", "recovered"]


def test_a_device_that_hangs_on_close_is_abandoned_and_never_blocks_a_pump(port: FakePortAudio) -> None:
    source, writer = opened(port)
    port.hangs_on_close = True
    port.clock.advance(1.1)
    slowest_s = 0.0
    deadline_s = time.monotonic() + 5
    while not port.abandoned:
        start_s = time.monotonic()
        source.pump()
        slowest_s = max(slowest_s, time.monotonic() - start_s)
        assert time.monotonic() < deadline_s
        time.sleep(0.001)
    assert slowest_s < 0.05
    advance_until(port, source, lambda: "recovered" in states(writer))
    assert port.refreshes == 0  # it would have ended the stream that hangs, or hung too
    assert len(port.streams) == 2


def test_closing_a_hanging_device_takes_less_than_half_a_second(port: FakePortAudio) -> None:
    source, writer = opened(port)
    port.hangs_on_close = True
    start_s = time.monotonic()
    source.close()
    source.close()
    assert time.monotonic() - start_s < 0.5
    assert writer.end_reason == "stopped"
    assert port.abandoned == port.streams


def test_closing_while_the_device_is_away_leaves_nothing_open(port: FakePortAudio) -> None:
    source, writer = opened(port)
    port.clock.advance(1.1)
    source.pump()
    pump_until(source, lambda: port.stream.is_closed)
    source.close()
    assert writer.end_reason == "stopped"
    time.sleep(0.05)
    assert all(stream.is_closed for stream in port.streams)


def test_the_source_ends_when_the_engine_has_closed_its_stream(port: FakePortAudio) -> None:
    source, writer = opened(port)
    writer.is_closed = True
    assert source.pump() is None
    assert port.stream.is_closed
    assert writer.end_reason is None
