"""`rtemo plugins`: what is installed and what each plugin needs and gives."""

from typing import TYPE_CHECKING

import click

from rtemo.cli.options import configured

if TYPE_CHECKING:
    from rtemo.api import PluginSpec
    from rtemo.config import Config


@click.command("plugins")
@click.option("--json", "as_json", is_flag=True, help="One JSON object per plugin.")
@configured
def command(config: "Config", as_json: bool) -> int:
    """List the installed plugins with their latency and what they provide and require.

    The first column tells the place in the chain of the present configuration.
    """
    import msgspec

    from rtemo.api import RtemoError
    from rtemo.cli.main import EXIT_FAILED, say
    from rtemo.engine import registry

    specs: list[PluginSpec] = []
    failed = 0
    for name in registry.installed():
        try:
            specs.append(registry.make(name, config.plugin_options(name)).spec)
        except RtemoError as error:
            failed += 1
            say(str(error))
    specs.sort(key=lambda spec: (_place(config, spec.name) or 1_000, spec.name))
    if as_json:
        for spec in specs:
            click.echo(msgspec.json.encode(spec))
    else:
        _print(config, specs)
    return EXIT_FAILED if failed else 0


def _print(config: "Config", specs: "list[PluginSpec]") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from rtemo.api import StreamFormat
    from rtemo.api.units import samples_to_ms

    rate_hz = StreamFormat().sample_rate_hz
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", "plugin", "what it does"):
        table.add_column(name, overflow="fold")
    for name in ("latency", "look-ahead"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("provides", "requires"):
        table.add_column(name, overflow="fold")
    for spec in specs:
        table.add_row(
            str(_place(config, spec.name) or ""),
            Text(spec.name, style="bold"),
            spec.summary,
            f"{samples_to_ms(spec.latency_samples, rate_hz):.0f} ms",
            f"{samples_to_ms(spec.lookahead_samples, rate_hz):.0f} ms",
            ", ".join(mark.name for mark in spec.provides),
            ", ".join(spec.requires),
        )
    Console().print(table)


def _place(config: "Config", name: str) -> int:
    """Place in the chain from 1; 0 when it is not in it."""
    return config.chain.index(name) + 1 if name in config.chain else 0
