"""Source: where audio comes from, and the desk at which it opens streams."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtemo.api.events import Payload
from rtemo.api.format import StreamFormat


class StreamWriter(Protocol):
    """The writing end of one stream's ring; used by one thread at a time, never blocks, takes no lock."""

    @property
    def call(self) -> str:
        """Call the stream belongs to."""

    @property
    def channel(self) -> str:
        """Channel within the call."""

    @property
    def position_samples(self) -> int:
        """Samples written so far, gaps included: the position of the next sample."""

    def write(self, samples: NDArray[np.float32], capture_ns: int = 0) -> int:
        """Append mono samples at the engine's rate.

        A live stream takes everything and overwrites the oldest unread audio when full (counted as
        overrun). A freewheeling one takes what fits.

        Args:
            samples: float32 [k]; NaN and infinities are replaced by zero and flagged.
            capture_ns: UTC ns at which the last sample was captured; 0 means now.

        Returns:
            How many samples were taken.
        """

    def write_gap(self, gap_samples: int) -> None:
        """Append concealed audio in place of samples that were lost; counted as lost by the source."""

    def count_lost(self, lost_samples: int) -> None:
        """Count samples that were lost at an unknown place or arrived too late; writes nothing."""

    def space_samples(self) -> int:
        """How many samples can be written now without overrun."""

    def report(self, data: Payload) -> None:
        """Emit an event about this stream (a source lost, recovered, overflowing)."""

    def end(self, reason: str) -> None:
        """Say that no more audio follows; what was written is still processed."""

    @property
    def is_closed(self) -> bool:
        """Whether the engine has ended the stream itself; the source should forget it."""


class TogetherWriter(StreamWriter, Protocol):
    """A writer that can write to many live streams in one call, as the engine's own can.

    Each call of a kernel lets others have the interpreter and has to get it back; with a packet of 20 ms of each of a
    hundred streams that costs more than the work, and the driver waits for it.
    """

    @staticmethod
    def write_together(
        writers: "Sequence[TogetherWriter]",
        samples: NDArray[np.float32],
        counts: NDArray[np.int64],
        capture_ns: NDArray[np.int64],
    ) -> None:
        """Append to several live streams of one engine, as `write` does to one.

        Args:
            writers: n of them, each once.
            samples: float32 [n, m].
            counts: int64 [n], how many of the m samples of each row count.
            capture_ns: int64 [n], UTC ns at which the last of them was captured; 0 means now.
        """


class StreamDesk(Protocol):
    """Where a source asks for streams."""

    @property
    def format(self) -> StreamFormat:
        """Format that samples must be written in."""

    @property
    def is_live(self) -> bool:
        """Whether the engine runs in real time; otherwise sources must respect `space_samples`."""

    def open_stream(
        self,
        call: str,
        channel: str,
        *,
        source: str = "",
        role: str = "",
        prefill_s: float = 0.0,
        is_estimate: bool = False,
    ) -> StreamWriter:
        """Admit a stream.

        Args:
            call: Name of the call.
            channel: Channel within the call.
            source: Where the audio comes from, for people.
            role: Who speaks (`customer`, `agent`, ...), empty when unknown.
            prefill_s: Audio to keep in hand against jitter of a live source; it delays the stream by as much.
            is_estimate: Whether its audio was told apart from that of others by the voices; `stream_start` says so.

        Raises:
            CapacityError: The engine is full; the text says how many streams it holds.
            PolicyError: The policy does not let this role in.
        """

    def report(self, data: Payload) -> None:
        """Emit an event about the source as a whole."""


class Source(Protocol):
    """A producer of one or more streams; the session runs each source on a thread of its own.

    A source whose streams somebody on this machine chose (a file, the microphone) says so with `is_local = True`:
    a stream without a role is analysed then. Of what comes over a network nobody here knows whose voice it is.

    To be found by name (`rtemo serve --source NAME`, `[sources.NAME]`) its class stands in the entry point group
    `rtemo.sources`, has `options_type`, and is made of an instance of that; a constructor that names `purpose` or
    `tenant` is given those too. Where connections go both ways (a telephone gateway) it has `sink` or `publisher`, or
    both, which the session takes with it. `check()` says what is wrong before the seconds of warming up; `endpoints`
    (name → where it can be reached) is shown; what `source_counts()` gives (`SourceCounts`) stands in `health`; with
    `drain()` and `count_streams` a planned stop lets calls come to their end.
    """

    @property
    def name(self) -> str:
        """Short name for logs and events."""

    def open(self, desk: StreamDesk) -> None:
        """Check and open whatever is needed; raise an `RtemoError` that says what to do."""

    def pump(self) -> float | None:
        """Move the audio that is there and return in how many seconds to call again.

        Must return within about 50 ms. 0 means at once. None means that the source has ended and has
        called `end` on all its streams.
        """

    def close(self) -> None:
        """Stop and free everything; may be called twice, and after a failed `open`."""
