"""ProcessDesk: the desk at which a gateway in a process of its own opens streams of the engine in another one."""

from collections.abc import Sequence
from multiprocessing.connection import Connection

import numpy as np
from numpy.typing import NDArray

from rtemo import api
from rtemo.api import Fault, Payload, RtemoError, SourceState, StreamFormat
from rtemo.io.gateways import process_wire as wire
from rtemo.io.gateways.counts import GatewayCounts
from rtemo.io.gateways.gateway import Gateway


class ProcessWriter:
    """The writing end of a stream that is in another process; see `rtemo.api.StreamWriter`.

    Args:
        desk: Takes what is written.
        number: Of the stream, at this desk.
        call: Call that it belongs to.
        channel: Channel within the call.
    """

    def __init__(self, desk: "ProcessDesk", number: int, call: str, channel: str) -> None:
        self.call = call
        self.channel = channel
        self.number = number
        self.is_closed = False
        self.position_samples = 0
        self._desk = desk

    def write(self, samples: NDArray[np.float32], capture_ns: int = 0) -> int:
        """Append samples; all of them are taken, since a session with gateways is live."""
        self.write_together(
            [self],
            np.ascontiguousarray(samples, np.float32)[None, :],
            np.array([samples.shape[0]]),
            np.array([capture_ns]),
        )
        return int(samples.shape[0])

    @staticmethod
    def write_together(
        writers: "Sequence[ProcessWriter]",
        samples: NDArray[np.float32],
        counts: NDArray[np.int64],
        capture_ns: NDArray[np.int64],
    ) -> None:
        """See `rtemo.api.TogetherWriter`."""
        given = counts.tolist()
        for writer, count in zip(writers, given, strict=True):
            writer.position_samples += count
        numbers = tuple(writer.number for writer in writers)
        rows = wire.Rows(numbers, tuple(given), tuple(capture_ns.tolist()), samples.tobytes())
        writers[0]._desk.items.append(rows)

    def write_gap(self, gap_samples: int) -> None:
        """Append lost samples."""
        if gap_samples > 0:
            self.position_samples += gap_samples
            self._desk.items.append(wire.Gap(self.number, gap_samples))

    def count_lost(self, lost_samples: int) -> None:
        """Count lost samples."""
        self._desk.items.append(wire.Lost(self.number, lost_samples))

    def space_samples(self) -> int:
        """A live stream takes everything."""
        return 1 << 40

    def report(self, data: Payload) -> None:
        """Emit an event about the stream."""
        self._desk.tell(self.number, data)

    def end(self, reason: str) -> None:
        """Say that no more follows."""
        self._desk.items.append(wire.End(self.number, reason))
        self._desk.forget(self)


class SessionLine:
    """What the desk of a gateway in a process of its own and its session say to each other besides audio.

    Args:
        pipe: To the session.
        format: Of all audio.

    Attributes:
        items: What has happened since the last turn.
        state: What the session has said last.
    """

    def __init__(self, pipe: Connection, format: StreamFormat) -> None:
        self.format = format
        self.items: list[wire.Item] = []
        self.state = wire.State()
        self._pipe = pipe

    def report(self, data: Payload) -> None:
        """Emit an event about the gateway."""
        self.tell(0, data)

    def tell(self, number: int, data: Payload) -> None:
        """Hand an event on."""
        if isinstance(data, Fault | SourceState):
            self.items.append(wire.Report(number, data))

    def close(self) -> None:
        """Free what is open besides the pipe."""

    def _tell_turn(self, counts: GatewayCounts, count_streams: int) -> None:
        """Give the session what has happened."""
        items, self.items = self.items, []
        self._pipe.send_bytes(wire.encode(wire.Turn(items, counts, count_streams)))

    def _listen(self) -> None:
        """Take what the session has said; an EOFError when it is gone."""
        while self._pipe.poll(0):
            self._hear(wire.decode_for_gateway(self._pipe.recv_bytes()))

    def _hear(self, said: wire.State | wire.Answer) -> None:
        if isinstance(said, wire.State):
            self.state = said


class ProcessDesk(SessionLine):
    """Opens streams by asking the session, and hands it everything else once in a turn.

    Args:
        pipe: To the session.
        format: Of all audio.
    """

    is_live = True

    def __init__(self, pipe: Connection, format: StreamFormat) -> None:
        super().__init__(pipe, format)
        self._writers: dict[int, ProcessWriter] = {}
        self._count = 0

    def open_stream(
        self,
        call: str,
        channel: str,
        *,
        source: str = "",
        role: str = "",
        prefill_s: float = 0.0,
        is_estimate: bool = False,
    ) -> ProcessWriter:
        """Admit a stream.

        Raises:
            RtemoError: As the session raised it.
        """
        self._count += 1
        writer = ProcessWriter(self, self._count, call, channel)
        self._pipe.send_bytes(
            wire.encode(wire.Open(writer.number, call, channel, source, role, prefill_s, is_estimate))
        )
        while not isinstance(said := wire.decode_for_gateway(self._pipe.recv_bytes()), wire.Answer):
            self._hear(said)
        if said.error:
            raise error_of(said.error, said.problem, said.mend)
        self._writers[writer.number] = writer
        return writer

    def forget(self, writer: ProcessWriter) -> None:
        """Let a stream go that has ended."""
        self._writers.pop(writer.number, None)

    def hand_over(self, gateway: Gateway) -> None:
        """Give the session what has happened, and take what it has said; an EOFError when it is gone."""
        self._tell_turn(gateway.counts, gateway.count_streams)
        self._listen()

    def _hear(self, said: wire.State | wire.Answer) -> None:
        super()._hear(said)
        if isinstance(said, wire.State):
            for number in said.closed:
                if number in self._writers:
                    self._writers[number].is_closed = True


def error_of(name: str, problem: str, mend: str) -> RtemoError:
    """Make an error of the other process again."""
    kind = getattr(api, name, RtemoError)
    is_ours = isinstance(kind, type) and issubclass(kind, RtemoError)
    error: RtemoError = (kind if is_ours else RtemoError)(problem, mend)
    return error
