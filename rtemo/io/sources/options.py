"""Options of the sources, as the configuration file knows them; imports nothing heavy."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class FileOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a sound file as a source."""

    path: Annotated[str, Meta(description="The file; for `rtemo serve --source file`.")] = ""

    call: Annotated[str, Meta(description="Name of the call; the file's name without suffix when empty.")] = ""
    channel_names: Annotated[
        tuple[str, ...], Meta(description="Names of the channels in order, such as 'caller'; numbers when empty.")
    ] = ()
    roles: Annotated[
        tuple[str, ...], Meta(description="Who speaks on each channel ('customer', 'agent'); unknown when empty.")
    ] = ()


class StdinOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of raw PCM on standard input."""

    call: Annotated[str, Meta(description="Name of the call.")] = "stdin"
    sample_rate_hz: Annotated[int, Meta(ge=1_000, le=768_000, description="Sample rate of the input, in Hz.")] = 16_000
    channels: Annotated[int, Meta(ge=1, le=64, description="Interleaved channels; each becomes a stream.")] = 1
    sample_type: Annotated[
        Literal["s16le", "f32le", "mulaw", "alaw"],
        Meta(description="Sample type: 16-bit integer or 32-bit float, little-endian, or G.711 mu-law or A-law."),
    ] = "s16le"
    channel_names: Annotated[tuple[str, ...], Meta(description="Names of the channels; numbers when empty.")] = ()
    roles: Annotated[tuple[str, ...], Meta(description="Who speaks on each channel; unknown when empty.")] = ()


class MicrophoneOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a capture device."""

    device: Annotated[
        int | str, Meta(description="Device by index or part of its name (see `rtemo devices`); '' is the default one.")
    ] = ""
    backend: Annotated[
        Literal["sounddevice", "pyaudio"], Meta(description="Python binding of PortAudio to capture with.")
    ] = "sounddevice"
    call: Annotated[str, Meta(description="Name of the call.")] = "mic"
    channel: Annotated[str, Meta(min_length=1, description="Name of the stream within the call.")] = "0"
    role: Annotated[str, Meta(description="Who speaks ('customer', 'agent'); unknown when empty.")] = ""
    downmix: Annotated[
        Literal["first", "mix"], Meta(description="Take the device's first channel, or the mean of those captured.")
    ] = "first"
    capture_channels: Annotated[
        int, Meta(ge=1, le=64, description="Channels to capture at most; a device with fewer gives what it has.")
    ] = 2
    sample_rate_hz: Annotated[
        int, Meta(ge=0, le=768_000, description="Rate to open the device at, in Hz; 0 is the device's own.")
    ] = 0
    latency_s: Annotated[
        float, Meta(gt=0, le=2, description="Buffering asked of the device, in s; smaller is faster and riskier.")
    ] = 0.04
    buffer_s: Annotated[
        float, Meta(ge=0.1, le=30, description="Audio held between device and engine, in s; beyond it is lost.")
    ] = 2.0
    first_frame_s: Annotated[
        float, Meta(gt=0, le=60, description="How long a device may take to deliver its first audio, in s.")
    ] = 2.0
    watchdog_s: Annotated[
        float, Meta(ge=0.1, le=60, description="Time without audio after which the device counts as lost, in s.")
    ] = 1.0
    retry_s: Annotated[float, Meta(gt=0, le=60, description="First wait before reopening a lost device, in s.")] = 0.5
    retry_max_s: Annotated[
        float, Meta(gt=0, le=600, description="Longest wait between attempts to reopen, in s; each one doubles.")
    ] = 10.0
