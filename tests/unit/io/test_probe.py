import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from numpy.typing import NDArray

from bench.fakes.portaudio import FakePortAudio, FakeStream, RealClock
from rtemo.io.sources.options import MicrophoneOptions
from rtemo.io.sources.probe import Finding, probe_microphone
from tests.fakes.sounds import tone

pytestmark = pytest.mark.unit

OPTIONS = MicrophoneOptions(first_frame_s=0.1)


@contextmanager
def playing(
    port: FakePortAudio, sound: Callable[[FakeStream], NDArray[np.float32]], late_s: float = 0.0
) -> Iterator[None]:
    """Feed the stream that is open in real time, 20 ms at a time, each stamped with when it was due.

    `late_s` passes after the first block, as while a sound server wakes up.
    """
    stop = threading.Event()

    def feed() -> None:
        while not port.streams and not stop.wait(0.001):
            pass
        next_ns = port.stream.time_ns() + round(late_s * 1e9)
        while not stop.wait(0.005):
            while next_ns + 20_000_000 <= port.stream.time_ns() and not port.stream.is_closed:
                port.stream.play(sound(port.stream), next_ns)
                next_ns += 20_000_000

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def probed(port: FakePortAudio, options: MicrophoneOptions = OPTIONS) -> dict[str, Finding]:
    return {finding.what: finding for finding in probe_microphone(options, backend=port, listen_s=0.3)}


def loud(stream: FakeStream) -> NDArray[np.float32]:
    return np.repeat(tone(0.02, stream.rate_hz)[:, None], stream.channels, axis=1)


def test_a_healthy_microphone_passes_every_step_in_the_order_of_the_audio() -> None:
    port = FakePortAudio(clock=RealClock())
    with playing(port, loud):
        findings = probed(port)
    assert list(findings) == [
        "audio library",
        "capture devices",
        "microphone",
        "first audio",
        "sample rate",
        "lost audio",
        "signal",
    ]
    assert [finding for finding in findings.values() if finding.mend or not finding.ok] == []
    assert findings["capture devices"].detail == "2: USB Headset, Webcam"
    assert findings["signal"].detail == "level -9 dBFS, peak -6 dBFS"
    assert port.stream.is_closed


def test_a_muted_microphone_is_told_from_one_that_works() -> None:
    port = FakePortAudio(clock=RealClock())
    with playing(port, lambda stream: np.zeros_like(loud(stream))):
        findings = probed(port)
    assert not findings["signal"].ok
    assert "unmute the microphone" in findings["signal"].mend


def test_clipping_and_overflow_are_found() -> None:
    port = FakePortAudio(clock=RealClock())

    def bad(stream: FakeStream) -> NDArray[np.float32]:
        stream.overflow(0.001)
        return np.clip(10 * loud(stream), -1, 1)

    with playing(port, bad):
        findings = probed(port)
    assert "lower the gain" in findings["signal"].mend
    assert not findings["lost audio"].ok
    assert "raise sources.microphone.latency_s" in findings["lost audio"].mend


def test_a_device_that_never_delivers_stops_the_probe_with_the_likely_causes() -> None:
    port = FakePortAudio(clock=RealClock())
    port.delivers = False
    findings = probed(port)
    assert list(findings)[-1] == "first audio"
    assert not findings["first audio"].ok
    assert "Bluetooth headset" in findings["first audio"].mend
    assert port.stream.is_closed


def test_a_device_that_falls_silent_is_found() -> None:
    findings = probed(FakePortAudio(clock=RealClock()))
    assert findings["sample rate"].detail == "the device fell silent after its first audio"


def test_a_device_that_is_late_at_its_start_has_the_rate_that_it_states() -> None:
    port = FakePortAudio(clock=RealClock())
    with playing(port, loud, late_s=0.09):
        findings = {found.what: found for found in probe_microphone(OPTIONS, backend=port, listen_s=0.6)}
    assert (findings["sample rate"].ok, findings["sample rate"].mend) == (True, "")
    assert "unevenly" not in findings["sample rate"].detail


def at_rate(rate_hz: int) -> Callable[[FakeStream], NDArray[np.float32]]:
    return lambda stream: np.repeat(tone(0.02, rate_hz)[:, None], stream.channels, axis=1)


def test_a_device_that_runs_at_another_rate_is_told_with_that_rate() -> None:
    port = FakePortAudio(clock=RealClock())
    with playing(port, at_rate(48_000)):
        findings = probed(port, MicrophoneOptions(first_frame_s=0.1, sample_rate_hz=44_100))
    assert not findings["sample rate"].ok
    assert findings["sample rate"].mend.endswith("really runs at, 48000")


def test_a_rate_at_which_no_device_runs_is_not_advised() -> None:
    port = FakePortAudio(clock=RealClock())
    with playing(port, at_rate(39_600)):
        findings = probed(port, MicrophoneOptions(first_frame_s=0.1, sample_rate_hz=44_100))
    assert findings["sample rate"].mend == ""
    assert findings["sample rate"].detail.endswith("too unevenly to tell")


@pytest.mark.parametrize(
    ("spoil", "what", "mend"),
    [
        (lambda port: port.present.clear(), "capture devices", ""),
        (lambda port: setattr(port, "refuses", "Device unavailable"), "microphone", "fuser -v /dev/snd/*"),
    ],
)
def test_what_blocks_the_rest_ends_the_probe(spoil: Callable[[FakePortAudio], None], what: str, mend: str) -> None:
    port = FakePortAudio(clock=RealClock())
    spoil(port)
    findings = probed(port)
    assert list(findings)[-1] == what
    assert not findings[what].ok
    assert mend in findings[what].mend
    assert findings[what].mend


def test_a_device_that_is_not_there_is_answered_with_those_that_are() -> None:
    findings = probed(FakePortAudio(clock=RealClock()), MicrophoneOptions(device="piano"))
    assert findings["microphone"].mend == "choose one of 0: USB Headset, 1: Webcam"
