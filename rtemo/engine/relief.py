"""Relief: what a live engine gives up, in order, while it cannot carry its load, and takes back when it can."""

from collections.abc import Callable

from rtemo.api import OVERLOAD_ORDER, GivesWay, Overload, Payload
from rtemo.engine.chain import Chain
from rtemo.engine.ladder import Ladder
from rtemo.engine.lanes import Lanes


class Relief:
    """Leaves out what plugins of a chain can do without, or takes it back, as a ladder says; one event for each change.

    Args:
        ladder: Says when.
        chain: Whose plugins they are.
        lanes: Theirs.
        report: Emits an event about the engine.
        now_ns: Present time.

    Attributes:
        given_up: What is given up at present, in the order in which it went.
        since_ns: When that last changed.
    """

    def __init__(
        self, ladder: Ladder, chain: Chain, lanes: Lanes | None, report: Callable[[Payload], None], now_ns: int
    ) -> None:
        self.ladder = ladder
        self.given_up: tuple[GivesWay, ...] = ()
        self.since_ns = now_ns
        self._chain = chain
        self._lanes = lanes
        self._report = report
        ladder.start(now_ns)

    def look(self, now_ns: int, holder: int) -> None:
        """End a window of the ladder, and do what it says. Driver thread.

        Raises:
            TurnLost: The watchdog has passed the turn on while a plugin was preparing to come back.
        """
        more = self._next()
        way = self.ladder.look(now_ns, more is not None)
        if way > 0 and more is not None:
            self._chain.leave_out(more)
            self._tell("given_up", more, (*self.given_up, more), now_ns)
        elif way < 0:
            what = self.given_up[-1]
            self._tell("taken_back", what, self.given_up[:-1], now_ns)
            self._chain.take_back(what, holder)
        if way:
            self._tend_lanes()

    def lasts_s(self, now_ns: int) -> float:
        """Tell for how long what is given up has been; 0 while nothing is. Any thread."""
        return (now_ns - self.since_ns) / 1e9 if self.given_up else 0.0

    def _next(self) -> GivesWay | None:
        """Give what is to go next: the first thing that is still there and that somebody has."""
        return next((what for what in OVERLOAD_ORDER if what not in self.given_up and self._chain.having(what)), None)

    def _tell(self, state: str, what: GivesWay, given_up: tuple[GivesWay, ...], now_ns: int) -> None:
        self.given_up, self.since_ns = given_up, now_ns
        plugins = tuple(stage.spec.name for stage in self._chain.having(what))
        load = round(self.ladder.load, 3)
        self._report(Overload(state=state, what=what, plugins=plugins, given_up=given_up, load=load))

    def _tend_lanes(self) -> None:
        if self._lanes is not None:
            for stage in self._chain.stages:
                self._lanes.relieve(stage.spec.name, is_left_out=stage.is_left_out, thrift=stage.thrift)
