"""AudioReceiver: receives processed audio and counts what is missing."""

import time
from collections import deque
from collections.abc import Collection, Iterator
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import zmq
from numpy.typing import NDArray

from rtemo.api.errors import EndpointError
from rtemo.io.audio_feed_wire import AudioBeat, AudioEnd, AudioStart, decode_note
from rtemo.io.audio_wire import decode_packet, split_names
from rtemo.io.curve import ClientKeys
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.pcm import decode_pcm
from rtemo.io.sockets import UNREACHABLE_MEND, connect, make_socket, open_context
from rtemo.io.topics import call_prefix, heartbeat_topic, tenant_prefix
from rtemo.io.wire import WireError

_QUEUE_MESSAGES = 10_000
_BATCH_MESSAGES = 500
_MOST_TRACKS = 65_536
_TURN_S = 0.05


class ReceivedAudio(NamedTuple):
    """A stretch of one stream's processed audio.

    Attributes:
        call: Call the stream belongs to.
        channel: Channel within the call.
        sample_rate_hz: Rate.
        start_sample: Position in the stream of the first sample: that of the input it was made from.
        samples: float32 [k] in [-1, 1]; empty in the last one of a stream.
        lost_samples: Missing just before it.
        capture_ns: UTC in ns when the last sample was captured; 0 when unknown.
        is_last: Whether the stream has ended.
    """

    call: str
    channel: str
    sample_rate_hz: int
    start_sample: int
    samples: NDArray[np.float32]
    lost_samples: int
    capture_ns: int = 0
    is_last: bool = False


