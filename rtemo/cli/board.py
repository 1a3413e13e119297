"""`rtemo board`: which calls of a running engine need a person first."""

from collections import deque
from typing import TYPE_CHECKING, Any

import click

from rtemo.cli.feed import as_event, connect, connected, heard
from rtemo.cli.options import configured
from rtemo.cli.stopping import term_as_interrupt

if TYPE_CHECKING:
    from rtemo.config import Config

_ALERTS = 8


@click.command("board")
@click.argument("endpoint", required=False)
@click.option("--once", is_flag=True, help="Print one board and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per board.")
@connected
@configured
def command(config: "Config", endpoint: str | None, once: bool, as_json: bool, **connection: Any) -> None:
    """Watch the floor of the publisher at ENDPOINT: its calls in the order in which they need a person.

    Urgency is in standard deviations over voices at large, half of it against the call's own past; the percentages
    are shares of voices at large that lie below. Calls that cannot be told apart share a place (=). The chain of the
    publisher must hold a plugin that says `board`; people at work are never on the board.
    """
    import msgspec
    from rich.live import Live

    from rtemo.api import Board, SessionStart
    from rtemo.cli.view.board import table
    from rtemo.cli.view.console import plain_console
    from rtemo.cli.view.live import can_draw
    from rtemo.cli.view.plain import sentence
    from rtemo.cli.view.screen import Lines
    from rtemo.io.zmq_options import PublishOptions

    console = plain_console()
    title = endpoint or config.edge("publishers", "zmq", PublishOptions).events
    is_drawn = can_draw(console) and not (once or as_json)
    board: Board | None = None
    alerts: deque[str] = deque(maxlen=_ALERTS)
    rate_hz = 16_000

    screen = Lines(lambda width, height: table(board, alerts, title, width)[:height])
    live = Live(screen, console=console, screen=True, auto_refresh=False) if is_drawn else None
    kinds = ["board", "alert", "session_start"]
    with term_as_interrupt(), connect(config, endpoint, kinds=kinds, **connection) as feed:
        try:
            if live is not None:
                live.start(refresh=True)
            for wire in heard(feed.receive):
                event = as_event(wire)
                if event is None:
                    continue
                if isinstance(event.data, SessionStart):
                    rate_hz = event.data.sample_rate_hz
                elif isinstance(event.data, Board):
                    board = event.data
                else:
                    alerts.appendleft(sentence(event, rate_hz).strip())
                if live is not None:
                    live.refresh()
                elif isinstance(event.data, Board):
                    if as_json:
                        click.echo(msgspec.json.encode(board))
                    else:
                        console.print(screen)
                    if once:
                        return
        except KeyboardInterrupt:
            pass  # the usual way to end
        finally:
            if live is not None:
                live.stop()
