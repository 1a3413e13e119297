"""ReturnSink: processed audio of a gateway's parties, on its way back to them."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ProcessedBlock, StreamFacts, StreamFormat
from rtemo.io.gateways.return_path import ReturnPath
from rtemo.io.pcm import BYTES_PER_SAMPLE, encode_pcm
from rtemo.io.sources.lanes import Lane, Lanes

_MOST_READY_FRAMES = 8_192
_USUAL_RATE_HZ = 8_000


class ReturnSink:
    """Takes the audio of those parties that have a way back, and makes frames of it as each peer takes them.

    Only parties that may be analysed have their audio processed, so only theirs goes back; of the others there is none.
    All streams of a rate are converted together on the sink's thread; the gateway's thread only sends.

    Args:
        name: Name of the gateway.

    """

    underrun_samples = 0  # what has not come is silence at the other end

    def __init__(self, name: str) -> None:
        self.name = name
        self._overflown_samples = 0  # counted by the sink's thread
        self._refused_samples = 0  # counted by the gateway's
        self._paths: dict[tuple[str, str], ReturnPath] = {}
        self._ready: deque[tuple[ReturnPath, bytes]] = deque()
        self._outgoing: dict[StreamFacts, _Outgoing] = {}
        self._lanes: dict[int, Lanes] = {}
        self._rate_hz = StreamFormat().sample_rate_hz

    @property
    def overrun_samples(self) -> int:
        """Samples at the engine's rate that peers, or the gateway, did not take in time. Any thread."""
        return self._overflown_samples + self._refused_samples

    @property
    def is_ready(self) -> bool:
        """Whether there is something to `deliver`."""
        return bool(self._ready)

    def give(self, call: str, path: ReturnPath) -> None:
        """Let audio of a party go back from now on. The gateway's thread."""
        self._paths[call, path.channel] = path

    def forget(self, call: str, path: ReturnPath) -> None:
        """Send nothing more this way. The gateway's thread."""
        if self._paths.get((call, path.channel)) is path:
            del self._paths[call, path.channel]

    def deliver(self) -> None:
        """Send what is ready. The gateway's thread."""
        for _ in range(len(self._ready)):
            path, payload = self._ready.popleft()
            if not path.take(payload):
                self._refused_samples += self._samples_of(path, payload)

    def wants(self, stream: StreamFacts) -> bool:
        """Tell whether a party has a way back. Any thread."""
        return stream.analysis == "person" and (stream.call, stream.channel) in self._paths

    def open(self, format: StreamFormat) -> None:
        """Make ready, so that the first frame does not wait for it."""
        self._rate_hz = format.sample_rate_hz
        lane = self._lanes_to(_USUAL_RATE_HZ).admit(self._rate_hz)
        encode_pcm(lane.convert(np.zeros(format.hop_samples, np.float32)), "mulaw")
        self._lanes_to(_USUAL_RATE_HZ).retire(lane)

    def write(self, block: ProcessedBlock) -> None:
        """Take one hop of every stream."""
        if self._paths:
            groups: dict[int, list[tuple[int, _Outgoing]]] = {}
            for row, stream in enumerate(block.streams):
                if self.wants(stream) and (outgoing := self._outgoing_of(stream)) is not None:
                    groups.setdefault(outgoing.path.rate_hz, []).append((row, outgoing))
            for members in groups.values():
                self._convert(block, members)
        if self._outgoing and block.is_last.any():
            for row in np.flatnonzero(block.is_last).tolist():
                self._end(block.streams[row])

    def tick(self) -> None:
        """Let go of streams that have lost their way back."""
        for stream in [stream for stream in self._outgoing if not self.wants(stream)]:
            self._end(stream)

    def close(self) -> None:
        """Drop what was not sent."""
        self._ready.clear()
        self._outgoing.clear()

    def _lanes_to(self, rate_hz: int) -> Lanes:
        return self._lanes.setdefault(rate_hz, Lanes(rate_hz))

    def _outgoing_of(self, stream: StreamFacts) -> "_Outgoing | None":
        path = self._paths.get((stream.call, stream.channel))
        if path is None:
            return None
        outgoing = self._outgoing.get(stream)
        if outgoing is None or outgoing.path.rate_hz != path.rate_hz:
            self._end(stream)
            outgoing = _Outgoing(path, self._lanes_to(path.rate_hz).admit(self._rate_hz))
            self._outgoing[stream] = outgoing
        elif outgoing.path is not path:  # another connection brings the party now
            outgoing.path = path
            outgoing.pending.clear()
        return outgoing

    def _end(self, stream: StreamFacts) -> None:
        outgoing = self._outgoing.pop(stream, None)
        if outgoing is not None:
            self._lanes_to(outgoing.path.rate_hz).retire(outgoing.lane)

    def _convert(self, block: ProcessedBlock, members: "list[tuple[int, _Outgoing]]") -> None:
        """Convert the hops of streams that all go out at one rate."""
        hop_samples = block.samples.shape[1]
        whole: list[tuple[int, _Outgoing]] = []
        for row, outgoing in members:
            _, first, last = block.span(row)
            if first == 0 and last == hop_samples:
                whole.append((row, outgoing))
            elif last > first:
                self._append(outgoing, outgoing.lane.convert(np.array(block.samples[row, first:last])))
        if not whole:
            return
        samples = block.samples[[row for row, _ in whole]]
        table = whole[0][1].lane.table
        if table is None:
            for (_, outgoing), part in zip(whole, samples, strict=True):
                self._append(outgoing, part)
            return
        out, counts = table.process(np.array([outgoing.lane.row for _, outgoing in whole]), samples)
        for (_, outgoing), part, count in zip(whole, out, counts.tolist(), strict=True):
            self._append(outgoing, part[:count])

    def _append(self, outgoing: "_Outgoing", samples: NDArray[np.float32]) -> None:
        path, pending = outgoing.path, outgoing.pending
        pending += encode_pcm(samples, path.codec)
        while len(pending) >= path.frame_bytes:
            payload = bytes(pending[: path.frame_bytes])
            del pending[: path.frame_bytes]
            if len(self._ready) < _MOST_READY_FRAMES:
                self._ready.append((path, payload))
            else:
                self._overflown_samples += self._samples_of(path, payload)

    def _samples_of(self, path: ReturnPath, payload: bytes) -> int:
        return len(payload) // BYTES_PER_SAMPLE[path.codec] * self._rate_hz // path.rate_hz


class _Outgoing:
    """One stream on its way back."""

    __slots__ = ("lane", "path", "pending")

    def __init__(self, path: ReturnPath, lane: Lane) -> None:
        self.path = path
        self.lane = lane
        self.pending = bytearray()
