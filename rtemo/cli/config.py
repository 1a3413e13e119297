"""`rtemo config`: every key there is, with its meaning."""

from typing import TYPE_CHECKING

import click

from rtemo.cli.options import configured

if TYPE_CHECKING:
    from rtemo.api import RtemoError
    from rtemo.config import Config


@click.command("config")
@click.option("--current", is_flag=True, help="What is in force here instead of the defaults.")
@click.option("--bare", is_flag=True, help="Leave the comments out.")
@configured
def command(config: "Config", current: bool, bare: bool) -> None:
    """Print the configuration as TOML, with the defaults and a comment on every key.

    What it prints is a valid file: save it as rtemo.toml and change what you need. Files are looked for in this
    order: --config FILE, $RTEMO_CONFIG, ./rtemo.toml, $XDG_CONFIG_HOME/rtemo/rtemo.toml.
    """
    from rtemo.cli.main import say
    from rtemo.config import SEARCH_ORDER, Config, installed_options, render
    from rtemo.config.edges import TABLES, edge_options

    shown = config if current else Config()

    def left_out(error: "RtemoError") -> None:
        say(str(error))

    tables = {table: edge_options(table, getattr(shown, table), left_out) for table in TABLES}
    tables["plugins"] = installed_options(shown.plugins, left_out)
    text = render(shown, tables, comments=not bare)
    if not bare:
        click.echo(f"# Configuration of rtemo. The first of these is used: {SEARCH_ORDER}.\n")
    click.echo(text, nl=False)
