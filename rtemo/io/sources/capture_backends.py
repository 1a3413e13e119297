"""The capture back ends by name."""

from rtemo.api import ConfigError
from rtemo.io.sources.capture import CaptureBackend


def capture_backend(name: str) -> CaptureBackend:
    """Load a backend by name.

    Raises:
        DeviceError: Its package or the PortAudio library is not installed.
        ConfigError: There is no such backend.
    """
    if name == "sounddevice":
        from rtemo.io.sources.capture_sounddevice import SoundDeviceBackend

        return SoundDeviceBackend()
    if name == "pyaudio":
        from rtemo.io.sources.capture_pyaudio import PyAudioBackend

        return PyAudioBackend()
    raise ConfigError(f"unknown capture backend {name!r}", "use sounddevice or pyaudio")
