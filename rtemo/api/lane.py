"""Worker lane: where a plugin does what takes longer than a hop, beside the tick and never in it."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal, Protocol

import msgspec
import numpy as np
from msgspec import Meta
from numpy.typing import NDArray

from rtemo.api.format import StreamFormat
from rtemo.api.model import ModelCard, ModelHandle
from rtemo.api.sink import StreamFacts
from rtemo.api.speech import SentenceHandle, SpeechHandle

STRIDE = "stride"
"""The trigger of a window that is cut because so much time has passed."""


class LaneSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a lane is to be given, and how long it may take.

    Attributes:
        name: Unique among the lanes of the plugin.
        window_s: Length of a window at most; the engine keeps as much of the past of every stream.
        stride_s: Time of a stream between two windows that its own progress cuts.
        on: What cuts a window: `stride`, or the kind of an event that an earlier plugin emits, as `speech_end`; such
            a window spans the end of what the event is about.
        audio: `heard` is the audio as it entered the chain, `processed` as it leaves it.
        least_s: What is shorter is not worth a window.
        while_mark: Name of a mark; a stride is only cut when it was not 0 in one of the hops since the last.
        kind: `thread` for work that leaves the interpreter (a model), `process` for what would not.
        max_age_s: A window that waited longer is dropped and counted (live only); as long a stream that has ended is
            kept for what is still to be said of it.
        max_batch: Windows worked on at once at most.
        land_s: Freewheel: what a window gave is told when the stream is as far beyond it.
        hang_s: A lane that takes longer over one batch is given up and started anew.
    """

    name: str
    window_s: Annotated[float, Meta(gt=0, le=60)]
    stride_s: Annotated[float, Meta(gt=0)] = 1.0
    on: tuple[str, ...] = (STRIDE,)
    audio: Literal["heard", "processed"] = "heard"
    least_s: Annotated[float, Meta(ge=0)] = 0.25
    while_mark: str = ""
    kind: Literal["thread", "process"] = "thread"
    max_age_s: Annotated[float, Meta(gt=0, le=60)] = 5.0
    max_batch: Annotated[int, Meta(ge=1)] = 16
    land_s: Annotated[float, Meta(ge=0)] = 0.5
    hang_s: Annotated[float, Meta(gt=0)] = 20.0


class Window:
    """A stretch of one stream for a lane to work on.

    Attributes:
        stream: Whose it is.
        samples: float32 [k], a copy; contiguous audio, so it is shorter after a jump.
        start_sample: Position of the first sample in the stream.
        end_sample: One past the last.
        trigger: `stride`, or the kind of the event that cut it.
    """

    __slots__ = ("end_sample", "samples", "start_sample", "stream", "trigger")

    def __init__(self, stream: StreamFacts, samples: NDArray[np.float32], start_sample: int, trigger: str) -> None:
        self.stream = stream
        self.samples = samples
        self.start_sample = start_sample
        self.end_sample = start_sample + int(samples.shape[0])
        self.trigger = trigger


class Finding:
    """What a lane made of one window.

    Attributes:
        stream: Whose it is; its row in the block may have changed since.
        start_sample: Position of the window's first sample in the stream.
        end_sample: One past the last.
        trigger: What cut the window.
        age_samples: How far the stream has come since.
        result: What the work returned for it.
    """

    __slots__ = ("age_samples", "end_sample", "result", "start_sample", "stream", "trigger")

    def __init__(
        self, stream: StreamFacts, start_sample: int, end_sample: int, trigger: str, age_samples: int, result: Any
    ) -> None:
        self.stream = stream
        self.start_sample = start_sample
        self.end_sample = end_sample
        self.trigger = trigger
        self.age_samples = age_samples
        self.result = result


class LaneContext(Protocol):
    """What the work of a lane is lent, on its own thread or in its own process."""

    @property
    def format(self) -> StreamFormat:
        """Format of all audio."""

    def model(self, name: str) -> ModelHandle:
        """Load the bundle of that name for this lane alone, checked, or raise `ModelError`."""

    def card(self, name: str) -> ModelCard:
        """Read the card of the bundle of that name, without loading it, or raise `ModelError`."""

    def speech(self, name: str) -> SpeechHandle:
        """Load the speech model of that name for this lane alone, checked, or raise `ModelError`."""

    def sentence(self, name: str) -> SentenceHandle:
        """Load the encoder of sentences of that name for this lane alone, checked, or raise `ModelError`."""


class LaneStatus(Protocol):
    """How a lane fares, for the plugin that has asked for it. Driver thread."""

    @property
    def is_awaited(self) -> bool:
        """Whether the driver waits for what the lane finds, as in freewheel, so that nothing is dropped."""

    @property
    def is_up(self) -> bool:
        """Whether windows are worked on: not while the lane opens, is started anew, or has been given up.

        Where it is awaited it is up from the beginning.
        """


LaneWork = Callable[[Sequence[Window]], Sequence[Any]]
"""Works on a batch of windows of any streams; gives one result for each, None where there is nothing to say."""

OpenLane = Callable[[LaneContext, Any], LaneWork]
"""Makes the work from the plugin's options, loading whatever is slow. In a process it must be a function or class of an
importable module, and options and results must be what msgspec can encode, besides NumPy arrays."""
