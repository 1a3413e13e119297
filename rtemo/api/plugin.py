"""Plugin and Processor: the contract between the engine and everything that works on audio."""

import enum
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api.block import Block, BlockEvent, HopFlag
from rtemo.api.events import Payload
from rtemo.api.format import StreamFormat
from rtemo.api.lane import Finding, LaneSpec, LaneStatus, OpenLane
from rtemo.api.model import ModelCard, ModelHandle
from rtemo.api.overload import GivesWay
from rtemo.api.sink import StreamFacts


class Mark(msgspec.Struct, frozen=True):
    """One thing a plugin tells the later ones about every hop: an array [n, *shape] under a name.

    `unknown` is what the engine writes when the plugin is bypassed or left out, so it must never read as a
    plausible finding: a detector of speech says unknown, not silence.
    """

    name: str
    dtype: str = "float32"
    shape: tuple[int, ...] = ()
    unknown: float = float("nan")
    meaning: str = ""


class PluginSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What the engine must know of a plugin before it runs.

    Attributes:
        name: Unique short name, also its section in the configuration.
        summary: One sentence for `rtemo plugins`.
        version: Version of the plugin.
        latency_samples: Delay between a sample entering and the same sample leaving (for a plugin that
            edits audio); 0 for one that only listens. Tested against what is measured.
        lookahead_samples: Future samples needed before the marks and events about a hop are known.
        cadence_hops: Every how many hops the main work is done.
        edits_audio: Whether `block.samples` is changed.
        reads_audio: Whether anything is made of `block.samples`, or of windows of processed audio in a lane. A plugin
            that works on marks, events or `block.heard` alone says no: audio that nobody else wants is then not made.
            One that says no and edits does so for those who come after it.
        hears_input: Whether `block.heard` is read: the audio as it entered the chain.
        gives_way: What the plugin, or a part of it, may be given up as, while a live engine cannot carry its load; see
            `GivesWay`. Of one that names nothing nothing is ever given up.
        provides: Marks this plugin writes at every tick.
        requires: Names of marks that earlier plugins must provide.
        analyses: What the findings are about. `person`: the one who speaks; streams that the policy lets nobody analyse
            are then kept from the plugin altogether. `timing`: only when somebody speaks, is silent or talks over
            another; such a plugin hears every stream, so it must say nothing else.
        emits: Types of the events that it says, of `rtemo.api` or its own. Anything else that it says takes it out of
            the chain; while nothing is named, nothing is checked. The schema of the wire format is made of them.
        hears: Kinds of events of earlier plugins that it reads in `block.events`; a kind that none of them says is
            simply never there. A plugin about timing hears only what others about timing say.
        enhances: Whether it improves speech; its options `wet` and `attenuation_limit_db` are those that the command
            line offers.
        is_verbatim: Whether it writes down what is said. `rtemo serve` leaves such a plugin out unless `policy.words`
            lets it in.
    """

    name: str
    summary: str = ""
    version: str = "0"
    latency_samples: int = 0
    lookahead_samples: int = 0
    cadence_hops: int = 1
    edits_audio: bool = False
    reads_audio: bool = True
    hears_input: bool = False
    gives_way: tuple[GivesWay, ...] = ()
    provides: tuple[Mark, ...] = ()
    requires: tuple[str, ...] = ()
    analyses: Literal["person", "timing"] = "person"
    emits: tuple[type[Payload], ...] = ()
    hears: tuple[str, ...] = ()
    enhances: bool = False
    is_verbatim: bool = False


AudioDemand = Literal["never", "asked", "always"]
"""Whether anybody wants the audio that a plugin hands on: nobody, now and then somebody of some streams, or somebody of
all streams all the time."""


class ResetReason(enum.StrEnum):
    """Why state is thrown away."""

    REQUEST = "request"
    DISCONTINUITY = "discontinuity"


class Emit(Protocol):
    """How a processor hands out an event; cheap, never blocks."""

    def __call__(self, row: int | StreamFacts | None, data: Payload, start_sample: int, end_sample: int) -> None:
        """Emit `data` about samples [start_sample, end_sample) of the stream at block position `row`.

        What is known only later names the stream itself (`block.streams`, `Finding.stream`), whose row may have changed
        by then. With `row` None it is about the engine as a whole, all its streams together, and goes out under no
        call; the positions are 0 then.
        """


class PluginContext(Protocol):
    """What the engine lends a plugin when it is opened."""

    @property
    def format(self) -> StreamFormat:
        """Format of all audio."""

    @property
    def audio_demand(self) -> AudioDemand:
        """Whether anybody will want the audio that the plugin hands on.

        `never`: it need not be made, nor what makes it be loaded. `asked`: `block.is_audio_wanted` tells at every hop.
        """

    @property
    def said_earlier(self) -> frozenset[str]:
        """Kinds of events that earlier plugins of the chain say."""

    @property
    def said_later(self) -> frozenset[str]:
        """Kinds of events that later plugins of the chain say: these may speak where this one does not."""

    def model(self, name: str) -> ModelHandle:
        """Load the bundle of that name, checked, or raise `ModelError`."""

    def card(self, name: str) -> ModelCard:
        """Read the card of a bundle that a lane will load, without loading it.

        Raises:
            ModelError: There is no such bundle, or it could not be loaded here: its files, or an extra, are missing.
        """

    def lane(
        self, spec: LaneSpec, open_work: OpenLane, tell: Callable[[Finding, Emit], None], options: Any = None
    ) -> LaneStatus:
        """Ask for a worker lane: slow work on windows of every stream, beside the tick; the answer tells how it fares.

        `open_work` is called with a `LaneContext` and `options` on the lane's own thread, or in its process, and makes
        what works on batches of windows. `tell` is called on the driver thread with each finding that is not None, and
        with `emit`; the marks of a plugin whose lane is down read unknown. Work that cannot be opened for want of its
        model (`ModelError`) is given up at once, with one `fault` event; what fails otherwise is tried again.

        Raises:
            PluginError: The facts contradict each other, or work for a process cannot be found by name.
        """


class Processor(Protocol):
    """A running plugin: all its per-stream state lives in rows 0..n-1 of tables it owns.

    All calls come from the driver thread, one at a time.
    """

    def process(self, block: Block, emit: Emit) -> None:
        """Work on one hop of n streams; edit `block` in place as the spec declares; keep no array of it."""

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream at `row` (always the first free one)."""

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the stream at `last` (the last live row) takes its place."""

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Put the given rows into the state of a fresh stream."""

    def close(self) -> None:
        """Free what is held; may be called twice."""


