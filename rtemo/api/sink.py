"""AudioSink: where processed audio goes, and the block of it that is handed over."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtemo.api.format import StreamFormat


class StreamFacts(Protocol):
    """Who a stream is; one object for the whole life of a stream, so it tells apart two calls of the same name."""

    @property
    def id(self) -> int:
        """Number of the stream, counted from 1 since the engine started; never used again."""

    @property
    def call(self) -> str:
        """Call the stream belongs to."""

    @property
    def channel(self) -> str:
        """Channel within the call."""

    @property
    def role(self) -> str:
        """Who speaks, if known."""

    @property
    def analysis(self) -> str:
        """What may be found out: `person`, or only the `timing` of speech and silence."""


class ProcessedBlock:
    """One tick of audio as it leaves the chain: one hop of each of n streams.

    It is a copy that all sinks share, so nobody writes into it, and it may be kept.

    Positions are those of the input: a chain that delays the audio hands the input sample k out later, but always
    as sample k. What comes out before sample 0 (a delaying chain begins with what it was filled with) and beyond the
    last sample (it is fed silence until it has given everything) is no audio of the stream; `audio` leaves it out.

    Attributes:
        streams: The stream of each row.
        samples: float32 [n, hop_samples] in [-1, 1].
        start_sample: int64 [n], position in its stream of the first sample of the hop; negative while a delaying
            chain fills up. Where the engine dropped hops, it jumps.
        end_sample: int64 [n], one past the last sample of the stream that has been heard so far.
        capture_ns: int64 [n], UTC ns at which the hop's last sample was captured; 0 when unknown, as with files.
        is_last: bool [n], whether this is the stream's last hop.
    """

    __slots__ = ("capture_ns", "end_sample", "is_last", "samples", "start_sample", "streams")

    def __init__(
        self,
        streams: tuple[StreamFacts, ...],
        samples: NDArray[np.float32],
        start_sample: NDArray[np.int64],
        end_sample: NDArray[np.int64],
        capture_ns: NDArray[np.int64],
        is_last: NDArray[np.bool_],
    ) -> None:
        self.streams = streams
        self.samples = samples
        self.start_sample = start_sample
        self.end_sample = end_sample
        self.capture_ns = capture_ns
        self.is_last = is_last

    @property
    def n(self) -> int:
        """Number of streams."""
        return len(self.streams)

    def audio(self, row: int) -> tuple[int, NDArray[np.float32]]:
        """Give what belongs to the stream at `row`: position of the first sample, and float32 [k], k <= hop_samples."""
        start_sample, first, last = self.span(row)
        return start_sample, self.samples[row, first:last]

    def span(self, row: int) -> tuple[int, int, int]:
        """Tell position and place in the hop of what belongs to the stream: start_sample, first, one past the last."""
        start = int(self.start_sample[row])
        first = -start if start < 0 else 0
        last = min(int(self.end_sample[row]) - start, self.samples.shape[1])
        return start + first, first, max(first, last)

    def ends(self) -> "ProcessedBlock":
        """Give the streams that end here, without any audio."""
        rows = np.flatnonzero(self.is_last)
        return ProcessedBlock(
            tuple(self.streams[row] for row in rows),
            self.samples[rows, :0],
            self.start_sample[rows],
            self.end_sample[rows],
            self.capture_ns[rows],
            self.is_last[rows],
        )


class AudioSink(Protocol):
    """A consumer of processed audio on a thread of its own; it may be slow, a live driver never waits for it.

    A freewheeling one does wait: nothing is lost there. It is found by name (`rtemo serve --sink NAME`, `[sinks.NAME]`)
    as a `rtemo.api.Source` is, through the entry point group `rtemo.sinks`.

    One that does not want every stream has besides a method `wants(stream: StreamFacts) -> bool`. The driver asks it
    when a stream begins and 50 times a second, before `open` too, so it must be cheap. Audio of streams that nobody
    wants is handed over all the same, but as it came in: no plugin need have worked on it.
    """

    @property
    def name(self) -> str:
        """Short name for logs, health and faults."""

    @property
    def overrun_samples(self) -> int:
        """Samples that came in and were dropped by the sink itself. Any thread."""

    @property
    def underrun_samples(self) -> int:
        """Samples that should have gone out but had not come in. Any thread."""

    def open(self, format: StreamFormat) -> None:
        """Bind or open; raise an `RtemoError` that says what to do. Called on the sink's thread."""

    def write(self, block: ProcessedBlock) -> None:
        """Take one tick of audio. Called on the sink's thread."""

    def tick(self) -> None:
        """Do periodic work; called at least every 50 ms on the sink's thread."""

    def close(self) -> None:
        """Flush within a bound and free everything; may be called twice. Called on the sink's thread."""
