"""`rtemo top`: load of a running engine, plugin by plugin."""

from typing import TYPE_CHECKING, Any

import click

from rtemo.cli.feed import as_event, connect, connected, heard
from rtemo.cli.options import configured
from rtemo.cli.stopping import term_as_interrupt

if TYPE_CHECKING:
    from rtemo.api import Health
    from rtemo.config import Config


@click.command("top")
@click.argument("endpoint", required=False)
@click.option("--once", is_flag=True, help="Print one report and end.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per report.")
@connected
@configured
def command(config: "Config", endpoint: str | None, once: bool, as_json: bool, **connection: Any) -> None:
    """Watch WAIT, BUSY, load and xruns of the publisher at ENDPOINT, plugin by plugin.

    WAIT is the time from audio being ready to the plugin beginning its work, BUSY the time it works, load its mean
    share of a hop. An xrun is a tick that finished after the next was due; it is charged to the longest plugin.
    """
    import msgspec
    from rich.live import Live

    from rtemo.api import Health
    from rtemo.cli.view.console import plain_console
    from rtemo.cli.view.live import can_draw
    from rtemo.io.zmq_options import PublishOptions

    console = plain_console()
    title = endpoint or config.edge("publishers", "zmq", PublishOptions).events
    is_drawn = can_draw(console) and not (once or as_json)
    live = Live(console=console, screen=True, auto_refresh=False) if is_drawn else None
    with term_as_interrupt(), connect(config, endpoint, kinds=["health"], **connection) as feed:
        try:
            if live is not None:
                live.start()
            for wire in heard(feed.receive):
                event = as_event(wire)
                if event is None or not isinstance(event.data, Health):
                    continue
                if as_json:
                    click.echo(msgspec.json.encode(event.data))
                elif live is None:
                    console.print(_screen(event.data, title))
                else:
                    live.update(_screen(event.data, title), refresh=True)
                if once:
                    return
        except KeyboardInterrupt:
            pass  # the usual way to end
        finally:
            if live is not None:
                live.stop()


def _screen(health: "Health", title: str) -> Any:
    from rtemo.cli.view.screen import Lines
    from rtemo.cli.view.top import table

    return Lines(lambda width, height: table(health, title, width)[:height])
