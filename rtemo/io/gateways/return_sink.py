"""ReturnSink: processed audio of a gateway's parties, and what an assistant says to them, on its way to them."""

from collections import deque
from collections.abc import Collection
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ConfigError, ProcessedBlock, StreamFacts, StreamFormat, canonical_role
from rtemo.io.gateways.barge_in import BargeIn
from rtemo.io.gateways.return_path import ReturnPath
from rtemo.io.pcm import BYTES_PER_SAMPLE, encode_pcm
from rtemo.io.sources.lanes import Lane, Lanes

_MOST_READY_FRAMES = 8_192
_USUAL_RATE_HZ = 8_000
_canonical = lru_cache(256)(canonical_role)  # asked of every stream in every hop


class ReturnSink:
    """Takes the audio that is to go to parties that have a way back, and makes frames of it as each peer takes them.

    A party is sent its own audio, or an assistant's, or both in turn: while a stream of the assistant's role is open in
    the call, that one alone. Where several are, the one that began first has the way until it ends. When one ends as
    `interrupted`, what the peer has not played of it is thrown away.

    Only parties that may be analysed have their audio processed, so only theirs goes back; of the others there is none.
    All streams of a rate are converted together on the sink's thread; the gateway's thread only sends.

    Args:
        name: Name of the gateway.
        is_enhanced: Whether parties are sent their own audio.
        assistant_role: Role of the streams that are sent to the caller; nobody's when empty.

    Attributes:
        publisher: Hears when an assistant is spoken over; None where there is none.
    """

    underrun_samples = 0  # what has not come is silence at the other end

    def __init__(self, name: str, *, is_enhanced: bool = True, assistant_role: str = "") -> None:
        self.name = name
        self.publisher = BargeIn(name, assistant_role) if assistant_role else None
        self._is_enhanced = is_enhanced
        self._assistant_role = canonical_role(assistant_role)
        self._callers: dict[str, ReturnPath] = {}  # who hears the assistant, by call
        self._speaking: dict[str, StreamFacts] = {}  # the assistant's stream that has the way, by call
        self._silenced: set[StreamFacts] = set()  # interrupted, but not yet at their last hop
        self._overflown_samples = 0  # counted by the sink's thread
        self._refused_samples = 0  # counted by the gateway's
        self._paths: dict[tuple[str, str], ReturnPath] = {}
        self._ready: deque[tuple[ReturnPath, bytes]] = deque()  # no bytes: what was sent is to be played no more
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

    def give(self, call: str, path: ReturnPath, hears_assistant: bool = True) -> None:
        """Let audio go this way from now on. The gateway's thread.

        Args:
            call: Name of the call.
            path: The way.
            hears_assistant: Whether the party is the one that an assistant speaks to.
        """
        self._paths[call, path.channel] = path
        if hears_assistant:
            self._callers[call] = path

    def forget(self, call: str, path: ReturnPath) -> None:
        """Send nothing more this way. The gateway's thread."""
        if self._paths.get((call, path.channel)) is path:
            del self._paths[call, path.channel]
        if self._callers.get(call) is path:
            del self._callers[call]

    def deliver(self) -> None:
        """Send what is ready. The gateway's thread."""
        for _ in range(len(self._ready)):
            path, payload = self._ready.popleft()
            if not payload:
                path.break_off()
            elif not path.take(payload):
                self._refused_samples += self._samples_of(path, payload)

    def wants(self, stream: StreamFacts) -> bool:
        """Tell whether a stream is to be sent to a party. Any thread."""
        return self._path_of(stream) is not None

    def open(self, format: StreamFormat) -> None:
        """Make ready, so that the first frame does not wait for it."""
        self._rate_hz = format.sample_rate_hz
        lane = self._lanes_to(_USUAL_RATE_HZ).admit(self._rate_hz)
        encode_pcm(lane.convert(np.zeros(format.hop_samples, np.float32)), "mulaw")
        self._lanes_to(_USUAL_RATE_HZ).retire(lane)

    def write(self, block: ProcessedBlock) -> None:
        """Take one hop of every stream."""
        self._break_off()
        if self._paths:
            groups: dict[int, list[tuple[int, _Outgoing]]] = {}
            for row, stream in enumerate(block.streams):
                if (outgoing := self._outgoing_of(stream)) is not None:
                    groups.setdefault(outgoing.path.rate_hz, []).append((row, outgoing))
            for members in groups.values():
                self._convert(block, members)
        if block.is_last.any():
            for row in np.flatnonzero(block.is_last).tolist():
                self._finish(block.streams[row])

    def tick(self) -> None:
        """Let go of streams that have lost their way back."""
        self._break_off()
        for stream in [stream for stream in self._outgoing if not self.wants(stream)]:
            self._end(stream)

    def close(self) -> None:
        """Drop what was not sent."""
        self._ready.clear()
        self._outgoing.clear()
        self._speaking.clear()
        self._silenced.clear()

    def _lanes_to(self, rate_hz: int) -> Lanes:
        return self._lanes.setdefault(rate_hz, Lanes(rate_hz))

    def _is_assistant(self, stream: StreamFacts) -> bool:
        return bool(self._assistant_role) and _canonical(stream.role) == self._assistant_role

    def _path_of(self, stream: StreamFacts) -> ReturnPath | None:
        if self._is_assistant(stream):
            return self._callers.get(stream.call)
        if self._is_enhanced and stream.analysis == "person":
            return self._paths.get((stream.call, stream.channel))
        return None

    def _outgoing_of(self, stream: StreamFacts) -> "_Outgoing | None":
        path = self._path_of(stream)
        if path is None or stream in self._silenced:
            return None
        if self._is_assistant(stream):
            has_way = self._speaking.setdefault(stream.call, stream) is stream
        else:
            has_way = stream.call not in self._speaking or path is not self._callers.get(stream.call)
        if not has_way:
            self._let_go(stream)
            return None
        outgoing = self._outgoing.get(stream)
        if outgoing is None or outgoing.path.rate_hz != path.rate_hz:
            self._let_go(stream)
            outgoing = _Outgoing(path, self._lanes_to(path.rate_hz).admit(self._rate_hz))
            self._outgoing[stream] = outgoing
        elif outgoing.path is not path:  # another connection brings the party now
            outgoing.path = path
            outgoing.pending.clear()
        return outgoing

    def _break_off(self) -> None:
        """Send nothing more of what was spoken over, and have the peers forget what they have of it."""
        while self.publisher is not None and (key := self.publisher.take()) is not None:
            for stream in [one for one in self._outgoing if (one.call, one.channel) == key]:
                self._end(stream)
                self._silenced.add(stream)
            path = self._callers.get(key[0])
            if path is not None:
                self._ready.append((path, b""))

    def _finish(self, stream: StreamFacts) -> None:
        """Send the rest of a stream, filled up with silence to a frame."""
        outgoing = self._outgoing.get(stream)
        if outgoing is not None:
            path = outgoing.path
            self._append(outgoing, outgoing.lane.flush())
            missing_bytes = -len(outgoing.pending) % path.frame_bytes
            self._append(outgoing, np.zeros(missing_bytes // BYTES_PER_SAMPLE[path.codec], np.float32))
        self._end(stream)
        self._silenced.discard(stream)

    def _end(self, stream: StreamFacts) -> None:
        if self._speaking.get(stream.call) is stream:
            del self._speaking[stream.call]
        self._let_go(stream)

    def _let_go(self, stream: StreamFacts) -> None:
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


def return_sink(name: str, is_enhanced: bool, assistant_role: str, party_roles: Collection[str]) -> ReturnSink | None:
    """Make the sink of a gateway, if anything is to go back there.

    Args:
        name: Name of the gateway.
        is_enhanced: Its option `enhanced`.
        assistant_role: Its option of that name.
        party_roles: Roles of those whom it brings.

    Raises:
        ConfigError: Who is brought would be sent back as the assistant.
    """
    role = canonical_role(assistant_role)
    if role and role in map(canonical_role, party_roles):
        raise ConfigError(
            f"sources.{name}.assistant_role is {assistant_role!r}, which is also the role of a party that it brings",
            "give the assistant a role of its own, as `sources.voice.role` does",
        )
    return ReturnSink(name, is_enhanced=is_enhanced, assistant_role=role) if is_enhanced or role else None


class _Outgoing:
    """One stream on its way back."""

    __slots__ = ("lane", "path", "pending")

    def __init__(self, path: ReturnPath, lane: Lane) -> None:
        self.path = path
        self.lane = lane
        self.pending = bytearray()
