"""`rtemo simulate`: what was recorded is published once more."""

import math
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rtemo.cli.options import NamedPath, Number, configured
from rtemo.cli.stopping import shielded, stop_if_told, term_as_interrupt

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rtemo.api import Event, Publisher
    from rtemo.config import Config
    from rtemo.io.simulation import Due

_TURN_S = 0.02
_MOST_EVENTS = 1000  # at once: what publishers do now and then is due every 50 ms
PURPOSE = "simulation"
"""The purpose that is stamped on every event, so that nobody takes it for a call."""


@click.command("simulate")
@click.argument("source", metavar="FILE", type=NamedPath())
@click.option(
    "--publish",
    "publish",
    metavar="NAMES|ENDPOINT",
    help="Where events go, as zmq,NAME (see rtemo plugins).  [zmq]",
)
@click.option("--rate", type=Number(0.001, 10_000), default=1.0, show_default=True, help="Times faster.")
@click.option(
    "--longest-gap",
    "longest_gap_s",
    type=Number(0),
    metavar="SECONDS",
    help="Longest pause between two events, of the recording: passes over nights.",
)
@click.option("--call", "calls", metavar="NAME", multiple=True, help="Only this call; may be repeated.")
@click.option("--stay", is_flag=True, help="Go on publishing nothing when all is told, until Ctrl-C.")
@configured
def command(
    config: "Config",
    source: Path,
    publish: str | None,
    rate: float,
    longest_gap_s: float | None,
    calls: tuple[str, ...],
    stay: bool,
) -> int:
    """Publish events that were recorded, as they came and as if they came now: for walls, programs and dashboards.

    FILE is what the publisher 'store' wrote (.db), or --jsonl (.jsonl). Every event says that its purpose is
    'simulation'. With --call what was said of the engine as a whole is left out, but for its start.
    """
    import msgspec

    from rtemo.api.text import shown
    from rtemo.cli import edges
    from rtemo.cli.main import EXIT_FAILED
    from rtemo.io.endpoints import check_apart
    from rtemo.io.recorded import EVENT_FILES, recorded
    from rtemo.io.simulation import paced

    if source.suffix.lower() not in EVENT_FILES:
        raise click.UsageError(f"{shown(source)} is no file of events; give one that ends in {', '.join(EVENT_FILES)}")
    config, names = edges.chosen(config, "publishers", publish, ("zmq",))
    for name, default in (("store", "events.db"), ("jsonl", "events.jsonl")):
        place = Path(config.publishers.get(name, {}).get("path", default))
        if name in names and place.exists() and place.samefile(source):
            raise click.UsageError(f"{shown(source)} would be written into itself; set publishers.{name}.path")
    config = msgspec.structs.replace(config, policy=msgspec.structs.replace(config.policy, purpose=PURPOSE))
    told = _Told(edges.publishers(config, names))
    check_apart([publisher.check() for publisher in told.publishers if hasattr(publisher, "check")])
    wanted = (*calls, "") if calls else ()
    events = (event for event in recorded(source, wanted) if event.call or not calls or event.kind == "session_start")
    with term_as_interrupt():
        try:
            told.open()
            _run(told, paced(events, rate, math.inf if longest_gap_s is None else longest_gap_s), stay)
        except KeyboardInterrupt:
            pass
        finally:
            with shielded():
                told.close()
    print(f"{told.count} events published", flush=True)
    if told.unknown:
        print(f"rtemo: {told.unknown} events left out: no installed plugin knows their kinds", file=sys.stderr)
    return EXIT_FAILED if told.has_failed else 0


class _Told:
    """The publishers; one that breaks does not take the rest along."""

    def __init__(self, publishers: "Sequence[Publisher]") -> None:
        self.publishers = list(publishers)
        self.count = self.unknown = 0
        self.has_failed = False
        self._opened: list[Publisher] = []

    def open(self) -> None:
        for publisher in self.publishers:
            publisher.open()
            self._opened.append(publisher)
            for name, end in getattr(publisher, "endpoints", {}).items():
                print(f"{name:<9} {end}", flush=True)

    def turn(self, events: "Sequence[Event]") -> None:
        """Publish, and do what is due."""
        from rtemo.api import RtemoError
        from rtemo.cli.main import say

        self.count += len(events)
        for publisher in list(self._opened):
            try:
                publisher.publish(events)
                publisher.tick()
            except RtemoError as error:
                say(f"! {publisher.name}: {error}")
                self._opened.remove(publisher)
                self.has_failed = True
                publisher.close()
        if not self._opened:
            raise RtemoError("nobody is left to publish to", "see what it said above")

    def close(self) -> None:
        for publisher in self._opened:
            publisher.close()


def _run(told: _Told, dues: "Iterable[Due]", stay: bool) -> None:
    from rtemo.io.simulation import as_now

    start_s = time.monotonic()
    waiting: list[Event] = []
    for due in dues:
        due_s = start_s + due.after_s
        while len(waiting) >= _MOST_EVENTS or time.monotonic() < due_s:
            told.turn(waiting)
            waiting = []
            stop_if_told()
            time.sleep(max(0.0, min(_TURN_S, due_s - time.monotonic())))
        event = as_now(due.event)
        if event is None:
            told.unknown += 1
        else:
            waiting.append(event)
    told.turn(waiting)
    while stay:
        time.sleep(_TURN_S)
        told.turn([])
        stop_if_told()
