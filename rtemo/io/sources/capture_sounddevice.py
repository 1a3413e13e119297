"""SoundDeviceBackend: PortAudio through sounddevice, with a callback that needs no interpreter lock."""

import atexit
import threading
from typing import TYPE_CHECKING, Any, Literal

from rtemo.api import DeviceError
from rtemo.io.sources.capture import CaptureStream, InputDevice, OutputDevice, open_failure
from rtemo.io.sources.capture_ring import CaptureRing
from rtemo.io.sources.noise import silence_alsa

if TYPE_CHECKING:
    from rtemo.io.sinks.play_ring import PlayRing

_lock = threading.Lock()
_open_streams = 0  # in this process: PortAudio's life is the process's, not a backend's


class SoundDeviceBackend:
    """PortAudio through sounddevice, to capture and to play.

    Raises:
        DeviceError: sounddevice or the PortAudio library is not installed.
    """

    name = "sounddevice"

    def __init__(self) -> None:
        try:
            import sounddevice
        except OSError as error:
            raise DeviceError(
                f"the PortAudio library was not found ({error})",
                "install it: apt install libportaudio2 (Debian), dnf install portaudio (Fedora), "
                "brew install portaudio (macOS)",
            ) from None
        except ImportError:
            raise DeviceError("the sounddevice package is not installed", "pip install sounddevice") from None
        self._sd: Any = sounddevice
        silence_alsa()

    @property
    def version(self) -> str:
        """Version of PortAudio."""
        return str(self._sd.get_portaudio_version()[1])

    def devices(self) -> list[InputDevice]:
        """List capture devices."""
        sd = self._sd
        apis = sd.query_hostapis()
        try:
            default = sd.query_devices(kind="input")["index"]
        except (sd.PortAudioError, ValueError):
            default = -1
        return [
            InputDevice(
                index=device["index"],
                name=device["name"],
                host_api=apis[device["hostapi"]]["name"],
                channels=device["max_input_channels"],
                default_rate_hz=round(device["default_samplerate"]),
                is_default=device["index"] == default,
            )
            for device in sd.query_devices()
            if device["max_input_channels"] > 0
        ]

    def output_devices(self) -> list[OutputDevice]:
        """List devices that can play."""
        sd = self._sd
        apis = sd.query_hostapis()
        try:
            default = sd.query_devices(kind="output")["index"]
        except (sd.PortAudioError, ValueError):
            default = -1
        return [
            OutputDevice(
                index=device["index"],
                name=device["name"],
                host_api=apis[device["hostapi"]]["name"],
                channels=device["max_output_channels"],
                default_rate_hz=round(device["default_samplerate"]),
                is_default=device["index"] == default,
            )
            for device in sd.query_devices()
            if device["max_output_channels"] > 0
        ]

    def refresh(self) -> bool:
        """Initialise PortAudio anew, unless a stream is open anywhere in the process."""
        with _lock:
            if _open_streams:
                return False
            self._sd._terminate()
            self._sd._initialize()
            return True

    def open(
        self, device: InputDevice, *, channels: int, rate_hz: int, latency_s: float, ring: CaptureRing
    ) -> CaptureStream:
        """Open a device with the ring's own C callback."""
        return self._open("input", device, channels, rate_hz, latency_s, ring)

    def open_output(
        self, device: OutputDevice, *, channels: int, rate_hz: int, latency_s: float, ring: "PlayRing"
    ) -> CaptureStream:
        """Open a device to play what is in the ring, by the ring's own C callback."""
        return self._open("output", device, channels, rate_hz, latency_s, ring)

    def _open(
        self,
        kind: Literal["input", "output"],
        device: InputDevice | OutputDevice,
        channels: int,
        rate_hz: int,
        latency_s: float,
        ring: "CaptureRing | PlayRing",
    ) -> CaptureStream:
        global _open_streams
        sd = self._sd
        with _lock:
            try:
                stream = sd._StreamBase(
                    kind=kind,
                    device=device.index,
                    channels=channels,
                    samplerate=rate_hz,
                    blocksize=0,
                    latency=latency_s,
                    dtype="float32",
                    callback=ring.callback_address,
                    userdata=sd._ffi.cast("void *", ring.memory_address),
                )
            except sd.PortAudioError as error:
                raise open_failure(device, _text(error), _code(error)) from None
            except ValueError as error:
                raise open_failure(device, str(error), 0) from None
            _open_streams += 1
        return _Stream(sd, stream, device, ring)

    def abandon(self, stream: CaptureStream) -> None:
        """Leave a hanging stream alone, at exit too."""
        atexit.unregister(self._sd._exit_handler)


class _Stream:
    def __init__(
        self, sd: Any, stream: Any, device: InputDevice | OutputDevice, ring: "CaptureRing | PlayRing"
    ) -> None:
        self._sd = sd
        self._stream = stream
        self._device = device
        self._ring = ring  # the callback works on it as long as the stream lives
        self._is_open = True

    @property
    def rate_hz(self) -> int:
        return int(self._stream.samplerate + 0.5)

    @property
    def latency_s(self) -> float:
        return float(self._stream.latency)

    @property
    def is_active(self) -> bool:
        try:
            return bool(self._stream.active)
        except self._sd.PortAudioError:
            return False

    def time_ns(self) -> int:
        try:
            return int(1e9 * self._stream.time)
        except self._sd.PortAudioError:
            return 0

    def start(self) -> None:
        try:
            self._stream.start()
        except self._sd.PortAudioError as error:
            raise open_failure(self._device, _text(error), _code(error)) from None

    def close(self) -> None:
        global _open_streams
        if not self._is_open:
            return
        self._is_open = False
        try:
            self._stream.abort(ignore_errors=True)
            self._stream.close(ignore_errors=True)
        finally:
            with _lock:
                _open_streams -= 1


def _text(error: Exception) -> str:
    return str(error.args[0]) if error.args else "unknown error"


def _code(error: Exception) -> int:
    return int(error.args[1]) if len(error.args) > 1 else 0
