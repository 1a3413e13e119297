"""FakePortAudio: a capture backend whose devices do what devices do on bad days, on a clock moved by hand."""

import threading
import time

import numpy as np
from numpy.typing import NDArray

from rtemo.api import DeviceError
from rtemo.io.sources.capture import InputDevice, open_failure
from rtemo.io.sources.capture_ring import CaptureRing

HEADSET = InputDevice(index=0, name="USB Headset", host_api="ALSA", channels=2, default_rate_hz=48_000, is_default=True)
WEBCAM = InputDevice(index=1, name="Webcam", host_api="ALSA", channels=1, default_rate_hz=16_000)


class HandClock:
    """Monotonic time that moves only when told to."""

    def __init__(self) -> None:
        self.now_ns = 1_000_000_000_000
        self._lock = threading.Lock()

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, duration_s: float) -> None:
        with self._lock:
            self.now_ns += round(duration_s * 1e9)


class RealClock:
    """The machine's monotonic time, for devices that deliver in real time."""

    @property
    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def __call__(self) -> int:
        return self.now_ns

    def advance(self, duration_s: float) -> None:
        """Time advances by itself."""


class FakeStream:
    """An open stream; `play` delivers what the device hears.

    Attributes:
        is_active: Set to False for a device that notices its own end.
        is_closed: Whether `close` has returned.
    """

    def __init__(self, port: "FakePortAudio", device: InputDevice, channels: int, rate_hz: int, ring: CaptureRing):
        self.device = device
        self.channels = channels
        self.rate_hz = rate_hz
        self.latency_s = 0.01
        self.is_active = False
        self.is_closed = False
        self._port = port
        self._ring = ring
        self._has_overflowed = False

    def time_ns(self) -> int:
        return 0 if self._port.has_no_clock else self._port.clock.now_ns - 900_000_000_000  # an epoch of its own

    def start(self) -> None:
        self.is_active = True
        if self._port.delivers:
            silence = np.zeros((self.rate_hz // 100, self.channels), np.float32)
            is_real = isinstance(self._port.clock, RealClock)
            self.play(silence, self.time_ns() - 10_000_000 if is_real else None)

    def close(self) -> None:
        if self._port.hangs_on_close:
            self._port.released.wait(30)
        self.is_active = False
        self.is_closed = True

    def play(self, samples: NDArray[np.float32], start_ns: int | None = None) -> None:
        """Deliver float32 [k, channels] in blocks of 10 ms, while the clock moves on by as much.

        `start_ns` tells when it was heard by the stream's clock; now when None.
        """
        step = self.rate_hz // 100
        for start in range(0, samples.shape[0], step):
            block = samples[start : start + step]
            first_ns = self.time_ns() if start_ns is None else start_ns + start * 1_000_000_000 // self.rate_hz
            self._port.clock.advance(block.shape[0] / self.rate_hz)
            self._ring.push(block, has_overflowed=self._has_overflowed, first_ns=first_ns)
            self._has_overflowed = False

    def overflow(self, lost_s: float) -> None:
        """Lose audio, and say so with the next block as PortAudio does: without saying how much."""
        self._port.clock.advance(lost_s)
        self._has_overflowed = True


class FakePortAudio:
    """A capture backend.

    Attributes:
        present: Devices plugged in; seen only after `refresh`, as with PortAudio.
        delivers: Whether a started stream delivers its first audio at once.
        refuses: Text of the error with which `open` fails, or empty.
        hangs_on_close: Whether closing a stream blocks until `released` is set.
        has_no_clock: Whether streams tell no time.
    """

    name = "fake"
    version = "FakePortAudio 1"

    def __init__(self, *devices: InputDevice, clock: HandClock | RealClock | None = None) -> None:
        self.clock = clock or HandClock()
        self.present = list(devices or (HEADSET, WEBCAM))
        self.delivers = True
        self.refuses = ""
        self.hangs_on_close = False
        self.has_no_clock = False
        self.released = threading.Event()
        self.streams: list[FakeStream] = []
        self.abandoned: list[FakeStream] = []
        self.refreshes = 0
        self._seen = list(self.present)

    @property
    def stream(self) -> FakeStream:
        """The stream opened last."""
        return self.streams[-1]

    def devices(self) -> list[InputDevice]:
        return list(self._seen)

    def refresh(self) -> bool:
        if any(not stream.is_closed for stream in self.streams):
            return False
        self.refreshes += 1
        self._seen = list(self.present)
        return True

    def open(
        self, device: InputDevice, *, channels: int, rate_hz: int, latency_s: float, ring: CaptureRing
    ) -> FakeStream:
        if self.refuses:
            raise open_failure(device, self.refuses, -9985)
        if device not in self.present:
            raise DeviceError(f"{device.name} is gone")
        stream = FakeStream(self, device, channels, rate_hz, ring)
        self.streams.append(stream)
        return stream

    def abandon(self, stream: FakeStream) -> None:
        self.abandoned.append(stream)
