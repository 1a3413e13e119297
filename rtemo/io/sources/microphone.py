"""MicrophoneSource: a capture device as a source that survives its device."""

import threading
import time
from collections.abc import Callable
from typing import ClassVar

from rtemo.api import DeviceError, RtemoError, SourceState, StreamDesk, StreamWriter
from rtemo.api.units import seconds_to_samples
from rtemo.io.sources.capture import CaptureBackend
from rtemo.io.sources.capture_backends import capture_backend
from rtemo.io.sources.capture_line import CaptureLine, LineBlock
from rtemo.io.sources.options import MicrophoneOptions
from rtemo.io.sources.overflow import OverflowReport
from rtemo.io.sources.side_job import SideJob

_POLL_S = 0.003  # devices deliver every 3 to 20 ms; this much is added to the latency at most
_LOST_POLL_S = 0.02
_IDLE_NS = 100_000_000  # silence after which it is worth asking whether the device still runs
_CATCH_UP_S = 0.1  # while the device is lost the gap stays this far behind now, so that its audio finds its place
_END_S = 0.4  # a session must be able to stop within a second
_SHORTEST_GAP_S = 0.001  # shorter ones are within the jitter of the device's clock


class MicrophoneSource:
    """Captures one stream from a device, at the device's own rate.

    The device's callback only copies; conversion and writing happen in `pump`. A device that stops delivering is
    reported as lost within `watchdog_s`, reopened with growing waits for as long as the session lives, and reported
    as recovered; the time in between stands in the stream as a gap, so that positions stay true to time.

    >>> from rtemo.io.sources.microphone import MicrophoneSource
    >>> from rtemo.io.sources.options import MicrophoneOptions
    >>> MicrophoneSource(MicrophoneOptions(device="USB")).name
    'mic:USB'

    Args:
        options: Device and its settings.
        backend: Binding of PortAudio; that of the options when None.
        clock_ns: Monotonic time in ns.
        hang_s: How long closing a lost device may take before it is given up.
    """

    is_local = True
    options_type: ClassVar[type[MicrophoneOptions]] = MicrophoneOptions

    def __init__(
        self,
        options: MicrophoneOptions | None = None,
        *,
        backend: CaptureBackend | None = None,
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        hang_s: float = 2.0,
    ) -> None:
        self.options = options or MicrophoneOptions()
        self._backend = backend
        self._clock_ns = clock_ns
        self._hang_s = hang_s
        self._rate_hz = 0
        self._wanted: int | str = self.options.device
        self._host_api = ""
        self._writer: StreamWriter
        self._line: CaptureLine | None = None
        self._overflows = OverflowReport()
        self._heard_ns = 0
        self._outage: _Outage | None = None
        self._closing = threading.Event()

    @property
    def name(self) -> str:
        """Short name for logs and events."""
        return f"mic:{self._wanted if self._wanted != '' else 'default'}"

    def open(self, desk: StreamDesk) -> None:
        """Open the device, wait for its first audio, then open the stream.

        Raises:
            DeviceError: There is no such device, it does not open, or it delivers nothing.
            CapacityError: The engine is full.
        """
        if not desk.is_live:
            raise DeviceError("a microphone delivers in real time, but this session freewheels", "run it live")
        self._rate_hz = desk.format.sample_rate_hz
        self._backend = self._backend or capture_backend(self.options.backend)
        line = self._connect()
        self._line = line
        line.wait_for_audio(self.options.first_frame_s)
        device = line.device
        if self._wanted != "":  # indices change when devices come and go; the default device stays the default one
            self._wanted, self._host_api = device.name, device.host_api
        self._writer = desk.open_stream(
            self.options.call, self.options.channel, source=f"mic:{device.name}", role=self.options.role
        )
        self._heard_ns = self._clock_ns()

    def pump(self) -> float | None:
        """Write what the device has delivered, or try to get it back; see `rtemo.api.Source`."""
        if self._writer.is_closed:
            self.close()
            return None
        if self._outage is None:
            self._listen()
        if self._outage is not None:
            self._bridge(self._outage)
        self._overflows.tell(self._writer, self._clock_ns())
        return _POLL_S if self._outage is None else _LOST_POLL_S

    def close(self) -> None:
        """Stop capturing and end the stream."""
        if self._closing.is_set():
            return
        self._closing.set()
        line, self._line = self._line, None
        if line is not None:
            line.close(min(_END_S, self._hang_s))
        if hasattr(self, "_writer") and not self._writer.is_closed:
            self._writer.end("stopped")

    def _connect(self) -> CaptureLine:
        assert self._backend is not None
        return CaptureLine(
            self._backend,
            self.options,
            self._rate_hz,
            wanted=self._wanted,
            host_api=self._host_api,
            clock_ns=self._clock_ns,
        )

    def _listen(self) -> None:
        line = self._line
        assert line is not None
        for block in line.take():
            self._write(line, block)
        silent_ns = self._clock_ns() - self._heard_ns
        if silent_ns > self.options.watchdog_s * 1e9:
            self._lose(line, f"no audio for {silent_ns * 1e-9:.1f} s")
        elif silent_ns > _IDLE_NS and not line.is_active:
            self._lose(line, "the device has stopped")

    def _write(self, line: CaptureLine, block: LineBlock) -> None:
        if block.lost_frames or block.has_overflowed:
            self._account(line, block)
        samples = line.conversion.process(block.samples[None, :])[0]
        if samples.shape[0]:
            age_ns = self._clock_ns() - block.end_ns + round(line.conversion.latency_s * 1e9)
            self._writer.write(samples, time.time_ns() - age_ns)
        self._heard_ns = block.end_ns

    def _account(self, line: CaptureLine, block: LineBlock) -> None:
        """Put a gap where audio was lost: as long as is known, or as the device's clock says."""
        lost_s = block.lost_frames / line.rate_hz
        if block.has_overflowed:
            lost_s = max(lost_s, (block.start_ns - self._heard_ns) * 1e-9)
        if lost_s >= _SHORTEST_GAP_S:
            self._finish_segment(line)
            self._writer.write_gap(seconds_to_samples(lost_s, self._rate_hz))
        else:
            self._writer.count_lost(1)  # the device says that there was a loss, and its clock shows none
        self._overflows.add(lost_s)

    def _finish_segment(self, line: CaptureLine) -> None:
        tail = line.conversion.flush()[0]
        if tail.shape[0]:
            self._writer.write(tail)

    def _lose(self, line: CaptureLine, reason: str) -> None:
        self._finish_segment(line)
        self._line = None
        self._outage = _Outage(self._heard_ns, self._writer.position_samples, self.options.retry_s)
        self._outage.job = SideJob(lambda: self._give_up(line), "rtemo-mic-close")
        detail = f"{line.device.name}: {reason}; trying to reopen it"
        self._writer.report(SourceState(state="lost", detail=detail))

    def _bridge(self, outage: "_Outage") -> None:
        """Keep the gap growing with time, and take the next step towards the device."""
        line = self._line
        if line is not None and line.has_delivered:
            self._recover(outage, line)
            return
        self._fill(outage, self._clock_ns() - round(_CATCH_UP_S * 1e9))
        now_s = self._clock_ns() * 1e-9
        if line is not None:
            if now_s > outage.deadline_s:
                self._line = None
                outage.job = SideJob(lambda: self._give_up(line), "rtemo-mic-close")
        elif outage.job is not None:
            if outage.job.is_done:
                self._step(outage, outage.job, now_s)
        elif now_s >= outage.retry_at_s:
            outage.job = SideJob(self._reconnect, "rtemo-mic-reopen")

    def _step(self, outage: "_Outage", job: "SideJob[CaptureLine | None]", now_s: float) -> None:
        outage.job = None
        try:
            self._line = job.result()
        except RtemoError:
            self._line = None
        if self._line is not None:
            outage.deadline_s = now_s + self.options.first_frame_s
            return
        outage.retry_at_s = now_s + outage.wait_s
        outage.wait_s = min(2 * outage.wait_s, self.options.retry_max_s)

    def _recover(self, outage: "_Outage", line: CaptureLine) -> None:
        blocks = list(line.take())
        self._fill(outage, blocks[0].start_ns)
        lost_s = (blocks[0].start_ns - outage.start_ns) * 1e-9
        self._outage = None
        detail = f"{line.device.name}: audio again after {lost_s:.1f} s"
        self._writer.report(SourceState(state="recovered", detail=detail))
        for block in blocks:
            self._write(line, block)

    def _fill(self, outage: "_Outage", until_ns: int) -> None:
        """Extend the gap to where the stream should stand at a time."""
        due = outage.position_samples + seconds_to_samples((until_ns - outage.start_ns) * 1e-9, self._rate_hz)
        self._writer.write_gap(max(0, due - self._writer.position_samples))

    def _give_up(self, line: CaptureLine) -> None:
        """Close a line that is lost. Side thread."""
        line.close(self._hang_s)

    def _reconnect(self) -> CaptureLine | None:
        """Look for the device again and open it. Side thread."""
        assert self._backend is not None
        self._backend.refresh()
        line = self._connect()
        if self._closing.is_set():
            line.close(self._hang_s)
            return None
        return line


class _Outage:
    """A time without the device: since when, and what is being done about it."""

    def __init__(self, start_ns: int, position_samples: int, wait_s: float) -> None:
        self.start_ns = start_ns
        self.position_samples = position_samples
        self.wait_s = wait_s
        self.retry_at_s = 0.0
        self.deadline_s = 0.0
        self.job: SideJob[CaptureLine | None] | None = None
