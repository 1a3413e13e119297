"""EventLog: what plugins have said since the last tick, for later plugins that hear it and lanes that wait for it."""

from collections.abc import Sequence
from typing import NamedTuple

from rtemo.api import BlockEvent, Payload, PluginSpec, kind_of
from rtemo.engine.selection import Selection
from rtemo.engine.stream import Stream


class LoggedEvent(NamedTuple):
    """One event, with the stream it is about and the place in the chain of who said it."""

    speaker: int
    stream: Stream | None
    row: int | None
    data: Payload
    start_sample: int
    end_sample: int

    @property
    def kind(self) -> str:
        """The payload's tag."""
        return kind_of(self.data)


class EventLog:
    """Keeps events from one tick to the end of the next, and only those that somebody hears or waits for.

    Lanes hand their findings in between two ticks; these stand before what is said in the tick.

    Args:
        specs: The plugins in order.
        streams: The stream of each row, always that of now; empty while the engine warms up.
        selection: The rows that plugins about persons have.

    Attributes:
        events: What was said, in order.
        wanted: For each plugin, the kinds it may say that are to be kept; nothing is asked of the others.
        late_hearers: Plugins that are told between ticks, too, what lanes found of streams that have left.
    """

    def __init__(self, specs: Sequence[PluginSpec], streams: Sequence[Stream], selection: Selection) -> None:
        self.events: list[LoggedEvent] = []
        self._specs = specs
        self._streams = streams
        self._selection = selection
        self._late_from = 0
        self.late_hearers: set[int] = set()
        self.wanted: list[frozenset[str]] = [frozenset() for _ in specs]
        self.keep(frozenset())

    def keep(self, waited_for: frozenset[str]) -> None:
        """Keep, besides what later plugins hear, the kinds that lanes wait for."""
        kinds = waited_for
        for index in reversed(range(len(self._specs))):
            self.wanted[index] = kinds
            kinds |= frozenset(self._specs[index].hears)

    def add(
        self, index: int, stream: Stream | None, row: int | None, data: Payload, start_sample: int, end_sample: int
    ) -> None:
        """Keep an event, about a row of the block, a stream, or neither."""
        if stream is None and row is not None and row < len(self._streams):
            stream = self._streams[row]
        self.events.append(LoggedEvent(index, stream, row, data, start_sample, end_sample))

    def heard_by(self, index: int, late: bool = False) -> Sequence[BlockEvent]:
        """Give a plugin the events of earlier ones that it hears, with the rows that it knows the streams by.

        One about persons is told nothing of streams of which only the timing may be known, and one about timing
        nothing that a plugin about persons has found.

        Args:
            index: Place of the plugin in the chain.
            late: Only what has been said since `settle` of streams that have left.
        """
        spec = self._specs[index]
        is_timing = spec.analyses == "timing"
        heard = []
        for event in self.events[self._late_from :] if late else self.events:
            has_left = event.stream is not None and event.stream.row is None
            if late != has_left and (late or index in self.late_hearers):
                continue
            if event.speaker >= index or event.kind not in spec.hears:
                continue
            said_by, stream, row = self._specs[event.speaker], event.stream, event.row
            if is_timing and said_by.analyses != "timing":
                continue
            if stream is not None:
                if not (is_timing or stream.analysis == "person"):
                    continue
                row = stream.row
            if row is not None and not is_timing:
                row = self._selection.place_of(row)
            heard.append(BlockEvent(row, stream, said_by.name, event.data, event.start_sample, event.end_sample))
        return tuple(heard)

    def settle(self) -> None:
        """Note that whoever hears late has heard all that was said so far."""
        self._late_from = len(self.events)

    def clear(self) -> None:
        """Forget the tick that is over."""
        self.events.clear()
        self._late_from = 0
