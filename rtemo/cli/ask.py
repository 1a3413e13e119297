"""`rtemo ask`: what a running engine scores voices by, in words."""

from typing import TYPE_CHECKING, Any

import click

from rtemo.cli.feed import connect, connected
from rtemo.cli.options import configured

if TYPE_CHECKING:
    from rtemo.config import Config


@click.command("ask")
@click.argument("queries", metavar="[QUERY]...", nargs=-1)
@click.option("--forget", multiple=True, metavar="QUERY", help="Score voices by it no more; again for several.")
@click.option("--at", "endpoint", metavar="ENDPOINT", help="Event endpoint of the engine.  [publishers.zmq.events]")
@connected
@configured
def command(
    config: "Config", queries: tuple[str, ...], forget: tuple[str, ...], endpoint: str | None, **connection: Any
) -> None:
    """Have a running engine score voices by each QUERY, as 'a caller losing patience', from now on.

    Without a QUERY what it looks for is listed. Scores are `query_score` events: rtemo subscribe --kind query_score.
    A plugin of the chain must score voices by words and let its queries change, which is off by default, since
    whoever may read events could then make the engine work.
    """
    from rtemo.api.text import plain

    with connect(config, endpoint, snapshot=False, **connection) as feed:
        for text in feed.queries(queries, forget):
            click.echo(plain(text))
