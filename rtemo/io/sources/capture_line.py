"""CaptureLine: one open stream of one device, with its ring, its conversion and its clock."""

import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import DeviceError
from rtemo.io.sources.capture import CaptureBackend, InputDevice, choose_device
from rtemo.io.sources.capture_ring import CaptureRing
from rtemo.io.sources.conversion import RateConversion
from rtemo.io.sources.options import MicrophoneOptions
from rtemo.io.sources.side_job import SideJob

_MAX_AGE_NS = 2_000_000_000  # a block older than this by the device's clock means that the clock is not to be trusted


class LineBlock(NamedTuple):
    """What a device delivered in one go."""

    samples: NDArray[np.float32]
    """float32 [k], mono, at the device's rate."""
    lost_frames: int
    """Frames dropped just before because nobody read the ring."""
    has_overflowed: bool
    """Whether the device lost audio just before; it does not say how much."""
    start_ns: int
    """Monotonic time at which the first sample was captured."""
    end_ns: int
    """Monotonic time at which the last sample was captured."""


class CaptureLine:
    """Opens and starts a device.

    Args:
        backend: Binding of PortAudio.
        options: Device, rate, channels, latency.
        to_hz: Rate of the engine.
        wanted: Device by index or name; that of the options unless it is known better by now.
        host_api: Preferred host API when several devices have that name.
        clock_ns: Monotonic time in ns.

    Attributes:
        device: What was opened.
        rate_hz: Rate of the device.
        conversion: To the engine's rate.

    Raises:
        DeviceError: The device is not there or does not open.
        AudioInputError: Its rate cannot be converted.
    """

    def __init__(
        self,
        backend: CaptureBackend,
        options: MicrophoneOptions,
        to_hz: int,
        *,
        wanted: int | str,
        host_api: str = "",
        clock_ns: Callable[[], int] = time.perf_counter_ns,
    ) -> None:
        self.device: InputDevice = choose_device(backend.devices(), wanted, host_api)
        self._backend = backend
        self._clock_ns = clock_ns
        self._downmix = options.downmix
        channels = min(options.capture_channels, self.device.channels)
        rate_hz = options.sample_rate_hz or self.device.default_rate_hz
        self._ring = CaptureRing(channels, max(1, round(options.buffer_s * rate_hz)))
        self._stream = backend.open(
            self.device, channels=channels, rate_hz=rate_hz, latency_s=options.latency_s, ring=self._ring
        )
        try:
            self.rate_hz = self._stream.rate_hz
            self.conversion = RateConversion(self.rate_hz, to_hz, 1)
            self._stream.start()
        except BaseException:
            self._stream.close()
            raise

    @property
    def has_delivered(self) -> bool:
        """Whether any audio has come yet."""
        return self._ring.blocks_written > 0

    @property
    def is_active(self) -> bool:
        """Whether the device still runs."""
        return self._stream.is_active

    @property
    def latency_s(self) -> float:
        """Buffering that the device granted."""
        return self._stream.latency_s

    def wait_for_audio(self, timeout_s: float) -> None:
        """Wait until the device delivers for the first time.

        Raises:
            DeviceError: It has not within the time.
        """
        deadline_s = time.monotonic() + timeout_s
        while not self.has_delivered:
            if time.monotonic() > deadline_s:
                raise DeviceError(
                    f"capture device {self.device.name!r} opened but delivered no audio within {timeout_s:g} s",
                    "it may be switched off, suspended, held by another program, a Bluetooth headset in music mode, "
                    "or refused by the privacy settings; `rtemo doctor` looks closer, `rtemo devices` lists others",
                )
            time.sleep(0.005)

    def take(self) -> Iterator[LineBlock]:
        """Yield what has arrived."""
        blocks = self._ring.take()
        if not blocks:
            return
        now_ns = self._clock_ns()
        stream_ns = self._stream.time_ns()
        ahead_ns = now_ns - stream_ns
        for block in blocks:
            length_ns = block.samples.shape[0] * 1_000_000_000 // self.rate_hz
            end_ns = block.first_ns + length_ns + ahead_ns
            if not block.first_ns or not stream_ns or not now_ns - _MAX_AGE_NS <= end_ns <= now_ns:
                end_ns = now_ns
            if self._downmix == "mix" and block.samples.shape[1] > 1:
                mono = block.samples.mean(axis=1, dtype=np.float32)
            else:
                mono = np.ascontiguousarray(block.samples[:, 0])
            yield LineBlock(mono, block.lost_frames, block.has_overflowed, end_ns - length_ns, end_ns)

    def close(self, timeout_s: float) -> bool:
        """Close the device on a side thread; tell whether that succeeded in time. Otherwise it is abandoned."""
        job = SideJob(self._stream.close, "rtemo-mic-close")
        if job.wait(timeout_s):
            return True
        self._backend.abandon(self._stream)
        return False
