"""StdinSource: raw PCM from standard input or any other byte stream."""

import os
import select
import sys
import time
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError, Fault, StreamDesk, StreamWriter
from rtemo.io.pcm import BYTES_PER_SAMPLE, check_full_scale, decode_pcm
from rtemo.io.sources.conversion import RateConversion
from rtemo.io.sources.options import StdinOptions

_READ_BYTES = 1 << 16
_FIRST_WAIT_MS = 200  # what is piped in from a file is there by then, and can be refused at once
_WAIT_MS = 20  # a stalled pipe holds `pump` no longer than this
_TURN_NS = 20_000_000
_AHEAD_S = 0.25
_TOLERANCE = 1.002
"""How much faster than our clock a live pipe may be: far more than any sound card, too little to notice for a file."""

_CONTAINERS = {b"RIFF": "WAV", b"fLaC": "FLAC", b"OggS": "Ogg", b"ID3": "MP3", b"FORM": "AIFF", b".snd": "AU"}


class StdinSource:
    """Reads interleaved raw samples; each channel is one stream.

    Live it takes what arrives as it arrives, but hardly faster than real time, so that a file piped in is played and
    a device piped in is followed. It never waits long for a pipe that stalls. The end of the input ends the streams;
    a last frame that is incomplete is reported and counted as lost.

    Args:
        stream: Binary stream; standard input when None.
        sample_rate_hz: Rate of the input.
        channels: Interleaved channels.
        sample_type: s16le, f32le, mulaw or alaw.
        call: Name of the call.
        channel_names: Names of the channels; "0", "1" … for those not named.
        roles: Who speaks on each channel, where known.
    """

    name = "stdin"
    is_local = True

    def __init__(
        self,
        stream: BinaryIO | None = None,
        sample_rate_hz: int = 16_000,
        channels: int = 1,
        sample_type: str = "s16le",
        *,
        call: str = "stdin",
        channel_names: Sequence[str] = (),
        roles: Sequence[str] = (),
    ) -> None:
        self.call = call
        self._stream = stream
        self._rate_hz = sample_rate_hz
        self._channels = channels
        self._sample_type = sample_type
        self._channel_names = tuple(channel_names)
        self._roles = tuple(roles)
        self._frame_bytes = 0
        self._fd: int | None = None
        self._poll: select.poll | None = None
        self._writers: list[StreamWriter] = []
        self._conversion: RateConversion
        self._pending: NDArray[np.float32] = np.empty((channels, 0), np.float32)
        self._first = b""
        self._rest = b""
        self._frames_read = 0
        self._written_samples = 0
        self._start_ns = 0
        self._is_live = False
        self._hop_samples = 0
        self._is_at_end = False

    @classmethod
    def from_options(cls, options: StdinOptions, stream: BinaryIO | None = None) -> "StdinSource":
        """Make a source as the configuration says."""
        return cls(
            stream,
            options.sample_rate_hz,
            options.channels,
            options.sample_type,
            call=options.call,
            channel_names=options.channel_names,
            roles=options.roles,
        )

    def open(self, desk: StreamDesk) -> None:
        """Check the input and open a stream for each channel.

        Raises:
            AudioInputError: Standard input is a terminal, or the sample type or rate is impossible.
            CapacityError: The engine has no room for its channels.
        """
        if self._sample_type not in BYTES_PER_SAMPLE:
            decode_pcm(b"", self._sample_type)  # raises, naming those there are
        if self._channels < 1:
            raise AudioInputError(f"raw audio of {self._channels} channels cannot be read", "give at least 1 channel")
        self._frame_bytes = BYTES_PER_SAMPLE[self._sample_type] * self._channels
        self._stream = self._stream or sys.stdin.buffer
        if self._stream.isatty():
            raise AudioInputError(
                "standard input is a terminal, expected raw audio",
                "pipe it in: arecord -t raw -f S16_LE -r 16000 | rtemo listen -",
            )
        try:
            self._fd = self._stream.fileno()
        except OSError:
            self._fd = None  # a stream in memory: reading never waits
        else:
            self._poll = select.poll()
            self._poll.register(self._fd, select.POLLIN)
        self._first = self._read_bytes(_FIRST_WAIT_MS) or b""
        _refuse_container(self._first)
        rate_hz = desk.format.sample_rate_hz
        self._conversion = RateConversion(self._rate_hz, rate_hz, self._channels)
        self._is_live = desk.is_live
        self._hop_samples = desk.format.hop_samples
        prefill_s = desk.format.hop_s if self._channels > 1 else 0.0  # channels are written one after the other
        for channel in range(self._channels):
            name = self._channel_names[channel] if channel < len(self._channel_names) else str(channel)
            role = self._roles[channel] if channel < len(self._roles) else ""
            self._writers.append(desk.open_stream(self.call, name, source="stdin", role=role, prefill_s=prefill_s))

    def pump(self) -> float | None:
        """Write what has arrived; see `rtemo.api.Source`."""
        turn_end_ns = time.perf_counter_ns() + _TURN_NS
        while time.perf_counter_ns() < turn_end_ns:
            if all(writer.is_closed for writer in self._writers):
                return None
            if self._pending.shape[1]:
                room = self._room_samples()
                if room < min(self._hop_samples, self._pending.shape[1]):
                    return 0.005 if self._is_live else 0.001
                # The first hop by itself: the channels come into the engine together only while none has much in hand.
                most_samples = room if self._written_samples else self._hop_samples
                self._write(min(room, most_samples, self._pending.shape[1]))
            elif self._is_at_end:
                self._end("end_of_input")
                return None
            elif not self._read():
                return 0.0
        return 0.0

    def close(self) -> None:
        """End the streams; standard input itself stays open."""
        self._end("stopped")

    def _room_samples(self) -> int:
        space = min(writer.space_samples() for writer in self._writers if not writer.is_closed)
        if not self._is_live:
            return space
        elapsed_s = (time.perf_counter_ns() - self._start_ns) * 1e-9
        due = round((elapsed_s * _TOLERANCE + _AHEAD_S) * self._conversion.to_hz)
        return min(space, due - self._written_samples)

    def _read(self) -> bool:
        """Read and convert what is there; False when nothing came within the wait."""
        data, self._first = self._first or self._read_bytes(_WAIT_MS), b""
        if data is None:
            return False
        if not data:
            self._is_at_end = True
            self._report_end()
            self._pending = self._conversion.flush()
            return True
        if not self._frames_read:
            _refuse_container(self._rest + data)
            self._start_ns = time.perf_counter_ns()
        data = self._rest + data
        whole = len(data) // self._frame_bytes * self._frame_bytes
        self._rest = data[whole:]
        samples = decode_pcm(data[:whole], self._sample_type)
        if self._sample_type == "f32le":
            check_full_scale(samples)
        frames = samples.reshape(-1, self._channels)
        self._frames_read += frames.shape[0]
        self._pending = self._conversion.process(np.ascontiguousarray(frames.T))
        return True

    def _read_bytes(self, wait_ms: int) -> bytes | None:
        """Read what is there: empty at the end, None when nothing came within the wait."""
        if self._poll is not None and not self._poll.poll(wait_ms):
            return None
        assert self._stream is not None
        try:
            return self._stream.read(_READ_BYTES) if self._fd is None else os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return None
        except OSError as error:
            raise AudioInputError(f"standard input cannot be read ({error.strerror})", "check what feeds it") from None

    def _write(self, count_samples: int) -> None:
        capture_ns = time.time_ns() - round(self._conversion.latency_s * 1e9) if self._is_live else 0
        for channel, writer in enumerate(self._writers):
            if not writer.is_closed:
                writer.write(self._pending[channel, :count_samples], capture_ns)
        self._written_samples += count_samples
        self._pending = self._pending[:, count_samples:]

    def _report_end(self) -> None:
        problem = ""
        if self._rest:
            problem = (
                f"the input ends in the middle of a frame: {len(self._rest)} of {self._frame_bytes} bytes "
                f"({self._channels} x {self._sample_type})"
            )
        elif not self._frames_read:
            problem = "the input ended without any audio"
        if not problem:
            return
        for writer in self._writers:
            if not writer.is_closed:
                writer.report(Fault(where=self.name, problem=problem, action="closed"))
                writer.count_lost(1 if self._rest else 0)

    def _end(self, reason: str) -> None:
        writers, self._writers = self._writers, []
        for writer in writers:
            if not writer.is_closed:
                writer.end(reason)


def _refuse_container(data: bytes) -> None:
    """Raise when the input is a sound file: its header and its compressed audio would be heard as noise."""
    for magic, kind in _CONTAINERS.items():
        if data.startswith(magic):
            raise AudioInputError(
                f"standard input carries a {kind} file, expected raw samples",
                "give the file's name instead of -, pipe it into `rtemo analyze -`, or convert it: "
                "ffmpeg -i FILE -f s16le -ar 16000 -ac 1 -",
            )
