"""Playback: one open sound file on its way into its streams, one per channel."""

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.api import CapacityError, Fault, Payload, PolicyError, StreamDesk, StreamWriter
from rtemo.api.text import shown
from rtemo.io.sources.audio_file import AudioFile
from rtemo.io.sources.conversion import RateConversion
from rtemo.io.sources.pace import Pace

_LIVE_BLOCK_S = 0.25  # decoded at once
_BLOCK_S = 1.0  # and where nobody waits for it: libsndfile is made to seek after every block, which costs as much
_TURN_NS = 20_000_000  # longest stretch of work in one `pump`
_LEAST_WAIT_S, _MOST_WAIT_S = 0.001, 0.005
_HOP_WORK_S = 0.0001  # a freewheeling engine needs longer than this for a hop of all streams


class Playback:
    """Decodes, converts and writes one file; all its channels advance together.

    Freewheeling it fills the rings whenever they are half empty. Live it writes a hop when its time has come, and
    decodes the next ones in between.

    Attributes:
        audio: The file.
        writers: One per channel, in order.
        is_done: Whether all was written and the streams were ended.

    Args:
        audio: An open file; closed when done.
        desk: Where to open the streams.
        call: Name of the call.
        channel_names: Names of the channels; "0", "1" … for those not named.
        roles: Who speaks on each channel, where known.
        clock_ns: Monotonic time in ns.
        is_estimate: Whether its channels were made of one, by the voices.

    Raises:
        CapacityError: The engine has no room for all channels; none is left open.
        PolicyError: None of the channels may be let in.
        AudioInputError: The file's rate cannot be converted.
    """

    def __init__(
        self,
        audio: AudioFile,
        desk: StreamDesk,
        call: str,
        channel_names: Sequence[str] = (),
        roles: Sequence[str] = (),
        clock_ns: Callable[[], int] = time.perf_counter_ns,
        *,
        is_estimate: bool = False,
    ) -> None:
        self.audio = audio
        self.is_done = False
        rate_hz = desk.format.sample_rate_hz
        self._conversion = RateConversion(audio.sample_rate_hz, rate_hz, audio.channels)
        self._pace = Pace(rate_hz, desk.format.hop_samples, clock_ns) if desk.is_live else None
        self._hop_samples = desk.format.hop_samples
        block_s = _LIVE_BLOCK_S if desk.is_live else _BLOCK_S
        self._block_samples = max(1, round(block_s * audio.sample_rate_hz))
        self._pending: NDArray[np.float32] = np.empty((audio.channels, 0), np.float32)
        self._is_decoded = False
        self._written_samples = 0
        self.writers: list[StreamWriter] = []
        # Channels are written one after the other; a hop in hand keeps the engine from ticking in between.
        prefill_s = desk.format.hop_s if audio.channels > 1 else 0.0
        source = f"file:{shown(audio.path.name)}"
        refusals: list[tuple[str, PolicyError]] = []
        try:
            for channel in range(audio.channels):
                name = channel_names[channel] if channel < len(channel_names) else str(channel)
                role = roles[channel] if channel < len(roles) else ""
                try:
                    self.writers.append(
                        desk.open_stream(
                            call, name, source=source, role=role, prefill_s=prefill_s, is_estimate=is_estimate
                        )
                    )
                except PolicyError as refused:  # the other channels are other people
                    self.writers.append(_Unheard(call, name))
                    refusals.append((name, refused))
        except CapacityError as error:
            for writer in self.writers:
                writer.end("refused")
            raise CapacityError(
                f"no room for the {audio.channels} channel(s) of {shown(audio.path.name)}: {error.problem}", error.mend
            ) from None

        if len(refusals) == audio.channels:
            raise refusals[0][1]
        for name, refusal in refusals:
            where = f"{audio.path.name} channel {name}"
            desk.report(Fault(where=where, problem=str(refusal), action="refused"))
        self._ring_samples = 0 if self._pace else self._room_samples()

    @property
    def unheard(self) -> frozenset[int]:
        """Channels that the policy did not let in."""
        return frozenset(index for index, writer in enumerate(self.writers) if isinstance(writer, _Unheard))

    @property
    def done_s(self) -> float:
        """Seconds of the file written so far."""
        return self._written_samples / self._conversion.to_hz

    def pump(self) -> float | None:
        """Write what may be written now and tell in how many seconds to come again; None when done."""
        started_ns = time.perf_counter_ns()
        while not self.is_done:
            if all(writer.is_closed for writer in self.writers):
                self.close("closed by the engine")
                return None
            room = self._room_samples()
            if self._pace is None:
                if 2 * room < self._ring_samples:  # to write little pieces costs more than to convert them
                    hops = (self._ring_samples - room) / self._hop_samples
                    return min(max(hops * _HOP_WORK_S, _LEAST_WAIT_S), _MOST_WAIT_S)
            elif room <= 0:
                self._decode(self._hop_samples)  # while there is time: decoding makes no hop late
                return self._pace.wait_s(self._written_samples)
            if not self._pending.shape[1] and not self._decode():
                self._finish()
                return None
            # The first hop by itself: the channels come into the engine together only while none has much in hand.
            most_samples = room if self._written_samples else self._hop_samples
            self._write(min(room, most_samples, self._pending.shape[1]))
            if time.perf_counter_ns() - started_ns > _TURN_NS:
                return 0.0
        return None

    def close(self, reason: str) -> None:
        """End streams that are still open, and close the file; may be called twice."""
        self.audio.close()
        if self.is_done:
            return
        self.is_done = True
        for writer in self.writers:
            if not writer.is_closed:
                writer.end(reason)

    def _room_samples(self) -> int:
        if self._pace:
            return self._pace.due_samples(self._written_samples) - self._written_samples
        return min(writer.space_samples() for writer in self.writers if not writer.is_closed)

    def _decode(self, least_samples: int = 1) -> bool:
        """Decode until as much has come out of the conversion; False when nothing is left of the file."""
        while not self._is_decoded and self._pending.shape[1] < least_samples:
            block = self.audio.read(self._block_samples)
            if block.shape[1]:
                more = self._conversion.process(block)
            else:
                self._is_decoded = True
                more = self._conversion.flush()
            self._pending = np.concatenate((self._pending, more), axis=1) if self._pending.shape[1] else more
        return bool(self._pending.shape[1])

    def _write(self, count_samples: int) -> None:
        self._written_samples += count_samples
        capture_ns = self._pace.utc_ns(self._written_samples) if self._pace else 0
        for channel, writer in enumerate(self.writers):
            if not writer.is_closed:
                writer.write(self._pending[channel, :count_samples], capture_ns)
        self._pending = self._pending[:, count_samples:]

    def _finish(self) -> None:
        if self.audio.truncation:
            fault = Fault(where=shown(self.audio.path.name), problem=self.audio.truncation, action="closed")
            for writer in self.writers:
                if not writer.is_closed:
                    writer.report(fault)
        self.close("truncated" if self.audio.truncation else "end_of_file")


class _Unheard:
    """The writing end of a channel that the policy does not let in: closed from the beginning."""

    is_closed = True
    position_samples = 0

    def __init__(self, call: str, channel: str) -> None:
        self.call = call
        self.channel = channel

    def write(self, samples: NDArray[np.float32], capture_ns: int = 0) -> int:
        return 0

    def write_gap(self, gap_samples: int) -> None: ...

    def count_lost(self, lost_samples: int) -> None: ...

    def space_samples(self) -> int:
        return 0

    def report(self, data: Payload) -> None: ...

    def end(self, reason: str) -> None: ...
