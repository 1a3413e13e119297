"""Devices: what can capture on this machine."""

from rtemo.api import DeviceError
from rtemo.io.sources.capture import CaptureBackend, InputDevice, absence_mend
from rtemo.io.sources.capture_backends import capture_backend


def list_devices(
    backend: str | CaptureBackend = "sounddevice", *, is_refreshed: bool = False
) -> tuple[InputDevice, ...]:
    """List the capture devices, in PortAudio's order.

    PortAudio looks for devices when it is first used and never again.

    Args:
        backend: Binding of PortAudio, by name (sounddevice or pyaudio) or as such.
        is_refreshed: Whether to make PortAudio look again; not done while a stream is open, since that would end it.

    Raises:
        DeviceError: There is no capture device, or PortAudio is not installed; the text says what would help.
    """
    source = capture_backend(backend) if isinstance(backend, str) else backend
    if is_refreshed:
        source.refresh()
    devices = source.devices()
    if not devices:
        raise DeviceError("no capture device was found", absence_mend())
    return tuple(devices)
