"""Demand: whose processed audio anybody wants, so that none is made for nobody."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioDemand, AudioSink, StreamFacts
from rtemo.engine.stream import Stream
from rtemo.engine.trouble import is_theirs

_ASK_TICKS = 2
"""Ticks between two times that sinks are asked about everybody."""

Wants = Callable[[StreamFacts], bool]


class Demand:
    """Asks the sinks which streams they want.

    Args:
        sinks: All of them; one without a method `wants` wants every stream all the time.
        is_tapped: Whether the embedding program takes the audio of every stream.
        capacity: Streams held at once.

    Attributes:
        kind: Whether there is anything to ask.
    """

    def __init__(self, sinks: Sequence[AudioSink], is_tapped: bool, capacity: int) -> None:
        asked: list[Wants | None] = [getattr(sink, "wants", None) for sink in sinks]
        self.kind: AudioDemand = "always" if is_tapped or None in asked else "asked" if asked else "never"
        self._sinks = [wants for wants in asked if wants is not None]
        self._wanted = np.full(capacity, self.kind == "always")

    def wanted(self, n: int) -> NDArray[np.bool_]:
        """Give what the block of n streams shows, read-only: bool [n], by rows."""
        view = self._wanted[:n]
        view.flags.writeable = False
        return view

    def ask(self, streams: Sequence[Stream], tick: int) -> None:
        """Ask about every stream, by rows, if it is time again. Driver thread."""
        if self.kind == "asked" and tick % _ASK_TICKS == 0:
            self.ask_now(streams)

    def ask_now(self, streams: Sequence[Stream]) -> None:
        """Ask about every stream: rows have moved, or somebody has come."""
        if self.kind == "asked":
            for row, stream in enumerate(streams):
                self._wanted[row] = any(_is_wanted(wants, stream) for wants in self._sinks)


def take_all(call: str, channel: str, start_sample: int, samples: object) -> None:
    """Want the audio of every stream and do nothing with it, as `on_audio` of an engine that is warmed or measured."""


def _is_wanted(wants: Wants, stream: Stream) -> bool:
    """Whether a sink wants a stream; one that cannot say gets it."""
    try:
        return bool(wants(stream))
    except BaseException as error:
        if not is_theirs(error):
            raise
        return True
