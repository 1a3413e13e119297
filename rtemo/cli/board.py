"""`rtemo board`: which calls of a running engine need a person first."""

from collections import deque
from typing import TYPE_CHECKING, Any

import click

from rtemo.cli.feed import as_event, connect, connected
from rtemo.cli.options import configured
from rtemo.cli.stopping import stop_if_told, term_as_interrupt

if TYPE_CHECKING:
    from rtemo.client import Subscriber
    from rtemo.config import Config

_ALERTS = 8
_TURN_S = 0.05


@click.command("board")
@click.argument("endpoint", required=False)
@click.option("--by", metavar="QUERY", help="Order the calls by how much their voices are like this, as asked there.")
@click.option("--once", is_flag=True, help="Print one board and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per board.")
@connected
@configured
def command(
    config: "Config", endpoint: str | None, by: str | None, once: bool, as_json: bool, **connection: Any
) -> None:
    """Watch the floor of the publisher at ENDPOINT: its calls in the order in which they need a person.

    Urgency is in standard deviations over voices at large, half of it against the call's own past; the percentages
    are shares of voices at large that lie below. Calls that cannot be told apart share a place (=). The chain of the
    publisher must hold a plugin that says `board`; people at work are never on the board.

    With --by calls are ordered by one of the queries that the publisher scores voices by (rtemo ask), in deviations
    of each voice from its own usual score; whoever has too few scores is unsure.
    """
    import msgspec
    from rich.live import Live

    from rtemo.api import Alert, SessionStart
    from rtemo.api.text import plain
    from rtemo.cli.boards import QueryBoard, ToldBoard
    from rtemo.cli.view.board import table
    from rtemo.cli.view.console import plain_console
    from rtemo.cli.view.live import can_draw
    from rtemo.cli.view.plain import sentence
    from rtemo.cli.view.screen import Lines
    from rtemo.io.zmq_options import PublishOptions

    console = plain_console()
    title = endpoint or config.edge("publishers", "zmq", PublishOptions).events
    is_drawn = can_draw(console) and not (once or as_json)
    query = None if by is None else plain(" ".join(by.split()))
    floor: ToldBoard | QueryBoard = ToldBoard() if query is None else QueryBoard(query)
    alerts: deque[str] = deque(maxlen=_ALERTS)
    rate_hz = 16_000

    screen = Lines(lambda width, height: table(floor.board, alerts, title, width, query)[:height])
    live = Live(screen, console=console, screen=True, auto_refresh=False) if is_drawn else None
    kinds = [*floor.kinds, "alert", "session_start"]

    def tell() -> None:
        if as_json:
            click.echo(msgspec.json.encode(floor.board))
        elif live is None:
            console.print(screen)

    with term_as_interrupt(), connect(config, endpoint, kinds=kinds, **connection) as feed:
        try:
            if query is not None:
                _check_asked(feed, query)
            if live is not None:
                live.start(refresh=True)
            while True:
                stop_if_told()
                received = feed.receive(_TURN_S)
                for wire in received:
                    event = as_event(wire)
                    if event is None:
                        continue
                    if isinstance(event.data, SessionStart):
                        rate_hz = event.data.sample_rate_hz
                    elif isinstance(event.data, Alert):
                        alerts.appendleft(sentence(event, rate_hz).strip())
                    elif floor.take(event):
                        tell()
                        if once:
                            return
                is_due = floor.is_due()
                if is_due:
                    tell()
                    if once:
                        return
                if live is not None and (received or is_due):
                    live.refresh()
        except KeyboardInterrupt:
            pass  # the usual way to end
        finally:
            if live is not None:
                live.stop()


def _check_asked(feed: "Subscriber", query: str) -> None:
    """Refuse a query by which nothing is scored.

    Raises:
        ConfigError: The publisher does not score voices by it.
        EndpointError: It scores them by nothing, or gives no answer.
    """
    from rtemo.api import ConfigError
    from rtemo.api.text import shown

    asked = feed.queries()
    if query not in asked:
        known = ", ".join(f"'{shown(one)}'" for one in asked) or "nothing"
        raise ConfigError(
            f"--by '{shown(query)}' is not what the publisher scores voices by: that is {known}",
            "have it asked first: rtemo ask",
        )
