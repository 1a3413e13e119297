"""SpeakerSink: plays processed audio on a device of this machine."""

import time
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rtemo.api import DeviceError, ProcessedBlock, StreamFormat
from rtemo.dsp.resample import PolyphaseResampler
from rtemo.io.sinks.options import PlayOptions
from rtemo.io.sinks.play_ring import PlayRing
from rtemo.io.sources.capture import CaptureStream, InputDevice, OutputDevice, choose_device
from rtemo.io.sources.capture_sounddevice import SoundDeviceBackend
from rtemo.io.sources.side_job import SideJob

_WHAT = "loudspeaker"
_MOST_CHANNELS = 2
_JOIN_S = 0.005
_DEAF_S = 1.0
_DRAIN_S = 0.3
_CLOSE_S = 1.0


class SpeakerSink:
    """Plays all streams mixed, on every channel of a device, a bounded time behind.

    What is heard is late by `prefill_s`, the device's own buffering and the delay of the rate conversion. The clocks
    of source and device differ: when too little is in hand, silence is played and counted as underrun until
    `prefill_s` is in hand again; when there is `surplus_s` too much, audio is dropped and counted as overrun until
    `prefill_s` is left.

    Args:
        options: Device, rate and bounds.
        backend: Binding of PortAudio; loaded when None.

    Attributes:
        device: What will be played on.
        is_chosen: Whether somebody asked for that device.

    Raises:
        DeviceError: There is no such device, or PortAudio is not installed.
    """

    name = "playback"
    options_type: ClassVar[type[PlayOptions]] = PlayOptions

    def __init__(self, options: PlayOptions | None = None, backend: SoundDeviceBackend | None = None) -> None:
        self._options = options or PlayOptions()
        self._backend = backend or SoundDeviceBackend()
        self.device: OutputDevice = choose_device(self._backend.output_devices(), self._options.device, what=_WHAT)
        self.is_chosen = self._options.device != ""
        self._ring: PlayRing | None = None
        self._stream: CaptureStream | None = None
        self._resampler: PolyphaseResampler | None = None
        self._rate_ratio = 1.0
        self._dropped_frames = 0
        self._is_dropping = False
        self._last_value = np.float32(0.0)
        self._is_expected = False
        self._calls = -1
        self._heard_s = 0.0

    @property
    def overrun_samples(self) -> int:
        """Samples dropped to play no later. Any thread."""
        return round(self._dropped_frames / self._rate_ratio)

    @property
    def underrun_samples(self) -> int:
        """Samples of silence played since audio had not come. Any thread."""
        return 0 if self._ring is None else round(self._ring.underrun_frames / self._rate_ratio)

    def open(self, format: StreamFormat) -> None:
        """Open and start the device.

        Raises:
            DeviceError: It does not open.
            AudioInputError: Its rate cannot be converted to.
        """
        options, device = self._options, self.device
        rate_hz = options.sample_rate_hz or device.default_rate_hz
        self._rate_ratio = rate_hz / format.sample_rate_hz
        if rate_hz != format.sample_rate_hz:
            self._resampler = PolyphaseResampler(format.sample_rate_hz, rate_hz)
        self._prefill_frames = round(options.prefill_s * rate_hz)
        self._most_frames = self._prefill_frames + round(options.surplus_s * rate_hz)
        self._join_frames = round(_JOIN_S * rate_hz)
        channels = min(_MOST_CHANNELS, device.channels)
        # A hop beyond the most there may be, and its rate conversion, always fit.
        ring = PlayRing(channels, self._most_frames + rate_hz // 10, self._prefill_frames)
        self._ring = ring
        self._stream = self._backend.open_output(
            device, channels=channels, rate_hz=rate_hz, latency_s=options.latency_s, ring=ring
        )
        self._stream.start()
        self._heard_s = time.monotonic()

    def write(self, block: ProcessedBlock) -> None:
        """Mix one hop of every stream and put it in line."""
        assert self._ring is not None
        samples, is_last = block.samples, block.is_last
        if self._options.roles:
            rows = [row for row, stream in enumerate(block.streams) if stream.role in self._options.roles]
            samples, is_last = samples[rows], is_last[rows]
        is_expected = not bool(is_last.all())
        if is_expected != self._is_expected:
            self._is_expected = is_expected
            self._ring.expect(is_expected)
        if not samples.shape[1] or not len(samples):
            return
        mix = samples.sum(axis=0) if len(samples) > 1 else samples[0]
        frames = mix if self._resampler is None else self._resampler.process(mix)
        self._put(np.clip(frames, -1.0, 1.0))

    def tick(self) -> None:
        """See whether the device still asks for audio.

        Raises:
            DeviceError: It does not.
        """
        assert self._ring is not None
        assert self._stream is not None
        now_s = time.monotonic()
        calls = self._ring.calls
        if calls != self._calls:
            self._calls, self._heard_s = calls, now_s
        if not self._stream.is_active or now_s - self._heard_s > _DEAF_S:
            raise DeviceError(f"loudspeaker {self.device.name!r} has stopped", "it may have been unplugged")

    def close(self) -> None:
        """Let what is in line be heard, within a bound, if the streams have ended; close the device."""
        stream, ring, self._stream = self._stream, self._ring, None
        if stream is None or ring is None:
            return
        if not self._is_expected and stream.is_active:
            deadline_s = time.monotonic() + _DRAIN_S
            while ring.fill_frames > 0 and time.monotonic() < deadline_s:
                time.sleep(0.005)
            time.sleep(max(0.0, min(stream.latency_s, deadline_s - time.monotonic())))
        job = SideJob(stream.close, "rtemo-speaker-close")
        if not job.wait(_CLOSE_S):
            self._backend.abandon(stream)

    def _put(self, frames: NDArray[np.float32]) -> None:
        """Append frames, unless there are too many in line already."""
        assert self._ring is not None
        fill = self._ring.fill_frames
        if fill > self._most_frames:
            self._is_dropping = True
        if self._is_dropping and fill > self._prefill_frames:
            self._dropped_frames += frames.shape[0]
            return
        if not frames.shape[0]:
            return
        if self._is_dropping:  # lead over from where it broke off
            self._is_dropping = False
            count = min(self._join_frames, frames.shape[0])
            share = np.linspace(0.0, 1.0, count, dtype=np.float32)
            frames[:count] = share * frames[:count] + (1.0 - share) * self._last_value
        self._last_value = frames[-1]
        self._ring.push(frames)


def feedback_risk(microphone: InputDevice, speaker: OutputDevice, is_chosen: bool) -> str:
    """Say why a microphone may hear what is played; empty when nothing speaks for it.

    Args:
        microphone: What is listened to.
        speaker: What is played on.
        is_chosen: Whether somebody chose the loudspeaker on purpose.
    """
    same = microphone.index == speaker.index or (microphone.name, microphone.host_api) == (
        speaker.name,
        speaker.host_api,
    )
    if same:
        return f"microphone and loudspeaker are the same device ({speaker.name}): use headphones, or it howls"
    if not is_chosen:
        return f"the microphone may hear {speaker.name}: use headphones, or choose another with --play-device"
    return ""
