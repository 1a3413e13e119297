"""Capture: what the microphone asks of a binding of PortAudio, and how failures of either read."""

import os
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from rtemo.api import DeviceError
from rtemo.io.sources.capture_ring import CaptureRing


class InputDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device that can capture."""

    index: int
    """PortAudio's number; it may change when devices come and go."""
    name: str
    host_api: str
    """Sound system it is reached through: ALSA, Core Audio, WASAPI …"""
    channels: int
    default_rate_hz: int
    is_default: bool = False


class OutputDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A device that can play."""

    index: int
    """PortAudio's number; it may change when devices come and go."""
    name: str
    host_api: str
    """Sound system it is reached through."""
    channels: int
    default_rate_hz: int
    is_default: bool = False


Device = TypeVar("Device", InputDevice, OutputDevice)


class CaptureStream(Protocol):
    """An open stream of a device; its callback writes into a CaptureRing, or reads from a PlayRing."""

    @property
    def rate_hz(self) -> int:
        """Rate of the stream."""

    @property
    def latency_s(self) -> float:
        """Buffering that the device granted."""

    @property
    def is_active(self) -> bool:
        """Whether the device still runs; False when it has stopped by itself."""

    def time_ns(self) -> int:
        """Present time on the stream's own clock, or 0."""

    def start(self) -> None:
        """Begin to capture."""

    def close(self) -> None:
        """Stop and free the device; with some drivers this never returns after the device is gone."""


class CaptureBackend(Protocol):
    """A binding of PortAudio; all its errors are DeviceErrors."""

    @property
    def name(self) -> str:
        """Name in the options."""

    @property
    def version(self) -> str:
        """Version of PortAudio, for diagnosis."""

    def devices(self) -> list[InputDevice]:
        """List capture devices, as PortAudio saw them when it was last initialised."""

    def refresh(self) -> bool:
        """Look for devices again; False (and nothing done) while a stream is open, which it would kill."""

    def open(
        self, device: InputDevice, *, channels: int, rate_hz: int, latency_s: float, ring: CaptureRing
    ) -> CaptureStream:
        """Open a device, not started yet.

        Raises:
            DeviceError: It is gone, busy, or does not take these parameters.
        """

    def abandon(self, stream: CaptureStream) -> None:
        """Give up a stream whose `close` hangs: never refresh again, and do not wait for it at exit."""


def choose_device(
    devices: list[Device], wanted: int | str = "", host_api: str = "", what: str = "capture device"
) -> Device:
    """Find a device by index or part of its name.

    An exact name wins over a part of one, and the host API asked for over others.

    Args:
        devices: Those there are.
        wanted: Index, part of the name in any case, or "" for the default device.
        host_api: Preferred host API when several match.
        what: What they are, for the error text.

    Raises:
        DeviceError: None matches, several do, or there is no device at all.
    """
    if not devices:
        raise DeviceError(f"no {what} was found", absence_mend())
    if isinstance(wanted, str) and wanted.strip().isdecimal():
        wanted = int(wanted)
    known = ", ".join(f"{device.index}: {device.name}" for device in devices)
    if isinstance(wanted, int):
        found = [device for device in devices if device.index == wanted]
        if not found:
            raise DeviceError(f"there is no {what} number {wanted}", f"choose one of {known}")
        return found[0]
    if not wanted:
        default = [device for device in devices if device.is_default]
        return default[0] if default else devices[0]
    found = [device for device in devices if device.name == wanted]
    found = found or [device for device in devices if wanted.casefold() in device.name.casefold()]
    found = [device for device in found if device.host_api == host_api] or found
    if not found:
        raise DeviceError(f"no {what} has {wanted!r} in its name", f"choose one of {known}")
    if len(found) > 1:
        names = ", ".join(f"{device.index}: {device.name} ({device.host_api})" for device in found)
        raise DeviceError(f"{len(found)} {what}s match {wanted!r}", f"choose one by index: {names}")
    return found[0]


def absence_mend() -> str:
    """Guess why there is no device on this machine, and say what would help."""
    folder = Path("/dev/snd")
    if os.name != "posix" or not Path("/proc").exists():
        return "plug one in, and allow microphone access in the privacy settings"
    cards = list(folder.glob("pcm*c")) if folder.is_dir() else []
    if not cards:
        return "plug one in; in a container pass --device /dev/snd, or set PULSE_SERVER and install libasound2-plugins"
    if not any(os.access(card, os.R_OK | os.W_OK) for card in cards):
        return "this user may not use the sound card: sudo usermod -aG audio $USER, then log in again"
    return "another program may hold it: `fuser -v /dev/snd/*` tells which"


_MENDS = {
    -9985: "another program may hold it: `fuser -v /dev/snd/*` tells which",
    -9996: "the device is gone: `rtemo devices` lists what is there",
    -9997: "leave sources.microphone.sample_rate_hz at 0 to take the device's own rate",
    -9998: "lower sources.microphone.capture_channels to what `rtemo devices` shows",
    -9993: "choose another device or host API, see `rtemo devices`",
}


def open_failure(device: InputDevice | OutputDevice, text: str, code: int) -> DeviceError:
    """Phrase what PortAudio says about a device that does not open."""
    what = "capture device" if isinstance(device, InputDevice) else "loudspeaker"
    problem = f"{what} {device.name!r} ({device.host_api}) does not open: {text.strip().rstrip('.')}"
    return DeviceError(problem, _MENDS.get(code, "try another device, see `rtemo devices`"))
