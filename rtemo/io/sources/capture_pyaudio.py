"""PyAudioBackend: PortAudio through PyAudio, for where that is what is installed."""

from typing import Any

import numpy as np

from rtemo.api import DeviceError
from rtemo.io.sources.capture import CaptureStream, InputDevice, open_failure
from rtemo.io.sources.capture_ring import CaptureRing
from rtemo.io.sources.noise import hushed, silence_alsa

_OVERFLOW = 2  # paInputOverflow


class PyAudioBackend:
    """PortAudio through PyAudio; its callback runs in Python, so a busy interpreter can make it late.

    Raises:
        DeviceError: PyAudio is not installed.
    """

    name = "pyaudio"

    def __init__(self) -> None:
        try:
            import pyaudio
        except ImportError as error:
            raise DeviceError(
                f"PyAudio cannot be loaded ({error})", "pip install rtemo[pyaudio], or use the backend sounddevice"
            ) from None
        self._pyaudio: Any = pyaudio
        silence_alsa()
        with hushed():
            self._port: Any = pyaudio.PyAudio()
        self._open_streams = 0

    @property
    def version(self) -> str:
        """Version of PortAudio."""
        return str(self._pyaudio.get_portaudio_version_text())

    def devices(self) -> list[InputDevice]:
        """List capture devices."""
        try:
            default = self._port.get_default_input_device_info()["index"]
        except OSError:
            default = -1
        devices = []
        for index in range(self._port.get_device_count()):
            device = self._port.get_device_info_by_index(index)
            if device["maxInputChannels"] > 0:
                devices.append(
                    InputDevice(
                        index=index,
                        name=device["name"],
                        host_api=self._port.get_host_api_info_by_index(device["hostApi"])["name"],
                        channels=device["maxInputChannels"],
                        default_rate_hz=round(device["defaultSampleRate"]),
                        is_default=index == default,
                    )
                )
        return devices

    def refresh(self) -> bool:
        """Initialise PortAudio anew, unless one of our streams is open."""
        if self._open_streams:
            return False
        with hushed():
            self._port.terminate()
            self._port = self._pyaudio.PyAudio()
        return True

    def open(
        self, device: InputDevice, *, channels: int, rate_hz: int, latency_s: float, ring: CaptureRing
    ) -> CaptureStream:
        """Open a device; PyAudio takes a block size where PortAudio would take a latency."""

        def deliver(data: bytes, _count: int, times: dict[str, float], flags: int) -> tuple[None, int]:
            block = np.frombuffer(data, np.float32).reshape(-1, channels)
            first_ns = round(times["input_buffer_adc_time"] * 1e9)
            ring.push(block, has_overflowed=bool(flags & _OVERFLOW), first_ns=first_ns)
            return None, self._pyaudio.paContinue

        try:
            stream = self._port.open(
                format=self._pyaudio.paFloat32,
                channels=channels,
                rate=rate_hz,
                input=True,
                input_device_index=device.index,
                frames_per_buffer=max(64, round(latency_s * rate_hz / 4)),
                stream_callback=deliver,
                start=False,
            )
        except (OSError, ValueError) as error:
            code = error.errno if isinstance(error, OSError) and error.errno else 0
            text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise open_failure(device, text, code) from None
        self._open_streams += 1
        return _Stream(self, stream, device, rate_hz)

    def abandon(self, stream: CaptureStream) -> None:
        """Leave a hanging stream alone; it stays counted as open, so PortAudio is never initialised anew."""

    def _forget(self) -> None:
        self._open_streams -= 1


class _Stream:
    def __init__(self, backend: PyAudioBackend, stream: Any, device: InputDevice, rate_hz: int) -> None:
        self._backend = backend
        self._stream = stream
        self._device = device
        self.rate_hz = rate_hz
        self._is_open = True

    @property
    def latency_s(self) -> float:
        return float(self._stream.get_input_latency())

    @property
    def is_active(self) -> bool:
        try:
            return bool(self._stream.is_active())
        except OSError:
            return False

    def time_ns(self) -> int:
        try:
            return int(1e9 * self._stream.get_time())
        except OSError:
            return 0

    def start(self) -> None:
        try:
            self._stream.start_stream()
        except OSError as error:
            raise open_failure(self._device, error.strerror or str(error), error.errno or 0) from None

    def close(self) -> None:
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._stream.close()
        except OSError:
            pass  # the device is gone, and with it the stream
        finally:
            self._backend._forget()