class AudioReceiver:
    """Iterates over the processed audio of an engine, of all its streams or of some calls.

    >>> with AudioReceiver("tcp://127.0.0.1:5576", calls=["call-1"]) as receiver:  # doctest: +SKIP
    ...     for audio in receiver:
    ...         print(audio.channel, audio.start_sample, np.abs(audio.samples).max(initial=0.0))

    Lost audio is counted, not hidden: on the way here, since this end reads too slowly, or before, since the engine
    was overloaded. A receiver belongs to one thread.

    Args:
        endpoint: The engine's audio endpoint.
        tenant: Tenant of the feed.
        calls: Calls wanted; empty for all.
        connect_timeout_s: How long to wait for a sign of life at the beginning; None waits for ever.
        server_key: Public CURVE key of the engine, or its file; empty for plain text.
        key_file: Secret CURVE key file of this client.

    Attributes:
        lost_samples: Missing in all so far.
        malformed_messages: Messages that were no audio of a version known here.
        restarts: How often the engine began anew.

    Raises:
        EndpointError: The endpoint or a key cannot be used.
    """

    def __init__(
        self,
        endpoint: str = "tcp://127.0.0.1:5576",
        *,
        tenant: str = "main",
        calls: Collection[str] = (),
        connect_timeout_s: float | None = 5.0,
        server_key: str = "",
        key_file: str = "",
    ) -> None:
        if isinstance(calls, str):
            raise TypeError("calls is a collection of names, not one name")
        self.lost_samples = 0
        self.malformed_messages = 0
        self.restarts = 0
        self._endpoint = parse_endpoint(endpoint)
        self._connect_timeout_s = connect_timeout_s
        self._since_s = time.monotonic()
        self._epoch = ""
        self._tracks: dict[tuple[str, str], _Track] = {}
        self._names: dict[bytes, tuple[str, str]] = {}
        self._due: deque[ReceivedAudio] = deque()
        curve = ClientKeys(server_key, key_file) if server_key or key_file else None
        self._context = open_context()
        try:
            self._socket = make_socket(self._context, zmq.SUB)
            self._socket.rcvhwm = _QUEUE_MESSAGES
            connect(self._socket, self._endpoint, curve)
        except BaseException:
            self._context.destroy(linger=0)
            raise
        # Heartbeats last: subscriptions take effect in order, so a heartbeat shows that all of them have.
        for prefix in [call_prefix(tenant, call) for call in calls] or [tenant_prefix(tenant)]:
            self._socket.subscribe(prefix)
        self._socket.subscribe(heartbeat_topic(tenant))

    @property
    def is_connected(self) -> bool:
        """Whether the engine has been heard, so that what it sends from now on arrives."""
        return bool(self._epoch)

    def audio(self, timeout_s: float | None = None) -> Iterator[ReceivedAudio]:
        """Iterate over audio as it comes; ends when `timeout_s` passes without any.

        Raises:
            EndpointError: Nobody was heard within `connect_timeout_s`.
        """
        heard_s = time.monotonic()
        while True:
            while self._due:
                yield self._due.popleft()
                heard_s = time.monotonic()
            self._due.extend(self.receive(_TURN_S if timeout_s is None else min(_TURN_S, timeout_s)))
            if not self._due and timeout_s is not None and time.monotonic() - heard_s >= timeout_s:
                return

    def receive(self, timeout_s: float = 0.0) -> list[ReceivedAudio]:
        """Take the audio that is there, waiting up to `timeout_s` for the first.

        Raises:
            EndpointError: Nobody was heard within `connect_timeout_s`.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            found = [*self._due, *self._take()]
            self._due.clear()
            now_s = time.monotonic()
            patience_s = self._connect_timeout_s
            if not self.is_connected and patience_s is not None and now_s - self._since_s > patience_s:
                raise EndpointError(
                    f"nothing was heard from {self._endpoint} within {patience_s:g} s", UNREACHABLE_MEND
                )
            if found or now_s >= deadline_s:
                return found
            self._socket.poll(max(1, round(min(deadline_s - now_s, _TURN_S) * 1000)))

    def close(self) -> None:
        """Close everything; may be called twice."""
        if not self._context.closed:
            self._context.destroy(linger=0)

    def __iter__(self) -> Iterator[ReceivedAudio]:
        return self.audio()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _take(self) -> Iterator[ReceivedAudio]:
        for _ in range(_BATCH_MESSAGES):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                audio = self._read(frames)
            except WireError:
                self.malformed_messages += 1
                continue
            if audio is not None:
                yield audio

    def _read(self, frames: list[bytes]) -> ReceivedAudio | None:
        if len(frames) != 2:
            raise WireError(f"got {len(frames)} frames, expected topic and audio")
        message = frames[1]
        if message[:1] == b"{":
            return self._heed(decode_note(message))
        packet = decode_packet(message)
        key = self._names.get(packet.names)
        if key is None:
            if len(self._names) > _MOST_TRACKS:  # names of calls that are long over
                self._names.clear()
            key = self._names[packet.names] = split_names(packet.names)
        track = self._tracks.get(key)
        if track is None or packet.start_sample < track.position:  # joined in the middle; or the name is used again
            if len(self._tracks) > _MOST_TRACKS:  # of streams whose end was lost
                self._tracks.clear()
            track = self._tracks[key] = _Track(packet.start_sample)
        lost = self._lose(packet.start_sample - track.position)
        track.position = packet.start_sample + packet.count_samples
        track.rate_hz = packet.rate_hz
        samples = decode_pcm(packet.payload, packet.codec)
        return ReceivedAudio(*key, packet.rate_hz, packet.start_sample, samples, lost, packet.capture_ns)

    def _heed(self, note: AudioStart | AudioEnd | AudioBeat) -> ReceivedAudio | None:
        if note.epoch != self._epoch:
            self.restarts += bool(self._epoch)
            self._tracks.clear()
            self._epoch = note.epoch
        if isinstance(note, AudioStart):
            self._tracks[note.call, note.channel] = _Track(0, note.sample_rate_hz)
        elif isinstance(note, AudioEnd):
            track = self._tracks.pop((note.call, note.channel), None)
            if track is not None:
                lost = self._lose(max(0, note.end_sample - track.position))
                nothing = np.zeros(0, np.float32)
                return ReceivedAudio(
                    note.call, note.channel, track.rate_hz, note.end_sample, nothing, lost, is_last=True
                )
        return None

    def _lose(self, lost_samples: int) -> int:
        self.lost_samples += lost_samples
        return lost_samples


class _Track:
    """How far one stream has come."""

    __slots__ = ("position", "rate_hz")

    def __init__(self, position: int, rate_hz: int = 0) -> None:
        self.position = position
        self.rate_hz = rate_hz
