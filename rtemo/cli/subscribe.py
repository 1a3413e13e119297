"""`rtemo subscribe`: the events of a running publisher."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtemo.cli.feed import as_event, connect, connected, heard
from rtemo.cli.options import configured
from rtemo.cli.stopping import stop_if_told, term_as_interrupt

if TYPE_CHECKING:
    from rtemo.api import Event
    from rtemo.cli.view.live import Show
    from rtemo.cli.view.narrator import Narrator
    from rtemo.client import Subscriber
    from rtemo.config import Config
    from rtemo.io.wire import WireEvent

_TURN_S = 0.05


@click.command("subscribe")
@click.argument("endpoint", required=False)
@click.option("--call", "calls", multiple=True, help="Only this call; may be given several times.")
@click.option("--kind", "kinds", multiple=True, help="Only this kind, as emotion; may be given several times.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per event, as received.")
@click.option("--view", is_flag=True, help="The live view of rtemo listen.")
@click.option(
    "--audio",
    "folder",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write the processed audio there instead, a WAV per stream; ENDPOINT is that of the audio.",
)
@click.option("--count", type=click.IntRange(min=1), help="End after this many events.")
@connected
@configured
def command(
    config: "Config",
    endpoint: str | None,
    calls: tuple[str, ...],
    kinds: tuple[str, ...],
    as_json: bool,
    view: bool,
    folder: Path | None,
    count: int | None,
    **connection: Any,
) -> None:
    """Print the events of the publisher at ENDPOINT, last values first, then as they come.

    Without ENDPOINT it is publishers.zmq.events of the configuration. What is lost on the way is counted and named on
    standard error.

    With --audio it writes what `rtemo serve --audio-out` sends, until Ctrl-C; ENDPOINT is sinks.zmq.endpoint of the
    configuration then. What was lost stands as silence.
    """
    from rtemo.cli.main import say

    if folder is not None:
        if kinds or as_json or view or count:
            raise click.UsageError("--audio writes audio and no events: leave --kind, --json, --view and --count out")
        from rtemo.cli.received import save

        save(config, endpoint, folder, calls, connection)
        return
    for kind in kinds:
        _mind_kind(kind)
    with term_as_interrupt():
        feed = connect(
            config, endpoint, calls=calls, kinds=kinds, on_notice=lambda notice: say(notice.detail), **connection
        )
        with feed:
            try:
                _print(config, feed, kinds, as_json, view, count)
            except KeyboardInterrupt:
                pass  # the usual way to end
            finally:
                if feed.lost_events:
                    say(f"! {feed.lost_events} events were lost on the way")


def _mind_kind(kind: str) -> None:
    """Say so when no event of a kind can be expected; a plugin at the other end may know one that is not known here."""
    from rtemo.api import SHARED_TYPES
    from rtemo.cli.main import say
    from rtemo.config.strict import suggest
    from rtemo.extensions import payload_types

    known = SHARED_TYPES if kind in SHARED_TYPES else payload_types()
    if kind not in known:
        say(f"! --kind {kind} is not known here, {suggest(kind, known)}; waiting in case a plugin over there has it")


def _print(
    config: "Config", feed: "Subscriber", kinds: tuple[str, ...], as_json: bool, view: bool, count: int | None
) -> None:
    from rtemo.api.text import plain_json
    from rtemo.cli.view.console import plain_console
    from rtemo.cli.view.live import TerminalShow, can_draw
    from rtemo.cli.view.narrator import Narrator
    from rtemo.cli.view.paint import painted
    from rtemo.cli.view.plain import clean
    from rtemo.cli.view.state import ViewState
    from rtemo.io.wire import encode

    if as_json:
        for wire in _limited(feed, count):
            click.echo(plain_json(encode(wire).decode()))
        return
    console = plain_console()
    if view and can_draw(console):
        with TerminalShow(ViewState("subscribed"), console, config.listen) as show:
            _show(feed, show, count)
        return
    narrator = Narrator(kinds)
    for wire in _limited(feed, count):
        event = as_event(wire)
        if event is None:
            text = f"{wire.call}/{wire.channel}  {wire.kind}: {wire.data}"  # a kind that this version does not know
            click.echo(f"{'':>9}  {clean(text)}")
        elif line := _line(narrator, event):
            click.echo(painted(line, event))


def _line(narrator: "Narrator", event: "Event") -> str:
    """Say an event; one that cannot be said (a publisher may send any numbers) is one line, and the feed goes on."""
    from rtemo.cli.view.plain import clean

    try:
        return narrator.line(event) or ""
    except (ArithmeticError, ValueError, TypeError, LookupError) as error:
        return (
            f"{'':>9}  {clean(f'{event.call}/{event.channel}')}  {event.kind} that makes no sense ({clean(str(error))})"
        )


def _show(feed: "Subscriber", show: "Show", count: int | None) -> None:
    seen = 0
    while count is None or seen < count:
        stop_if_told()
        for wire in feed.receive(_TURN_S):
            seen += 1
            event = as_event(wire)
            if event is not None:
                show.add(event)
        show.refresh()


def _limited(feed: "Subscriber", count: int | None) -> "Iterator[WireEvent[Any]]":
    for number, wire in enumerate(heard(feed.receive), 1):
        yield wire
        if number == count:
            return