@runtime_checkable
class LateHearer(Protocol):
    """A processor that is told, too, what worker lanes find of a stream after its last hop.

    Such findings come between two ticks, and there may be no further tick. Its `block.events` leave them out.
    """

    def hear(self, events: Sequence[BlockEvent], emit: Emit) -> None:
        """Take in what was said of streams that have left (`event.row` is None), of the kinds that the spec `hears`."""


class Plugin(Protocol):
    """An installed, configured plugin: a factory of processors, found through the entry point group `rtemo.plugins`.

    The entry point names a class; the engine calls it with an instance of `options_type`.
    """

    options_type: ClassVar[type[msgspec.Struct]]

    def __init__(self, options: Any) -> None: ...

    @property
    def spec(self) -> PluginSpec:
        """Facts about the plugin as configured."""

    def open(self, context: PluginContext, capacity: int) -> Processor:
        """Make a processor for up to `capacity` streams; load and warm whatever is slow here."""


class StreamProcessor(Protocol):
    """One stream's worker for authors who do not want to think in batches."""

    def process(
        self,
        samples: NDArray[np.float32],
        start_sample: int,
        flags: HopFlag,
        marks: dict[str, Any],
        emit: "StreamEmit",
    ) -> None:
        """Work on one hop, float32 [hop_samples], in place; `marks` holds this stream's row of every mark."""


class StreamEmit(Protocol):
    """`Emit` with the stream already filled in."""

    def __call__(self, data: Payload, start_sample: int, end_sample: int) -> None:
        """Emit `data` about samples [start_sample, end_sample)."""


class PerStreamProcessor:
    """Adapter that runs one `StreamProcessor` per row, for plugins written for a single stream.

    It costs one Python call per stream and tick; the batched contract is the fast road.

    Args:
        make: Called without arguments for every admitted stream.
    """

    def __init__(self, make: "StreamProcessorFactory") -> None:
        self._make = make
        self._workers: list[StreamProcessor] = []

    def process(self, block: Block, emit: Emit) -> None:
        """Run each row's worker on its hop."""
        for row, worker in enumerate(self._workers):

            def emit_row(data: Payload, start_sample: int, end_sample: int, row: int = row) -> None:
                emit(row, data, start_sample, end_sample)

            marks: dict[str, Any] = {name: array[row : row + 1] for name, array in block.marks.items()}
            worker.process(
                block.samples[row], int(block.start_sample[row]), HopFlag(int(block.flags[row])), marks, emit_row
            )

    def admit(self, row: int) -> None:
        """Make a fresh worker at `row`."""
        if row != len(self._workers):
            raise ValueError(f"rows are admitted in order; got {row}, expected {len(self._workers)}")
        self._workers.append(self._make())

    def retire(self, row: int, last: int) -> None:
        """Drop the worker at `row`; the last one takes its place."""
        self._workers[row] = self._workers[last]
        self._workers.pop()

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Replace the workers of `rows` by fresh ones."""
        for row in rows:
            self._workers[int(row)] = self._make()

    def close(self) -> None:
        """Drop all workers."""
        self._workers.clear()


class StreamProcessorFactory(Protocol):
    """Makes a `StreamProcessor`; a class without constructor arguments is one."""

    def __call__(self) -> StreamProcessor:
        """Make a worker for one stream."""
