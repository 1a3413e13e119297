"""Block: one hop of every live stream, the unit that flows through the chain."""

import enum
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api.errors import PluginError
from rtemo.api.events import Payload, kind_of
from rtemo.api.sink import StreamFacts


class HopFlag(enum.IntFlag):
    """What is unusual about one hop of one stream; a hop may carry several."""

    NONE = 0
    DISCONTINUITY = 1
    """Audio before this hop is missing: the position jumped or the previous hop was not real audio."""
    CONCEALED = 2
    """The samples were made by the engine because the real ones were late or lost."""
    CLIPPED = 4
    """At least one sample reached full scale."""
    LAST = 8
    """The stream ends with this hop; processors emit what they still hold."""
    PADDED = 16
    """Zeros appended after the end of the stream so that delayed processors can finish."""
    SANITISED = 32
    """NaN or infinite samples were replaced by zero."""


class BlockEvent(NamedTuple):
    """What an earlier plugin has said, for a later one that `hears` its kind.

    Attributes:
        row: Row in the block of the stream that it is about; None when the stream has left, and when it is about the
            engine as a whole.
        stream: Who that stream is; None when it is about the engine as a whole, and while the engine warms up.
        plugin: Who said it.
        data: The payload.
        start_sample: Position in the stream of the first sample that it is about.
        end_sample: One past the last.
    """

    row: int | None
    stream: StreamFacts | None
    plugin: str
    data: Payload
    start_sample: int
    end_sample: int

    @property
    def kind(self) -> str:
        """The payload's tag, for example `speech_start`."""
        return kind_of(self.data)


class Block:
    """One tick: one hop of each of `n` streams, edited in place by the processors in turn.

    The arrays are views of tables that the engine owns and overwrites at the next tick: a processor may
    edit `samples` (when its spec says so) and its own marks, and must not keep any array after it returns.

    Attributes:
        tick: Number of this tick since the engine started.
        samples: float32 [n, hop_samples] in [-1, 1].
        rows: int64 [n], the fixed ring slot of each stream. State tables are indexed by the position
            0..n-1 in the block, not by these values.
        start_sample: int64 [n], position in its stream of the first sample of the hop, corrected for the
            delay of the processors before.
        flags: uint8 [n] of `HopFlag` bits.
        marks: name → array [n, ...]: what earlier plugins declared in `provides`.
            Arrays are written into, never replaced.
        is_doubted: bool [n], whether a plugin that guards the stream holds its voice for synthetic. The engine keeps it
            from tick to tick; what is said of a doubted stream in a payload with a `trust_field`, as an
            `emotion` has, goes out with that field false.
        streams: Who the streams are, in order of rows, for a plugin that speaks of several at once; empty while the
            engine warms up, and where nobody knows.
        is_audio_wanted: bool [n], read-only: whether anybody wants the audio that the plugin hands on, a later plugin,
            a sink, or a lane. Of the other streams a plugin that edits audio may leave `samples` as they came.
        thrift: How many times less often than usual the plugin is to tell what it finds: 1, unless its spec gives way
            in its `rate` and a live engine cannot carry its load.
        events: What earlier plugins have said in this tick, and what worker lanes handed in since the last, in order:
            of the kinds that the plugin's spec says it `hears`, nothing else is kept. Positions are those of the
            stream, so behind a plugin that delays the audio an event may be ahead of the samples.
    """

    __slots__ = (
        "_heard",
        "events",
        "flags",
        "is_audio_wanted",
        "is_doubted",
        "marks",
        "rows",
        "samples",
        "start_sample",
        "streams",
        "thrift",
        "tick",
    )

    def __init__(
        self,
        tick: int,
        samples: NDArray[np.float32],
        rows: NDArray[np.int64],
        start_sample: NDArray[np.int64],
        flags: NDArray[np.uint8],
        marks: Mapping[str, NDArray[np.generic]],
        heard: NDArray[np.float32] | None = None,
        is_doubted: NDArray[np.bool_] | None = None,
        streams: Sequence[StreamFacts] = (),
        is_audio_wanted: NDArray[np.bool_] | None = None,
    ) -> None:
        self.tick = tick
        self.thrift = 1
        self.samples = samples
        self.rows = rows
        self.start_sample = start_sample
        self.flags = flags
        self.marks = marks
        self.streams = streams
        self.events: Sequence[BlockEvent] = ()
        self.is_doubted = np.zeros(len(flags), np.bool_) if is_doubted is None else is_doubted
        self.is_audio_wanted = np.ones(len(flags), np.bool_) if is_audio_wanted is None else is_audio_wanted
        self._heard = None if heard is None else heard.view()
        if self._heard is not None:
            self._heard.flags.writeable = False

    @property
    def heard(self) -> NDArray[np.float32]:
        """The hop as it entered the chain, float32 [n, hop_samples], read-only; for plugins with `hears_input`.

        Whatever edits audio may take away what a later plugin looks for. `heard` is as old as `samples`: delayed by
        the latencies of the plugins before, so that positions, flags and marks are those of both.

        Raises:
            PluginError: No plugin from here on has asked for it, so the engine does not keep it.
        """
        if self._heard is None:
            raise PluginError(
                "`block.heard` is not kept: no plugin of the chain asks for it",
                "set `hears_input` in the plugin's spec",
            )
        return self._heard

    @property
    def n(self) -> int:
        """Number of live streams in this block."""
        return int(self.samples.shape[0])
